"""Probes of the training step and of evaluation."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from transformer.components.embedding import Embedding, Unembedding
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import filled, integers, normal, probe
from transformer.training.adamw import AdamW

# Step


class Bigram(Module):
    """The smallest model that has a step to take; it notes how it was called."""

    def __init__(self, scale: float = 0.7) -> None:
        super().__init__()
        self.embedding = Embedding(d_vocab=7, d_model=5)
        self.unembedding = Unembedding(d_model=5, d_vocab=7)
        filled(self, scale=scale)
        self.modes: list[bool] = []
        self.read: list[Tensor] = []
        self.graphs: list[bool] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.read.append(tokens)
        logits: Tensor = self.unembedding(self.embedding(tokens))
        self.graphs.append(logits.requires_grad)
        return logits


class TwoAlike(Module):
    """Two parameters of one shape, which may be mistaken for each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Parameter(torch.zeros(3)), Parameter(torch.zeros(3))


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


@probe("step", "what the model reads of a row", "train_step")
def _step_reads(n: Namespace) -> Any:
    model = Bigram()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    n.train_step(model, optimizer, integers(7, 2, 5), clip_norm=1e9)
    return model.read


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
    windows = TokenWindows(integers(7, n_tokens), n_ctx=4)
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


@probe("evaluate", "what the model reads of one whole window", "evaluate")
def _evaluate_reads(n: Namespace) -> Any:
    return _evaluated(n, 5, 2)[1].read


@probe("evaluate", "a model in evaluation mode stays so", "evaluate")
def _evaluate_stays(n: Namespace) -> Any:
    from transformer.data.windows import TokenWindows

    model = Bigram().eval()
    n.evaluate(
        model, TokenWindows(integers(7, 9), n_ctx=4), batch_size=2, device=torch.device("cpu")
    )
    return model.training


@probe("evaluate", "no graph is kept", "evaluate")
def _evaluate_graph(n: Namespace) -> Any:
    return sorted(set(_evaluated(n, 17, 2)[1].graphs))


# Resuming


def _adam(model: Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.1)


def _advance(model: Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        for number, p in enumerate(model.parameters()):
            p.grad = normal(*p.shape, seed=10 * step + number, scale=3.0**-step)
        optimizer.step()


def _resumed(n: Namespace, *, stopped_at: int) -> tuple[Module, torch.optim.Optimizer]:
    """Return a model with an old one's weights, and an optimizer with its optimizer's memory."""
    old = Bigram()
    optimizer = _adam(old)
    _advance(old, optimizer, range(stopped_at))
    model = Bigram()
    model.load_state_dict(old.state_dict())
    resumed = _adam(model)
    n.set_optimizer_entries(model, resumed, n.optimizer_entries(old, optimizer))
    return model, resumed


_BOTH = ("optimizer_entries", "set_optimizer_entries")


@probe("resume", "two updates after three and a stop", *_BOTH)
def _resume(n: Namespace) -> Any:
    model, optimizer = _resumed(n, stopped_at=3)
    _advance(model, optimizer, range(3, 5))
    return _parameters(model)


@probe("resume", "an optimizer that counts its updates with a number", *_BOTH)
def _resume_numbers(n: Namespace) -> Any:
    model = Bigram()
    optimizer, again = (AdamW(model.parameters(), lr=0.1) for _ in range(2))
    _advance(model, optimizer, range(3))
    n.set_optimizer_entries(model, again, n.optimizer_entries(model, optimizer))
    return [again.state[p]["step"] for p in model.parameters()]


@probe("resume", "a stop before the first update", *_BOTH)
def _resume_fresh(n: Namespace) -> Any:
    model, optimizer = _resumed(n, stopped_at=0)
    _advance(model, optimizer, range(2))
    return _parameters(model)


@probe("resume", "an optimizer that has other memories when it is set", *_BOTH)
def _resume_over(n: Namespace) -> Any:
    fresh, used = Bigram(), Bigram()
    optimizer = _adam(used)
    _advance(used, optimizer, range(7, 9))
    n.set_optimizer_entries(used, optimizer, n.optimizer_entries(fresh, _adam(fresh)))
    return len(optimizer.state)


@probe("resume", "what was set twice is used twice", *_BOTH)
def _resume_twice(n: Namespace) -> Any:
    old = Bigram()
    optimizer = _adam(old)
    _advance(old, optimizer, range(3))
    kept = {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in n.optimizer_entries(old, optimizer).items()
    }
    ends = []
    for _ in range(2):
        model = Bigram()
        again = _adam(model)
        n.set_optimizer_entries(model, again, kept)
        _advance(model, again, range(3, 5))
        ends.append(_parameters(model))
    return ends


@probe("resume", "an entry of a parameter that the model lacks", "set_optimizer_entries")
def _resume_foreign(n: Namespace) -> Any:
    model = Bigram()
    try:
        n.set_optimizer_entries(model, _adam(model), {"W_none/exp_avg": torch.zeros(3)})
    except ValueError:
        return "refused"
    return "taken"


@probe("resume", "an entry of another shape than its parameter", "set_optimizer_entries")
def _resume_shape(n: Namespace) -> Any:
    model = Bigram()
    name = next(name for name, _ in model.named_parameters())
    try:
        n.set_optimizer_entries(model, _adam(model), {f"{name}/exp_avg": torch.zeros(3)})
    except ValueError:
        return "refused"
    return "taken"


@probe("resume", "two parameters of one shape", *_BOTH)
def _resume_alike(n: Namespace) -> Any:
    old, new = TwoAlike(), TwoAlike()
    before, after = _adam(old), _adam(new)
    old.a.grad, old.b.grad = normal(3, seed=1).float(), normal(3, seed=2).float()
    before.step()
    n.set_optimizer_entries(new, after, n.optimizer_entries(old, before))
    new.a.grad, new.b.grad = torch.ones(3), torch.ones(3)
    after.step()
    return _parameters(new)


@probe("resume", "random numbers after a stop", "random_states", "set_random_states")
def _resume_random(n: Namespace) -> Any:
    torch.manual_seed(5)
    torch.rand(3)
    kept = {name: state.clone() for name, state in n.random_states().items()}
    torch.rand(4)
    n.set_random_states(kept)
    return torch.rand(3)
