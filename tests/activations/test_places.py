"""Where a name has its last value, read off small functions."""

import ast
from textwrap import dedent

import pytest

from transformer.activations.places import last_places

pytestmark = pytest.mark.house


def places(source: str) -> dict[str, list[str]]:
    """Return for each name the statements after which it changes no more, "" for a start."""
    [method] = ast.parse(dedent(source)).body
    assert isinstance(method, ast.FunctionDef)
    return {
        name: ["" if i < 0 else ast.unparse(block[i]).splitlines()[0] for block, i in found]
        for name, found in last_places(method).items()
    }


def test_arguments_but_self_have_theirs_at_the_start() -> None:
    found = places("def f(self, a, /, b, *rest, c=1, **more): pass")
    assert found == {"a": [""], "b": [""], "c": [""]}


def test_a_name_assigned_again_has_it_after_the_last_time() -> None:
    found = places("def f(self, x):\n  x = 1\n  y = x\n  x = 2\n  y += 3")
    assert found == {"x": ["x = 2"], "y": ["y += 3"]}


def test_each_branch_has_its_own_last_place_also_one_that_assigns_nothing() -> None:
    source = """
        def f(self, q):
            k = 1
            if self.rotary:
                q = 2
            if self.path:
                z = 3
            elif self.other:
                pass
            else:
                k = k * 2
                scores = 4
                z = scores
    """
    assert places(source) == {
        "q": ["q = 2", ""],
        "k": ["", "", "k = k * 2"],
        "z": ["z = 3", "", "z = scores"],
        "scores": ["", "", "scores = 4"],
    }


def test_what_a_loop_or_a_try_assigns_comes_after_it_and_what_a_with_does_inside() -> None:
    source = """
        def f(self):
            for i in range(3):
                a = i
            try:
                b = 1
            except ValueError:
                pass
            with self.context as c:
                d = 1
            match self.kind:
                case 1:
                    e = 1
    """
    assert places(source) == {
        "i": ["for i in range(3):"],
        "a": ["for i in range(3):"],
        "b": ["try:"],
        "c": [""],
        "d": ["d = 1"],
        "e": ["match self.kind:"],
    }


def test_names_of_other_scopes_are_not_its_own() -> None:
    source = """
        def f(self):
            global g
            g = 1
            def inner():
                hidden = 1
            later = [n for n in range(3)], (lambda m: (o := m))(3)
    """
    assert places(source) == {"later": ["later = ([n for n in range(3)], (lambda m: (o := m))(3))"]}
