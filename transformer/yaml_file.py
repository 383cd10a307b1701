"""YAML files, read with a clear complaint."""

from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: str | Path, *, expected: str = "YAML file") -> Any:
    """Return what a YAML file holds; one that is none is a ValueError that says where and why.

    `expected` is what the complaint calls the file that was wanted.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        why = "it is not UTF-8 text; save it as UTF-8 first"
        raise ValueError(f"{path} is no {expected}: {why}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no {expected}: {_what(error)}") from error


def _what(error: yaml.YAMLError) -> str:
    """Return what YAML does not understand, and the place in the file."""
    place, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if place is None or problem is None:
        return str(error)
    if "'\\t'" in problem:
        problem = "a tab, where YAML takes spaces only"
    return f"line {place.line + 1}, column {place.column + 1}: {problem}"
