"""Where a name has its last value, read off small functions."""

import ast
from textwrap import dedent

import pytest

from transformer.activations.places import last_places

pytestmark = pytest.mark.house


def places(source: str) -> dict[str, str]:
    """Return for each name the statement after which it changes no more, "" for the start."""
    [method] = ast.parse(dedent(source)).body
    assert isinstance(method, ast.FunctionDef)
    return {
        name: "" if index < 0 else ast.unparse(block[index]).splitlines()[0]
        for name, (block, index) in last_places(method).items()
    }


def test_arguments_but_self_have_theirs_at_the_start() -> None:
    assert places("def f(self, a, /, b, *rest, c=1, **more): pass") == dict.fromkeys("abc", "")


def test_a_name_assigned_again_has_it_after_the_last_time() -> None:
    assert places("def f(self, x):\n  x = 1\n  y = x\n  x = 2\n  y += 3") == {
        "x": "x = 2",
        "y": "y += 3",
    }


def test_names_of_a_branch_stay_in_it_and_those_of_two_come_after_both() -> None:
    source = """
        def f(self, q):
            if self.path:
                z = 1
            else:
                scores = 2
                z = scores
            if self.rotary:
                q, k = 3, 4
    """
    assert places(source) == {
        "q": "if self.rotary:",
        "z": "if self.path:",
        "scores": "scores = 2",
        "k": "q, k = (3, 4)",
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
        "i": "for i in range(3):",
        "a": "for i in range(3):",
        "b": "try:",
        "c": "with self.context as c:",
        "d": "d = 1",
        "e": "e = 1",
    }


def test_a_branch_whose_condition_assigns_the_name_too_comes_before_it() -> None:
    source = """
        def f(self):
            if (a := self.a):
                a = 2
    """
    assert places(source) == {"a": "if (a := self.a):"}


def test_names_of_other_scopes_are_not_its_own() -> None:
    source = """
        def f(self):
            global g
            g = 1
            def inner():
                hidden = 1
            later = [n for n in (lambda m: m)(range(3))]
    """
    assert places(source) == {"later": "later = [n for n in (lambda m: m)(range(3))]"}
