"""Probes of the optimizer, the schedule, the step, evaluation and batches."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.embedding import Embedding, Unembedding
from transformer.learning.implementation import Namespace
from transformer.learning.probes.base import filled, integers, normal, probe

# AdamW

_SETTINGS: dict[str, Any] = {
    "lr": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.0,
}  # fmt: skip


def _update(n: Namespace, *, step: int = 1, moments: bool = False, **changes: Any) -> Any:
    first = normal(2, 3, seed=5) if moments else torch.zeros(2, 3, dtype=torch.float64)
    second = normal(2, 3, seed=6).square() if moments else torch.zeros(2, 3, dtype=torch.float64)
    parameter, gradient = normal(2, 3, seed=3), normal(2, 3, seed=4)
    settings = _SETTINGS | changes
    updated = n.adamw_update(parameter, gradient, first, second, step=step, **settings)
    return list(updated)


@probe("adamw", "the first update, no decay", "adamw_update")
def _first(n: Namespace) -> Any:
    return _update(n)


@probe("adamw", "the fifth update, no decay", "adamw_update")
def _fifth(n: Namespace) -> Any:
    return _update(n, step=5, moments=True)


@probe("adamw", "an update with decay", "adamw_update")
def _decay(n: Namespace) -> Any:
    return _update(n, step=5, moments=True, weight_decay=0.3)


@probe("adamw", "an update with a large epsilon", "adamw_update")
def _epsilon(n: Namespace) -> Any:
    return _update(n, step=5, moments=True, eps=0.5)


@probe("adamw", "an update with beta1 = 0", "adamw_update")
def _beta1(n: Namespace) -> Any:
    return _update(n, step=3, moments=True, beta1=0.0)


@probe("adamw", "an update with beta2 = 0", "adamw_update")
def _beta2(n: Namespace) -> Any:
    return _update(n, step=3, moments=True, beta2=0.0)


def _optimised(n: Namespace, steps: int, **settings: Any) -> tuple[list[Tensor], Any]:
    first, second = Parameter(normal(2, 3, seed=1)), Parameter(normal(5, seed=2))
    optimizer = n.AdamW([first, second], **({"lr": 0.1} | settings))
    for step in range(steps):
        optimizer.zero_grad()
        loss = (first * normal(2, 3, seed=10 + step)).sin().sum() + second.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [first.detach(), second.detach()], optimizer


@probe("adamw", "AdamW: one step on two tensors", "AdamW")
def _one_step(n: Namespace) -> Any:
    return _optimised(n, 1)[0]


@probe("adamw", "AdamW: seven steps on two tensors", "AdamW")
def _steps(n: Namespace) -> Any:
    return _optimised(n, 7)[0]


@probe("adamw", "AdamW: seven steps with other betas and epsilon", "AdamW")
def _steps_settings(n: Namespace) -> Any:
    return _optimised(n, 7, betas=(0.5, 0.7), eps=0.1)[0]


@probe("adamw", "AdamW: seven steps with strong decay", "AdamW")
def _steps_decay(n: Namespace) -> Any:
    return _optimised(n, 7, weight_decay=0.5)[0]


@probe("adamw", "AdamW: two groups with settings of their own", "AdamW")
def _groups(n: Namespace) -> Any:
    first, second = Parameter(normal(2, 3, seed=1)), Parameter(normal(5, seed=2))
    groups = [{"params": [first], "lr": 0.3, "weight_decay": 0.5}, {"params": [second]}]
    optimizer = n.AdamW(groups, lr=0.01, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        (first.square().sum() + second.sin().sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [first.detach(), second.detach()]


@probe("adamw", "AdamW: the learning rate changes between steps", "AdamW")
def _changing_rate(n: Namespace) -> Any:
    p = Parameter(normal(5, seed=2))
    optimizer = n.AdamW([p], lr=0.1, weight_decay=0.1)
    for rate in (0.1, 0.5, 0.02):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        p.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return p.detach()


@probe("adamw", "AdamW: a parameter without a gradient stays", "AdamW")
def _no_gradient(n: Namespace) -> Any:
    used, idle = Parameter(normal(3, seed=1)), Parameter(normal(3, seed=2))
    optimizer = n.AdamW([used, idle], lr=0.1, weight_decay=0.5)
    used.square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return [used.detach(), idle.detach()]


@probe("adamw", "AdamW: the gradients themselves are left alone", "AdamW")
def _gradients_kept(n: Namespace) -> Any:
    p = Parameter(normal(3, seed=1))
    optimizer = n.AdamW([p], lr=0.1, weight_decay=0.5)
    p.square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return p.grad


# Decay and clipping


@probe("optimizer", "which parameters are decayed", "is_decayed")
def _decayed(n: Namespace) -> Any:
    names = (
        "embedding.W_E", "blocks.0.attention.W_Q", "blocks.0.attention.b_Q", "linear.b",
        "blocks.0.mlp.b_in", "norm_final.scale", "norm_final.bias", "unembedding.b_U", "linear.W",
    )  # fmt: skip
    return {name: bool(n.is_decayed(name)) for name in names}


@probe("optimizer", "which parameters of a bare layer are decayed", "is_decayed")
def _decayed_bare(n: Namespace) -> Any:
    return {name: bool(n.is_decayed(name)) for name in ("b_Q", "b", "W", "scale", "W_E")}


def _clipped(n: Namespace, max_norm: float, scales: tuple[float, ...] = (1.0, 5.0)) -> Any:
    parameters = [Parameter(torch.zeros(2, 3, dtype=torch.float64)) for _ in scales]
    for i, (p, scale) in enumerate(zip(parameters, scales, strict=True)):
        p.grad = normal(2, 3, seed=i + 1, scale=scale)
    without = Parameter(torch.zeros(3, dtype=torch.float64))
    norm = n.clip_gradients([*parameters, without], max_norm)
    # As float32: with an epsilon beside the norm, as in torch, or without is a matter of taste.
    gradients = [None if p.grad is None else p.grad.float() for p in parameters]
    return {"norm": torch.tensor(float(norm)), "gradients": gradients}


@probe("optimizer", "clipping gradients above the limit", "clip_gradients")
def _clip_above(n: Namespace) -> Any:
    return _clipped(n, 1.0)


@probe("optimizer", "gradients below the limit stay", "clip_gradients")
def _clip_below(n: Namespace) -> Any:
    return _clipped(n, 1000.0)


@probe("optimizer", "clipping a single tensor", "clip_gradients")
def _clip_single(n: Namespace) -> Any:
    return _clipped(n, 2.0, scales=(3.0,))


@probe("optimizer", "clipping one large and one small gradient", "clip_gradients")
def _clip_unequal(n: Namespace) -> Any:
    return _clipped(n, 3.0, scales=(0.1, 100.0))


@probe("optimizer", "clipping parameters that come from a generator", "clip_gradients")
def _clip_generator(n: Namespace) -> Any:
    p = Parameter(torch.zeros(3, dtype=torch.float64))
    p.grad = normal(3, scale=9.0)
    n.clip_gradients((one for one in [p]), 1.0)
    return p.grad.float()


# Schedule


def _rates(n: Namespace, steps: range, **changes: Any) -> list[float]:
    settings = {"highest": 0.6, "steps": 20, "warmup_steps": 5, "min_factor": 0.1} | changes
    return [float(n.warmup_cosine(step, **settings)) for step in steps]


@probe("schedule", "the warm-up", "warmup_cosine")
def _warmup(n: Namespace) -> Any:
    return _rates(n, range(5))


@probe("schedule", "the first step after the warm-up", "warmup_cosine")
def _peak(n: Namespace) -> Any:
    return _rates(n, range(5, 6))


@probe("schedule", "the fall", "warmup_cosine")
def _fall(n: Namespace) -> Any:
    return _rates(n, range(6, 19))


@probe("schedule", "the last step", "warmup_cosine")
def _last(n: Namespace) -> Any:
    return _rates(n, range(19, 20))


@probe("schedule", "past the last step", "warmup_cosine")
def _past(n: Namespace) -> Any:
    return _rates(n, range(20, 25))


@probe("schedule", "without a warm-up", "warmup_cosine")
def _no_warmup(n: Namespace) -> Any:
    return _rates(n, range(20), warmup_steps=0)


@probe("schedule", "down to zero", "warmup_cosine")
def _to_zero(n: Namespace) -> Any:
    return _rates(n, range(20), min_factor=0.0)


# Step


class Bigram(Module):
    """The smallest model that has a step to take; it notes the mode it was called in."""

    def __init__(self, scale: float = 0.7) -> None:
        super().__init__()
        self.embedding = Embedding(d_vocab=7, d_model=5)
        self.unembedding = Unembedding(d_model=5, d_vocab=7)
        filled(self, scale=scale)
        self.modes: list[bool] = []
        self.graphs: list[bool] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.modes.append(self.training)
        logits: Tensor = self.unembedding(self.embedding(tokens))
        self.graphs.append(logits.requires_grad)
        return logits


def _parameters(model: Module) -> list[Tensor]:
    return [p.detach().float() for p in model.parameters()]


def _stepped(
    n: Namespace, *batches: list[Tensor], clip_norm: float = 1e9, lr: float = 0.5
) -> dict[str, Any]:
    model = Bigram()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    metrics = [n.train_step(model, optimizer, *parts, clip_norm=clip_norm) for parts in batches]
    return {
        "parameters": _parameters(model),
        "gradients": [None if p.grad is None else p.grad.float() for p in model.parameters()],
        "loss": [m.loss.detach() for m in metrics],
        "gradient norm": [torch.tensor(float(m.gradient_norm)) for m in metrics],
    }


@probe("step", "one step on one batch", "train_step")
def _step(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 2, 5)])


@probe("step", "two steps", "train_step")
def _two_steps(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 2, 5)], [integers(7, 2, 5, seed=2)])


@probe("step", "a step whose gradient is clipped", "train_step")
def _step_clipped(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 2, 5)], clip_norm=0.1)


@probe("step", "gradients that were there before", "train_step")
def _step_stale(n: Namespace) -> Any:
    model = Bigram()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    n.train_step(model, optimizer, integers(7, 2, 5), clip_norm=1e9)
    return _parameters(model)


@probe("step", "two equal micro-batches", "train_step")
def _step_accumulated(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 2, 5), integers(7, 2, 5, seed=2)])


@probe("step", "two unequal micro-batches", "train_step")
def _step_unequal(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 3, 5), integers(7, 1, 4, seed=2)])


for _training in (True, False):
    _came = "training" if _training else "evaluation"

    @probe("step", f"a model that comes in {_came} mode is trained in training mode", "train_step")
    def _step_mode(n: Namespace, training: bool = _training) -> Any:
        model = Bigram().train(training)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        n.train_step(model, optimizer, integers(7, 2, 5), clip_norm=1e9)
        return model.modes


@probe("step", "the returned loss holds no graph", "train_step")
def _step_graph(n: Namespace) -> Any:
    model = Bigram()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return n.train_step(model, optimizer, integers(7, 2, 5), clip_norm=1e9).loss.requires_grad


@probe("step", "two micro-batches of different lengths", "train_step")
def _step_lengths(n: Namespace) -> Any:
    return _stepped(n, [integers(7, 2, 5), integers(7, 2, 3, seed=2)])


@probe("step", "accumulate_gradients over unequal micro-batches", "accumulate_gradients")
def _accumulated(n: Namespace) -> Any:
    model = Bigram()
    loss = n.accumulate_gradients(model, [integers(7, 3, 5), integers(7, 1, 4, seed=2)])
    return [loss.detach(), [p.grad for p in model.parameters()]]


# Evaluation


def _evaluated(n: Namespace, n_tokens: int, batch_size: int) -> tuple[Any, Bigram]:
    from transformer.data.windows import TokenWindows

    model = Bigram().train()
    windows = TokenWindows(integers(7, n_tokens), n_ctx=5)
    loss = n.evaluate(model, windows, batch_size=batch_size, device=torch.device("cpu"))
    return loss, model


@probe("evaluate", "one whole window", "evaluate")
def _evaluate_one(n: Namespace) -> Any:
    return _evaluated(n, 5, 2)[0]


@probe("evaluate", "windows that fill their batches", "evaluate")
def _evaluate_full(n: Namespace) -> Any:
    return _evaluated(n, 17, 2)[0]


@probe("evaluate", "a last batch and a last window that are smaller", "evaluate")
def _evaluate_uneven(n: Namespace) -> Any:
    return _evaluated(n, 24, 3)[0]


@probe("evaluate", "the model's mode while it is evaluated, and after", "evaluate")
def _evaluate_mode(n: Namespace) -> Any:
    _, model = _evaluated(n, 17, 2)
    return [sorted(set(model.modes)), model.training]


@probe("evaluate", "a model in evaluation mode stays so", "evaluate")
def _evaluate_stays(n: Namespace) -> Any:
    from transformer.data.windows import TokenWindows

    model = Bigram().eval()
    n.evaluate(
        model, TokenWindows(integers(7, 9), n_ctx=5), batch_size=2, device=torch.device("cpu")
    )
    return model.training


@probe("evaluate", "no graph is kept", "evaluate")
def _evaluate_graph(n: Namespace) -> Any:
    return sorted(set(_evaluated(n, 17, 2)[1].graphs))


# Windows


@probe("windows", "how many windows there are, and each of them", "TokenWindows")
def _windows(n: Namespace) -> Any:
    windows = n.TokenWindows(torch.arange(11), n_ctx=4)
    return [len(windows), [windows[i].tolist() for i in range(8)]]


@probe("windows", "a batch of windows that begin at 5, 0 and 7", "TokenWindows")
def _windows_at(n: Namespace) -> Any:
    return n.TokenWindows(torch.arange(11), n_ctx=4).at(torch.tensor([5, 0, 7])).tolist()


@probe("windows", "windows over tokens of two bytes come out as int64", "TokenWindows")
def _windows_dtype(n: Namespace) -> Any:
    windows = n.TokenWindows(torch.arange(11, dtype=torch.int16), n_ctx=4)
    return [str(windows[2].dtype), str(windows.at(torch.tensor([1])).dtype)]


@probe("windows", "in_order over a text of whole windows", "TokenWindows")
def _windows_order(n: Namespace) -> Any:
    return [b.tolist() for b in n.TokenWindows(torch.arange(13), n_ctx=5).in_order(2)]


@probe("windows", "in_order over a text that leaves a rest", "TokenWindows")
def _windows_rest(n: Namespace) -> Any:
    return [b.tolist() for b in n.TokenWindows(torch.arange(15), n_ctx=5).in_order(2)]


for _length in (9, 10, 11, 12):

    @probe("windows", f"in_order over {_length} tokens in windows of 5", "TokenWindows")
    def _windows_length(n: Namespace, length: int = _length) -> Any:
        return [b.tolist() for b in n.TokenWindows(torch.arange(length), n_ctx=5).in_order(2)]


@probe("windows", "a text shorter than a window is refused", "TokenWindows")
def _windows_short(n: Namespace) -> Any:
    return len(n.TokenWindows(torch.arange(3), n_ctx=4))


# Splits


def _splits(n: Namespace, n_tokens: int, **fractions: float) -> Any:
    return [part.tolist() for part in n.split_tokens(torch.arange(n_tokens), **fractions)]


@probe("splits", "20 tokens", "split_tokens")
def _split(n: Namespace) -> Any:
    return _splits(n, 20)


@probe("splits", "20 tokens, a quarter to validate on", "split_tokens")
def _split_fraction(n: Namespace) -> Any:
    return _splits(n, 20, validation_fraction=0.25)


@probe("splits", "20 tokens with a test part", "split_tokens")
def _split_test(n: Namespace) -> Any:
    return _splits(n, 20, validation_fraction=0.25, test_fraction=0.2)
