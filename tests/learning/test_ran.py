"""Which of a learner's names ran."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from transformer.components.activations import gelu
from transformer.learning.checking.ran import watched
from transformer.learning.own.adapting import adapted

GELUS = {
    "a function": lambda x: nn.functional.gelu(x),
    "a builtin": nn.functional.gelu,
    "a partial": functools.partial(nn.functional.gelu, approximate="tanh"),
    "a Module": nn.GELU(),
}


@pytest.mark.parametrize("theirs", GELUS.values(), ids=GELUS)
def test_a_function_of_any_kind_is_seen_to_run(theirs: object) -> None:
    ran: set[str] = set()
    given = watched({"gelu": theirs, "LAYOUT": {}}, ran)
    assert given["LAYOUT"] == {}
    called = adapted(gelu, given["gelu"], {})
    assert not ran
    x = torch.randn(3, 5)
    torch.testing.assert_close(called(x), nn.functional.gelu(x), rtol=0.0, atol=1e-3)
    assert ran == {"gelu"}


class Fields(NamedTuple):
    vocab: tuple[str, ...]
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    vocab: tuple[str, ...]
    unknown: int = 0


@pytest.mark.parametrize("theirs", [Fields, Record])
def test_a_class_that_has_no_constructor_of_its_own_is_made_as_before(theirs: type) -> None:
    ran: set[str] = set()
    watched({"CharacterTokenizer": theirs}, ran)
    assert not ran
    made = theirs(("a", "b"), unknown=1)
    assert (made.vocab, made.unknown) == (("a", "b"), 1)
    assert ran == {"CharacterTokenizer"}


def test_a_class_without_fields_still_refuses_an_argument() -> None:
    class Bare:
        pass

    ran: set[str] = set()
    watched({"CharacterTokenizer": Bare}, ran)
    with pytest.raises(TypeError, match="takes"):
        Bare(1)  # type: ignore[call-arg]
