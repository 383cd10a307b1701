"""A tokenizer's files, read with a clear complaint."""

import json
from pathlib import Path
from typing import Any


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the JSON object in the file; anything else is a ValueError that names the file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no tokenizer file: it is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no tokenizer file: it holds no JSON object")
    return content
