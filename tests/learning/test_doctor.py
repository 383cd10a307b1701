"""The doctor finds nothing wrong with a sound run, and in each broken one the fault itself."""

import copy
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import Module, Parameter

from transformer.components.attention import Attention
from transformer.components.loss import cross_entropy, next_token_loss
from transformer.config import TransformerConfig
from transformer.learning.doctor import Report, doctor
from transformer.learning.doctor.flow import check_flow, check_random_tokens
from transformer.learning.doctor.objective import check_loss_of_uniform, check_shift
from transformer.learning.doctor.rates import check_learning_rate, try_learning_rates
from transformer.learning.doctor.report import Finding, Rates
from transformer.learning.doctor.sizes import check_sizes, measure_sizes
from transformer.learning.doctor.start import check_finite, check_first_loss
from transformer.learning.doctor.trial import Trial, adamw
from transformer.learning.doctor.whole import check_overfitting, floor_by_heart, overfit
from transformer.models.gpt import GPT
from transformer.models.parts import Parts

pytestmark = pytest.mark.slow  # it trains many small models
D_VOCAB, POS = 11, 13
SMALL = TransformerConfig(
    d_vocab=D_VOCAB, n_ctx=POS, d_model=24, n_layers=1, n_heads=2, d_head=7, d_mlp=29
)


def batches(n: int = 3) -> tuple[Tensor, ...]:
    """Texts in which each token is followed by one of two."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for _ in range(n):
        tokens = torch.randint(D_VOCAB, (5, 1), generator=generator)
        while tokens.shape[1] < POS:
            step = torch.randint(2, (5, 1), generator=generator) * 3 + 1
            tokens = torch.cat([tokens, (tokens[:, -1:] + step) % D_VOCAB], dim=1)
        made.append(tokens)
    return tuple(made)


def trial(model: Module | None = None, **changes: Any) -> Trial:
    sound = Trial(
        model=GPT(SMALL) if model is None else model,
        batches=batches(),
        loss=next_token_loss,
        learning_rate=3e-3,
        make_optimizer=adamw,
        seed=0,
    )
    return replace(sound, **changes)


# Ways of breaking it, each by the check that should name it.


def without_a_mask(**keywords: Any) -> Module:
    return Attention(**keywords | {"causal": False})


class Around(Module):
    """A GPT with something done to it."""

    def __init__(self, change: Callable[["Around", Tensor], Tensor]) -> None:
        super().__init__()
        self.gpt, self.change = GPT(SMALL), change
        self.extra = Parameter(torch.ones(1))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.change(self, tokens)


def without_extra(model: Around, tokens: Tensor) -> Tensor:
    logits: Tensor = model.gpt(tokens)
    return logits


def with_dead_extra(model: Around, tokens: Tensor) -> Tensor:
    return without_extra(model, tokens) + 0.0 * model.extra


def with_rows_mixed(model: Around, tokens: Tensor) -> Tensor:
    logits = model.extra * without_extra(model, tokens)
    return logits - logits.mean(dim=0, keepdim=True)


def cut_off(model: Around, tokens: Tensor) -> Tensor:
    return without_extra(model, tokens).detach() + model.extra


def endless_gradient(model: Around, tokens: Tensor) -> Tensor:
    # The root of 0 is 0, and its gradient infinite.
    return without_extra(model, tokens) + (model.extra - 1).abs().sqrt()


def of_the_token_alone(model: Around, tokens: Tensor) -> Tensor:
    return model.extra * torch.nn.functional.one_hot(tokens, D_VOCAB).float()


def not_shifted(logits: Tensor, tokens: Tensor) -> Tensor:
    return cross_entropy(logits, tokens)


def shifted_twice(logits: Tensor, tokens: Tensor) -> Tensor:
    return cross_entropy(logits[:, :-2], tokens[:, 2:])


def scaled_by(factor: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda logits, tokens: factor * next_token_loss(logits, tokens)


def with_a_nan() -> Module:
    model = GPT(SMALL)
    with torch.no_grad():
        model.blocks[0].mlp.W_in[3, 5] = math.nan  # type: ignore[union-attr,operator]
    return model


def of_another_model(model: Module, learning_rate: float) -> torch.optim.Optimizer:
    return adamw(copy.deepcopy(model), learning_rate)


def sizes(on: Trial) -> list[Finding]:
    return check_sizes(measure_sizes(on))


def learning_rate(on: Trial) -> list[Finding]:
    return [check_learning_rate(on, try_learning_rates(on))]


def by_heart(on: Trial) -> list[Finding]:
    return [check_overfitting(on, overfit(on, 1e-2))]


def finite(on: Trial) -> list[Finding]:
    return [check_finite(on)]


def first_loss(on: Trial) -> list[Finding]:
    return [check_first_loss(on)]


def objective(on: Trial) -> list[Finding]:
    return [check_loss_of_uniform(on), check_shift(on)]


def random_tokens(on: Trial) -> list[Finding]:
    return [check_random_tokens(on, 1e-2)]


CHECKS = [finite, first_loss, objective, check_flow, random_tokens, sizes, learning_rate, by_heart]

BROKEN: dict[str, tuple[Callable[[], Trial], Callable[[Trial], list[Finding]], str, str]] = {
    "initial weights of scale 1": (
        *(lambda: trial(GPT(replace(SMALL, init_std=1.0))), first_loss),
        *("first loss", "initial weights"),
    ),
    "a NaN among the weights": (
        *(lambda: trial(with_a_nan()), finite),
        *("weights are numbers", "initialised or loaded"),
    ),
    "a loss that is not shifted": (
        *(lambda: trial(loss=not_shifted), objective),
        *("the target is the next token", "logits at t with the token at t"),
    ),
    "a loss that is shifted twice": (
        *(lambda: trial(loss=shifted_twice), objective),
        *("the target is the next token", "more than once"),
    ),
    "a loss that is summed": (
        *(lambda: trial(loss=scaled_by(5 * (POS - 1))), objective),
        *("loss of equal logits", "sum over all targets"),
    ),
    "a loss in bits": (
        *(lambda: trial(loss=scaled_by(1 / math.log(2))), objective),
        *("loss of equal logits", "bits"),
    ),
    "a copied answer, on random tokens": (
        *(lambda: trial(loss=not_shifted), random_tokens),
        *("random tokens cannot be forecast", "shown what it should forecast"),
    ),
    "no causal mask": (
        *(lambda: trial(GPT(SMALL, Parts(attention=without_a_mask))), check_flow),
        *("no logits see a later token", "causal mask"),
    ),
    "a mean over the batch": (
        *(lambda: trial(Around(with_rows_mixed)), check_flow),
        *("rows of a batch are apart", "batch axis"),
    ),
    "no blocks": (
        *(lambda: trial(GPT(replace(SMALL, n_layers=0))), check_flow),
        *("logits see earlier tokens", "whether attention is called"),
    ),
    "a parameter that is not used": (
        *(lambda: trial(Around(without_extra)), sizes),
        *("every parameter is used", "forward uses them"),
    ),
    "a parameter that is multiplied by zero": (
        *(lambda: trial(Around(with_dead_extra)), sizes),
        *("no parameter is dead", "multiplies them by zero"),
    ),
    "logits cut from the gradient": (
        *(lambda: trial(Around(cut_off)), sizes),
        *("every parameter is used", "detach"),
    ),
    "an endless gradient": (
        *(lambda: trial(Around(endless_gradient)), sizes),
        *("gradients are numbers", "roots"),
    ),
    "an optimizer of another model": (
        *(lambda: trial(make_optimizer=of_another_model), sizes),
        *("the optimizer moves every parameter", "the optimizer was made with"),
    ),
    "updates that replace the weights": (
        *(lambda: trial(learning_rate=1.0), sizes),
        *("size of updates", "a lower learning rate"),
    ),
    "updates that do not matter": (
        *(lambda: trial(learning_rate=1e-7), sizes),
        *("size of updates", "a higher learning rate"),
    ),
    "a learning rate of 10": (
        *(lambda: trial(learning_rate=10.0), learning_rate),
        *("learning rate", "a lower learning rate"),
    ),
    "a learning rate of 0.000001": (
        *(lambda: trial(learning_rate=1e-6), learning_rate),
        *("learning rate", "a higher learning rate"),
    ),
    "no learning rate at all": (
        *(lambda: trial(make_optimizer=of_another_model), learning_rate),
        *("learning rate", "no learning rate"),
    ),
    "a model too poor for one batch": (
        *(lambda: trial(Around(of_the_token_alone)), by_heart),
        *("one batch by heart", "loses information"),
    ),
}


def grave(findings: list[Finding]) -> dict[str, Finding]:
    return {f.check: f for f in findings if f.severity in ("warning", "problem")}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_run_is_named_and_pointed_at(what: str) -> None:
    make, check, named, look_at = BROKEN[what]
    found = grave(check(make()))
    assert list(found) == [named]
    assert look_at in found[named].look_at


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_found_once_it_is_mended(check: Callable[[Trial], list[Finding]]) -> None:
    findings = check(trial())
    assert findings
    assert grave(findings) == {}


@pytest.mark.parametrize("factor", [5 * (POS - 1), 1 / math.log(2), 0.25])
def test_a_loss_on_another_scale_is_one_finding_and_not_many(factor: float) -> None:
    scaled = trial(loss=scaled_by(factor))
    assert grave(first_loss(scaled)) == {}
    assert grave(random_tokens(scaled)) == {}
    assert list(grave(objective(scaled))) == ["loss of equal logits"]


# The whole


@pytest.fixture(scope="module")
def sound_report() -> Report:
    torch.manual_seed(0)
    return doctor(GPT(SMALL), batches())


def test_a_sound_run_has_no_finding_above_a_note(sound_report: Report) -> None:
    assert sound_report.worst in ("fine", "note"), sound_report
    assert len(sound_report.findings) == 15


def test_the_report_goes_through_json_and_fits_a_narrow_terminal(sound_report: Report) -> None:
    content = json.loads(json.dumps(sound_report.to_json(), allow_nan=False))
    assert content["findings"][0]["check"] == "weights are numbers"
    assert content["sizes"][0]["name"] == "embedding.W_E"
    console = Console(width=60, file=io.StringIO())
    with console.capture() as capture:
        console.print(sound_report)
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 60
    assert "one batch by heart" in text


def test_the_model_and_the_random_state_are_left_as_they_were() -> None:
    model = GPT(replace(SMALL, dropout=0.3)).eval()
    model.embedding.W_E.requires_grad_(False)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    tokens = batches(1)
    kept = tokens[0].clone()
    doctor(model, tokens)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(tokens[0], kept)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_that_are_no_numbers_are_the_only_finding() -> None:
    report = doctor(with_a_nan(), batches())
    assert report.named("problem") == ["weights are numbers"]
    assert len(report.findings) == 1
    assert "blocks.0.mlp.W_in (1 of 696)" in report.findings[0].measured


@pytest.mark.parametrize("none", [(), (torch.zeros(3, 1, dtype=torch.long),)])
def test_batches_that_hold_no_target_are_refused(none: tuple[Tensor, ...]) -> None:
    with pytest.raises(ValueError, match="at least one batch, batch x pos, with 2 positions"):
        doctor(GPT(SMALL), none)


# Figures


def test_the_floor_of_a_batch_by_heart() -> None:
    assert floor_by_heart(torch.tensor([[1, 2, 3], [4, 5, 6]])) == 0
    # After 1 come 2 and 3: ln 2 for one of two targets in each row, nothing for the other.
    assert floor_by_heart(torch.tensor([[1, 2, 5], [1, 3, 5]])) == pytest.approx(math.log(2) / 2)


def test_the_best_learning_rate_is_that_with_the_lowest_loss() -> None:
    assert Rates(first=3.0, after=((0.1, 2.0), (0.2, 1.5), (0.3, math.inf))).best == 0.2


def test_the_gradient_and_the_update_of_a_linear_model_are_those_worked_by_hand() -> None:
    model = nn.Embedding(2, 2)  # its rows are the logits
    with torch.no_grad():
        model.weight.fill_(1.0)

    def sgd(model: Module, learning_rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=learning_rate)

    tokens = (torch.tensor([[0, 1]]),)
    one = trial(model, batches=tokens, make_optimizer=sgd, learning_rate=1e-9)
    [size] = measure_sizes(one)
    # softmax - one-hot at token 0 is (1/2, -1/2); nothing at token 1: rms sqrt(1/8).
    assert size.parameter == 1.0
    assert size.gradient == pytest.approx(math.sqrt(1 / 8), rel=1e-6)
