import jaxtyping
import pytest
import torch

from transformer.components.validation import (
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
