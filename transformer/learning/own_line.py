"""An error of a learner's own code: which of their lines it comes from, and what it says."""

import traceback
from pathlib import Path

from transformer.learning.source import PACKAGE


def raised_at(error: BaseException) -> str:
    """Return the last line of the learner's own that an exception passed, or nothing."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not Path(frame.filename).is_relative_to(PACKAGE)
        and "site-packages" not in frame.filename
        and not frame.filename.startswith("<")
    ]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}" if own else ""


def in_a_line(error: BaseException) -> str:
    """Return the kind of an exception, the first line of what it says, and the learner's line."""
    text = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {text[0] if text else ''}".rstrip(": ")
    at = raised_at(error)
    return f"{said} ({at})" if at else said
