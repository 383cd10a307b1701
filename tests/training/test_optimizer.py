"""Which parameters decay, and clipping on both sides of its limit."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import Module, Parameter
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.attention_only import attention_only
from transformer.models.bert import BERT, BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.models.encoder_decoder import EncoderDecoder
from transformer.models.gpt import GPT
from transformer.training.optimizer import clip_gradients, is_decayed, make_adamw

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11, mlp="gated"
)
ENCODER = BERTConfig(d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11)
MODELS: dict[str, Callable[[], Module]] = {
    "GPT": lambda: GPT(CONFIG),
    "GPT, untied": lambda: GPT(replace(CONFIG, tied=False, unembedding_bias=True, mlp="plain")),
    "attention-only": lambda: attention_only(CONFIG),
    "BERT": lambda: BERT(ENCODER, pooler=True),
    "BERT, masked-language": lambda: MaskedLanguageBERT(ENCODER),
    "BERT, classifier": lambda: ClassifierBERT(ENCODER, n_classes=5),
    "encoder-decoder": lambda: EncoderDecoder(replace(CONFIG, unembedding_bias=True)),
}


def test_weights_decay_and_biases_and_scales_do_not() -> None:
    names = {name.rpartition(".")[2] for name, _ in GPT(CONFIG).named_parameters()}
    decayed = {name for name in names if is_decayed(name)}
    assert decayed == {"W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_in", "W_gate", "W_out"}
    assert names - decayed == {
        *("b_Q", "b_K", "b_V", "b_O", "b_in", "b_gate", "b_out", "scale", "bias")
    }


def test_it_is_the_last_part_of_a_name_that_decides() -> None:
    for place in ("", "blocks.0.attention.", "bias_of.scale.b_."):
        assert is_decayed(f"{place}W_Q"), place
        assert not is_decayed(f"{place}b_Q"), place
        assert not is_decayed(f"{place}scale"), place
        assert is_decayed(f"{place}W"), place
        assert not is_decayed(f"{place}b"), place  # the linear map's


def test_every_parameter_is_in_one_group_and_a_tied_one_once() -> None:
    model = GPT(CONFIG)
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    assert len(grouped) == len(list(model.parameters()))


@pytest.mark.parametrize("name", MODELS)
def test_in_every_model_all_matrices_decay_and_nothing_with_one_axis_does(name: str) -> None:
    model = MODELS[name]()
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    grouped = [
        (p, group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
    ]
    decays = {id(p): decay for p, decay in grouped}
    parameters = dict(model.named_parameters())
    assert len(grouped) == len(parameters), "one is left out, or is there twice"
    for at, parameter in parameters.items():
        # The biases of the queries, keys and values have an axis for the heads.
        of_heads = at.rpartition(".")[2] in ("b_Q", "b_K", "b_V")
        is_vector = parameter.dim() == 1 or of_heads
        assert decays[id(parameter)] == (0.0 if is_vector else 0.5), at


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch computes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_on_a_cpu_each_group_is_updated_in_one_fused_kernel() -> None:
    model = GPT(CONFIG)
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()  # makes the moments
    with Operations() as operations:
        optimizer.step()
    assert operations.seen["_fused_adamw_"] == 2
    assert not [name for name in operations.seen if "sqrt" in name or "addcdiv" in name]


def test_with_no_gradient_only_decayed_parameters_move_and_by_the_stated_factor() -> None:
    model = GPT(CONFIG)
    randomise(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_adamw(model, learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        # Decoupled: p <- p - lr * decay * p = 0.95 p, whatever the gradient's moments are.
        factor = 0.95 if is_decayed(name) else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


@pytest.mark.parametrize("max_norm", [6.5, 26.0])
def test_gradients_are_scaled_by_one_factor_and_only_above_the_limit(max_norm: float) -> None:
    # Norm over both together: sqrt(3^2 + 4^2 + 12^2) = 13.
    first, second = Parameter(torch.zeros(2)), Parameter(torch.zeros(1, 1))
    first.grad, second.grad = torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])
    unused = Parameter(torch.zeros(1))
    norm = clip_gradients([first, unused, second], max_norm)
    factor = min(1.0, max_norm / 13)
    assert norm.item() == pytest.approx(13.0)
    torch.testing.assert_close(first.grad, torch.tensor([3.0, 4.0]) * factor)
    torch.testing.assert_close(second.grad, torch.tensor([[12.0]]) * factor)


def test_without_gradients_there_is_nothing_to_clip_and_the_norm_is_0() -> None:
    assert clip_gradients([Parameter(torch.ones(2))], 1.0).item() == 0.0
    assert clip_gradients([], 1.0).item() == 0.0


@pytest.mark.parametrize(
    ("gradient", "norm", "clipped"),
    [
        ([3.0, math.inf], math.inf, [0.0, math.nan]),
        ([3.0, 1e30], math.inf, [0.0, 0.0]),  # finite, but its square is beyond float32
        ([3.0, math.nan], math.nan, [math.nan, math.nan]),
    ],
)
def test_a_norm_that_is_not_finite_is_returned_for_the_meter_to_see(
    gradient: list[float], norm: float, clipped: list[float]
) -> None:
    parameter = Parameter(torch.zeros(2))
    parameter.grad = torch.tensor(gradient)
    assert clip_gradients([parameter], 1.0).item() == pytest.approx(norm, nan_ok=True)
    assert parameter.grad.tolist() == pytest.approx(clipped, nan_ok=True)


def test_clipping_takes_any_iterable_as_a_generator_is_empty_the_second_time() -> None:
    parameter = Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([30.0, 40.0])
    clip_gradients((p for p in [parameter]), 1.0)
    assert parameter.grad.norm().item() == pytest.approx(1.0, rel=1e-4)
