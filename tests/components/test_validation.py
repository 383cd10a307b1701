import pytest

from transformer.components.validation import require_positive, require_probability


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
