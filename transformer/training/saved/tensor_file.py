"""A file of tensors, written whole or not at all by the safetensors library."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from transformer.whole import whole_file

NUMBER = re.compile(r"\(os error (\d+)\)")  # how the library's messages end where the disk refuses


@contextmanager
def tensor_file(path: str | Path) -> Iterator[Path]:
    """Yield a name beside `path` for safetensors to write to, as `whole_file` does.

    Raises OSError, with the file's name, where the disk refuses. The file may be read by whom
    others may: the library lets nobody but its owner.
    """
    with whole_file(path) as aside:
        aside.touch()
        mode = aside.stat().st_mode
        try:
            yield aside
        except SafetensorError as error:
            number = NUMBER.search(str(error))
            code = int(number[1]) if number else errno.EIO
            why = os.strerror(code) if number else str(error)
            raise OSError(code, f"cannot be written: {why}", str(aside)) from error
        aside.chmod(mode)
