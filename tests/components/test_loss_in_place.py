"""The loss that overwrites its logits: equal to the plain one, and never two of the logits."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from transformer.components import loss_in_place
from transformer.components.loss import next_token_loss
from transformer.components.loss_in_place import next_token_loss_in_place

BATCH, POS, D_MODEL, D_VOCAB = 3, 7, 5, 11


@pytest.fixture(autouse=True)
def chunks_that_do_not_divide_the_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_in_place, "CHUNK", 4)


def random_case(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    resid = torch.randn(BATCH, POS, D_MODEL, dtype=dtype, requires_grad=True)
    W_U = torch.randn(D_MODEL, D_VOCAB, dtype=dtype, requires_grad=True)
    return resid, W_U, torch.randint(D_VOCAB, (BATCH, POS + 1))


# Contract


def test_a_second_backward_pass_is_refused() -> None:
    resid, W_U, tokens = random_case()
    loss = next_token_loss_in_place(resid @ W_U, tokens)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="one backward pass"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_logits_that_their_maker_still_needs_are_refused() -> None:
    resid, W_U, tokens = random_case()
    capped = torch.tanh(resid @ W_U)  # its gradient is made from its result
    loss = next_token_loss_in_place(capped, tokens)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("n_tokens", [POS, POS + 2])
def test_logits_of_every_token_but_the_last_are_asked_for(n_tokens: int) -> None:
    logits, tokens = torch.zeros(2, POS, 3), torch.zeros(2, n_tokens, dtype=torch.long)
    with pytest.raises(ValueError, match=f"{n_tokens} tokens .* one position less, got 7"):
        next_token_loss_in_place(logits, tokens)


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that make a tensor of at least so many elements."""

    def __init__(self, numel: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numel, self.made = numel, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        before = {x.data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for tensor in tree_leaves(result):
            large = isinstance(tensor, Tensor) and tensor.numel() >= self.numel
            if large and tensor.data_ptr() not in before:
                self.made += 1
        return result


def test_no_second_tensor_of_the_logits_size_is_made_and_by_the_plain_loss_there_is() -> None:
    made = {}
    for loss_of in (next_token_loss, next_token_loss_in_place):
        logits = torch.randn(BATCH, POS, D_VOCAB, requires_grad=True)
        tokens = torch.randint(D_VOCAB, (BATCH, POS + 1))
        copy = logits * 1.0  # no leaf: as a model makes them
        with Largest(BATCH * POS * D_VOCAB) as largest:
            loss = loss_of(copy, tokens)
            torch.autograd.grad(loss, copy)
        made[loss_of] = largest.made
    assert made[next_token_loss_in_place] == 0
    assert made[next_token_loss] > 2


def test_without_a_gradient_the_logits_stay_and_none_of_their_size_is_made() -> None:
    logits, tokens = torch.randn(BATCH, POS, D_VOCAB), torch.randint(D_VOCAB, (BATCH, POS + 1))
    before = logits.clone()
    with torch.no_grad(), Largest(BATCH * POS * D_VOCAB) as largest:
        loss = next_token_loss_in_place(logits, tokens)
    assert largest.made == 0
    torch.testing.assert_close(logits, before, rtol=0, atol=0)
    torch.testing.assert_close(loss, next_token_loss(logits, tokens))


# Oracle


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_loss_and_gradients_are_those_of_the_plain_loss(scale: float) -> None:
    resid, W_U, tokens = random_case()
    expected = next_token_loss(resid @ W_U, tokens)
    gradients = torch.autograd.grad(scale * expected, (resid, W_U))
    got = next_token_loss_in_place(resid @ W_U, tokens)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(torch.autograd.grad(scale * got, (resid, W_U)), gradients)


def test_logits_in_bf16_are_summed_in_float32() -> None:
    resid, W_U, tokens = random_case(torch.bfloat16)
    expected = next_token_loss(resid @ W_U, tokens)
    got = next_token_loss_in_place(resid @ W_U, tokens)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected)


def test_a_gradient_that_fp16_would_round_to_zero_survives_with_a_scale() -> None:
    # 3 x 7 targets: without the scale each entry is at most 1/21; with 4,096 rows it would vanish.
    resid, W_U, tokens = random_case(torch.float32)
    logits = (resid @ W_U).half().detach().requires_grad_()
    mine = logits * 1.0
    scale = 2.0**10
    (got,) = torch.autograd.grad(scale * next_token_loss_in_place(mine, tokens), mine)
    plain = logits.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(scale * next_token_loss(plain, tokens), plain)
    # fp16 keeps 11 bits: softmax and the product with the scale round once each.
    torch.testing.assert_close(got.float(), expected, rtol=2**-9, atol=scale / 21 * 2**-11)
