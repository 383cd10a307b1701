import jaxtyping
import pytest
import torch

from transformer.components.validation import (
    require_positions,
    require_positive,
    require_probability,
    require_tokens,
)


@pytest.mark.parametrize("size", [0, -1])
def test_the_size_that_is_wrong_is_named_with_what_came(size: int) -> None:
    require_positive(d_model=1, d_head=2)
    with pytest.raises(ValueError, match=f"d_head must be an integer of at least 1, got {size}"):
        require_positive(d_model=1, d_head=size)


@pytest.mark.parametrize("p", [-1e-9, 1.0])
def test_the_probability_that_is_wrong_is_named_with_what_came(p: float) -> None:
    require_probability(p=0.0)
    with pytest.raises(ValueError, match=f"p must be at least 0 and below 1, got {p}"):
        require_probability(p=p)


@pytest.mark.parametrize("outside", [-1, 7])
def test_compiled_tokens_are_not_looked_at_and_the_graph_is_one(
    outside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(tokens: torch.Tensor) -> torch.Tensor:
        require_tokens(tokens, 7)
        return tokens + 1

    tokens = torch.tensor([[3, outside, 5]])
    with pytest.raises(IndexError, match=f"from 0 to d_vocab - 1 = 6, got {outside}"):
        look(tokens)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would break the graph
    compiled = torch.compile(look, backend="eager", fullgraph=True)
    assert torch.equal(compiled(tokens), tokens + 1)


@pytest.mark.parametrize(
    ("shape", "start", "said"),
    [
        ((7,), 0, r"two axes \(batch, pos\), got the shape \(7,\): tokens\[None\] makes one text"),
        ((2, 3, 5), 0, r"two axes \(batch, pos\), got the shape \(2, 3, 5\)"),
        ((2, 0), 0, "1 to n_ctx = 13 positions, got 0: pass a token or more$"),
        ((2, 0), 13, "got 0 after 13 in the cache: pass a token or more$"),
        ((2, 14), 0, "n_ctx = 13 positions, got 14: cut the text, or take a config with a larger"),
        ((2, 3), 11, "n_ctx = 13 positions, got 3 after 11 in the cache: cut the text, or take"),
    ],
)
def test_positions_that_a_model_has_not_are_refused_with_what_to_do(
    shape: tuple[int, ...], start: int, said: str
) -> None:
    for n_pos in (1, 2):
        require_positions(torch.zeros(2, n_pos, dtype=torch.long), 13, 11)
    with pytest.raises(ValueError, match=said):
        require_positions(torch.zeros(shape, dtype=torch.long), 13, start)
