"""Files and folders that are there whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

PART = ".part"  # how a name ends of what is not whole yet
LONGEST_NAME = 255  # bytes, on nearly all file systems
# A disk that is full, one's share of it used up, a file too large for it, one that is broken.
OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; the file there takes the place of `path`.

    After an error nothing is left beside it, and `path` is what it was before. A folder that is
    not there is a FileNotFoundError, of its own name.
    """
    target = Path(path)
    require_folder(target)
    aside = beside(target)
    with errors_of(aside, target):
        try:
            yield aside
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` to write into, which then is renamed to `path`.

    Parents are made. After an error nothing is left. A folder that is there already, with
    something in it, is an OSError.
    """
    target = Path(path)
    aside = beside(target)
    shutil.rmtree(aside, ignore_errors=True)
    with errors_of(aside, target):
        aside.mkdir(parents=True)
        try:
            yield aside
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def beside(path: str | Path) -> Path:
    """Return the name beside `path` that something has until it is whole: `path`.part.

    Where only `path` itself is short enough for a file's name, it is the SHA-256 of that.
    """
    target = Path(path)
    name = os.fsencode(target.name)
    if len(name) <= LONGEST_NAME < len(name) + len(PART):
        return target.with_name(sha256(name).hexdigest() + PART)
    return target.with_name(target.name + PART)


def require_folder(path: str | Path) -> None:
    """Raise OSError if `path` cannot be a file: it is a folder, or its folder is not there.

    Where what is to be written takes long to make, this is asked first.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} into")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: name a file in it to write")


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write `content` into `path`, whole or not at all; text in UTF-8, line ends as they are."""
    with whole_file(path) as aside:
        aside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def errors_of(aside: Path, target: Path) -> Iterator[None]:
    """Have what the system refuses for `aside` named after `target`, which was asked for.

    Of a disk that is full or broken it does not say for which file.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        if name is None and error.errno in OF_THE_DISK:
            name = aside
        if not isinstance(name, str | Path) or not Path(name).is_relative_to(aside):
            raise
        asked = target / Path(name).relative_to(aside)
        raise OSError(error.errno, error.strerror, str(asked)) from error
