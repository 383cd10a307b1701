"""On another device than the CPU, in a machine that has none: the same numbers, and no more waits.

A GPU refuses tensors of two devices, has to be waited for where a number is read, and Apple's has
no float64. All three are seen here (`transformer/learning/diagnosing/elsewhere.py`).
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from transformer.activations.interventions import ablated_heads, logit_lens, patched
from transformer.activations.watching import edit, watch
from transformer.circuits.attribution import logit_attribution
from transformer.circuits.heads import head_scores
from transformer.circuits.scores import copying_score
from transformer.circuits.weights import circuits_of
from transformer.components.loss import next_token_loss
from transformer.config import PRESETS, TransformerConfig
from transformer.data.batches import RandomBatches
from transformer.data.windows import TokenWindows
from transformer.learning.diagnosing.elsewhere import (
    ELSEWHERE,
    TwoDevicesError,
    back,
    elsewhere,
    is_there,
)
from transformer.models.bert import BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.models.encoder_decoder import EncoderDecoder
from transformer.models.gpt import GPT
from transformer.sampling.beam import beam_search
from transformer.sampling.generate import generate
from transformer.sampling.options import Sampling
from transformer.sampling.sample import sample, sample_each
from transformer.sampling.targets import GrowingTargets
from transformer.training.config import TrainConfig
from transformer.training.loop import train
from transformer.training.machine.checkpointing import recompute_blocks
from transformer.training.meter import Meter
from transformer.training.objective import NEXT_TOKEN
from transformer.training.optimizer import make_adamw
from transformer.training.plan import make_plan
from transformer.training.state import TrainState
from transformer.training.step import train_step
from transformer.training.update import LARGE_VOCABULARY, pick_objective

pytestmark = pytest.mark.house

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "d_vocab": 17,
    "n_ctx": 13,
    "d_model": 12,
    "n_layers": 2,
    "d_head": 6,
    "d_mlp": 7,
}
GPT2 = TransformerConfig(**SMALL, n_heads=3)
FAMILY = {
    "GPT-2": GPT2,
    "LLaMA": replace(PRESETS["llama-7b"], **SMALL, n_heads=4, n_kv_heads=2),
    "the default": replace(PRESETS["shakespeare-cpu"], **SMALL, n_heads=3, dropout=0.0),
}
BERT = BERTConfig(**SMALL, n_heads=3)
TOKENS = torch.tensor([[1, 2, 3, 1, 2, 3], [5, 16, 7, 5, 0, 7]])
PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8]]


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what a device is waited for, and what it has in float64."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits, self.doubles = 0, set[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(is_there(one) for one in tree_leaves(args)):
            gone = isinstance(out, Tensor) and not is_there(out)
            numbers = any(isinstance(one, int | float) for one in tree_leaves(out))
            self.waits += gone or numbers or func is torch.ops.aten.multinomial.default
        there = [one for one in tree_leaves(out) if is_there(one)]
        self.doubles |= {str(func) for one in there if one.dtype == torch.float64}
        return out


class OnTheCPU(torch.Generator):
    """A generator whatever the device."""

    def __new__(cls, device: torch.device = CPU) -> "OnTheCPU":
        return super().__new__(cls)


@contextmanager
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    monkeypatch.setattr(torch, "Generator", OnTheCPU)
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with elsewhere(), Counting() as counting:
            yield counting
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)


def assert_same_there(
    work: Callable[[torch.device], Any], monkeypatch: pytest.MonkeyPatch
) -> Counting:
    """Assert that work gives the same on both devices; return what was counted elsewhere."""
    torch.manual_seed(0)
    here = work(CPU)
    torch.manual_seed(0)
    with _elsewhere(monkeypatch) as counting:
        there = work(ELSEWHERE)
    torch.testing.assert_close(back(there), here)
    assert not counting.doubles
    return counting


def made(model: Callable[[], Module], device: torch.device) -> Any:
    """Return a model with random weights and biases in evaluation mode on the device."""
    made = model().eval()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(torch.randn(p.shape) * 0.3)
    return made.to(device)


@pytest.mark.parametrize(
    ("name", "checkpointing", "d_vocab"),
    [
        *((name, False, 17) for name in FAMILY),
        ("GPT-2", True, 17),
        ("GPT-2", False, LARGE_VOCABULARY + 1),
    ],
)
def test_an_update_is_the_same_and_reads_nothing_back(
    name: str, checkpointing: bool, d_vocab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting: list[int] = []

    def trained(device: torch.device) -> Any:
        model = made(lambda: GPT(replace(FAMILY[name], d_vocab=d_vocab)), device)
        if checkpointing:
            recompute_blocks(model)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
        batches, objective = TOKENS.to(device).chunk(2), pick_objective(NEXT_TOKEN, d_vocab)
        before = _waits()
        seen = [train_step(model, optimizer, *batches, objective=objective) for _ in range(2)]
        counting.append(_waits() - before)
        metrics = [(one.loss, one.gradient_norm) for one in seen]
        return metrics, [p.grad for p in model.parameters()]

    assert_same_there(trained, monkeypatch)
    assert counting == [0, 0]


def _waits() -> int:
    modes = torch.utils._python_dispatch._get_current_dispatch_mode_stack()
    return sum(mode.waits for mode in modes if isinstance(mode, Counting))


def test_a_run_waits_for_the_device_once_for_each_report(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(model=GPT2, max_steps=13, batch_size=5, log_every=4, eval_every=13)
    windows = TokenWindows(torch.arange(60) % 17, n_ctx=13)
    waits = []

    def run(device: torch.device) -> Any:
        model = made(lambda: GPT(GPT2), device)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
        records = train(
            TrainState(model=model, optimizer=optimizer),
            RandomBatches(windows, batch_size=5, steps=13, seed=0),
            windows,
            config,
            make_plan(config, len(windows)),
            Meter(device, tokens_per_step=65, flops_per_token=3.0, peak_flops=1.0),
            precision=torch.float32,
        )
        figures = []
        for record in records:
            waits.append(_waits())
            figures += [record[name] for name in ("loss", "validation_loss") if name in record]
        return figures

    assert_same_there(run, monkeypatch)
    assert waits[5:8] == [1, 2, 3], "at steps 4, 8 and 12"


DRAWING = Sampling(seed=1, temperature=0.9, top_k=9, top_p=0.9, min_p=0.01)


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        *((name, DRAWING) for name in FAMILY),
        ("GPT-2", Sampling(temperature=0.0)),
        ("GPT-2", Sampling(seed=1, repetition_penalty=1.2, presence_penalty=0.1)),
    ],
)
def test_a_token_is_waited_for_once(
    name: str, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def sampled(device: torch.device) -> Any:
        model = made(lambda: GPT(FAMILY[name]), device)
        drawn = []
        for step in sample(model, PROMPTS, n_new=5, sampling=sampling):
            drawn.append([(one.row, one.token) for one in step])
            waits.append(_waits())
        return torch.tensor(drawn, device=CPU)

    assert_same_there(sampled, monkeypatch)
    assert [after - before for before, after in itertools.pairwise(waits[5:])] == 4 * [1]


def test_log_probabilities_and_texts_that_end_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Sampling(temperature=0.0, stop_tokens=frozenset(range(9)))

    def sampled(device: torch.device) -> Any:
        model = made(lambda: GPT(GPT2), device)
        steps = sample(model, PROMPTS, n_new=12, sampling=options, log_probs=True)
        return [(one.row, one.token, one.log_prob) for step in steps for one in step]

    assert_same_there(sampled, monkeypatch)


WORK: dict[str, Callable[[torch.device], Any]] = {
    "generate, past the context": lambda device: [
        *generate(made(lambda: GPT(GPT2), device), TOKENS.to(device), n_new=12, temperature=0.0)
    ],
    "beam search": lambda device: [
        [(one.tokens, one.score) for one in found]
        for found in beam_search(
            made(lambda: GPT(GPT2), device),
            PROMPTS,
            n_new=12,
            n_beams=3,
            sampling=Sampling(stop_tokens=frozenset({3}), repetition_penalty=1.1),
        )
    ],
    "an encoder-decoder": lambda device: [
        [one.token for one in step]
        for step in sample_each(
            GrowingTargets(made(lambda: EncoderDecoder(GPT2), device), PROMPTS, start=0, n_new=6),
            n_new=6,
            sampling=Sampling(temperature=0.0),
        )
    ],
    "BERT's hidden tokens": lambda device: made(lambda: MaskedLanguageBERT(BERT), device)(
        TOKENS.to(device), (TOKENS > 0).to(device)
    ),
    "BERT's classes": lambda device: made(lambda: ClassifierBERT(BERT, n_classes=3), device)(
        TOKENS.to(device), (TOKENS > 0).to(device)
    ),
    "the logit lens": lambda device: logit_lens(made(lambda: GPT(GPT2), device), TOKENS.to(device)),
    "scores of heads": lambda device: vars(head_scores(made(lambda: GPT(GPT2), device))),
    "circuits": lambda device: [
        of(circuits_of(made(lambda: GPT(GPT2), device)).full_ov)
        for of in (copying_score, lambda ov: ov.trace(), lambda ov: ov.singular_values())
    ],
    "an edited run": lambda device: _edited(made(lambda: GPT(GPT2), device), TOKENS.to(device)),
}


def _edited(model: GPT, tokens: Tensor) -> Any:
    with watch(model, "blocks.*.attention.z") as seen:
        model(tokens)
    with edit(model, patched(seen, "blocks.1.attention.z", positions=[1])):
        put = model(tokens.flip(0))
    with edit(model, ablated_heads([(1, 0)])):
        return put, model(tokens)


@pytest.mark.parametrize("name", WORK)
def test_elsewhere_it_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same_there(WORK[name], monkeypatch)


@pytest.mark.parametrize("name", ["GPT-2", "LLaMA"])
def test_terms_of_a_logit_are_in_float64_where_that_can_be_had(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terms(device: torch.device) -> Any:
        model = made(lambda: GPT(FAMILY[name]), device)
        of = TOKENS.roll(-1, 1).to(device)
        found = logit_attribution(model, TOKENS.to(device), of, of.roll(1, 1))
        assert found.terms.device == CPU
        return found.terms, found.logits

    assert_same_there(terms, monkeypatch)


def test_tokens_that_stay_on_the_cpu_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with _elsewhere(monkeypatch):
        logits = made(lambda: GPT(GPT2), ELSEWHERE)(TOKENS.to(ELSEWHERE))
        with pytest.raises(TwoDevicesError, match="on the same device"):
            next_token_loss(logits, TOKENS)


def test_a_look_and_a_float64_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with _elsewhere(monkeypatch) as counting:
        x = torch.ones(3, device=ELSEWHERE)
        before = counting.waits
        x.sum().item(), x.cpu(), x.tolist(), bool(x.any()), torch.multinomial(x, 1)
        assert counting.waits - before == 5
        assert not counting.doubles
        x.double()
        assert counting.doubles
