"""A tokenizer's files: written whole or not at all, read with a clear complaint."""

import json
from pathlib import Path
from typing import Any


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write `content` beside `path`, then rename: `path` is never half a file.

    Text is written as UTF-8, its line ends as they are.
    """
    target = Path(path)
    aside = target.with_name(target.name + ".part")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        aside.write_bytes(data)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the JSON object in the file; anything else is a ValueError that names the file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no tokenizer file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no tokenizer file: it holds no JSON object")
    return content
