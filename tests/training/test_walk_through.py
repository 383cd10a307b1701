"""docs/training.md walks through `step` and `loop` line by line, and it is true.

Its quotes of a function, one after the other, are that function: no line is missing, none is
there that is not in the source.
"""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transformer.training.loop import train
from transformer.training.step import accumulate_gradients, train_step

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
needs_docs = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs")


def quoted(page: str, name: str) -> list[str]:
    """The lines that a page quotes of a function."""
    blocks = re.findall(r"```python\n# (\S+): (\w+)\n(.*?)```", page, flags=re.DOTALL)
    return [line for _, of, code in blocks if of == name for line in code.splitlines() if line]


def body(function: Callable[..., Any]) -> list[str]:
    """The lines of a function behind its docstring."""
    source = inspect.getsource(function)
    [definition] = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    return [line for line in source.splitlines()[definition.body[1].lineno - 1 :] if line]


@needs_docs
@pytest.mark.parametrize("function", [train_step, accumulate_gradients, train])
def test_every_line_is_quoted_and_every_quote_is_a_line(function: Callable[..., Any]) -> None:
    assert quoted(PAGE.read_text(), function.__name__) == body(function)


def test_a_line_left_out_or_changed_is_seen() -> None:
    block = "```python\n# transformer/training/step.py: train_step\n{}\n```\n"
    lines = body(train_step)
    whole = block.format("\n".join(lines))
    assert quoted(whole, "train_step") == lines
    assert quoted(whole, "train") == []
    assert quoted(whole.replace(lines[1] + "\n", ""), "train_step") != lines


def test_the_update_is_read_at_once() -> None:
    assert len(inspect.getsource(train_step).splitlines()) <= 30
