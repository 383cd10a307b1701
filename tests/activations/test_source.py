"""What runs is compared with what stands in the file before any of it is rewritten."""

import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.activations.watching import activation_names, watch

pytestmark = pytest.mark.house

EDITED = """
from torch.nn import Module
class Edited(Module):
    def forward(self, x):
        'of {}'
        def less(y):
            return y - 3
        doubled = x * 2
        return less(doubled)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x * 2", "x * 3"),
        ("x * 2", "x.exp() * 2"),
        ("x * 2", "x + 2"),
        ("x * 2", "2 * x"),
        ("doubled", "tripled"),
        ("y - 3", "3 - y"),
        ("forward", "backward"),
    ],
    ids=["number", "name", "sign", "order", "variable", "function inside", "gone"],
)
def test_what_was_edited_since_its_import_runs_as_it_was_imported(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = EDITED.format(tmp_path)  # two modules with equal code would count as one
    (tmp_path / "edited.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "edited", raising=False)
    model = import_module("edited").Edited()
    (tmp_path / "edited.py").write_text(source.replace(old, new) + "# now\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"Edited.forward is not what stands in .*edited.py"):
        assert activation_names(model) == []
    model = torch.nn.Sequential(model)
    with watch(model) as seen:
        assert torch.equal(model(torch.ones(3)), torch.full((3,), -1.0))
    assert torch.equal(seen["0"], torch.full((3,), -1.0))


IMPORTING = """
import torch
from torch.nn import Module
class Importing(Module):
    def forward(self, x):
        'of {}'
        doubled = torch.add(x, x)
        return doubled
"""


@pytest.mark.parametrize("how", ["file", "cell"])
def test_what_calls_by_an_imported_name_is_seen_in_a_file_and_in_a_cell(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, source = tmp_path / "importing.py", IMPORTING.format(f"{tmp_path} {how}")
    path.write_text(source, encoding="utf-8")
    made: dict[str, Any] = {"__name__": "importing"}
    statements = ast.parse(source).body
    for part in [statements] if how == "file" else [[each] for each in statements]:
        exec(compile(ast.Module(part, []), str(path), "exec", dont_inherit=True), made)
    assert activation_names(made["Importing"]()) == ["x", "doubled"]
