"""Plain text files."""

from pathlib import Path

from transformer.tokenizers.stream import not_utf8


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, line ends as they stand there.

    A byte order mark, with which editors on Windows begin a file, is no part of the text.
    Raises FileNotFoundError for a path that is no file, ValueError for one that is empty or
    not UTF-8.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no text file at {file}")
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(file, error, n_read=len(content)) from error
    if not text:
        raise ValueError(f"{file} is empty")
    return text
