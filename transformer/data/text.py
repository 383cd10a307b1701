"""Plain text files."""

from pathlib import Path


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, line ends as they stand there.

    A byte order mark, with which editors on Windows begin a file, is no part of the text.
    Raises FileNotFoundError for a path that is no file, ValueError for one that is empty or
    not UTF-8.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no text file at {file}")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not UTF-8 text (byte {error.start}): save it as UTF-8 first"
        ) from error
    if not text:
        raise ValueError(f"{file} is empty")
    return text
