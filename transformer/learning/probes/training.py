"""Probes of the training step and of evaluation."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from transformer.components.embedding import Embedding, Unembedding
from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import filled, integers, probe

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


def parameters_of(model: Module) -> list[Tensor]:
    """Return its parameters in float32, as an outcome to compare."""
    return [p.detach().float() for p in model.parameters()]


def _stepped(
    n: Namespace, *batches: list[Tensor], clip_norm: float = 1e9, lr: float = 0.5
) -> dict[str, Any]:
    model = Bigram()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    metrics = [n.train_step(model, optimizer, *parts, clip_norm=clip_norm) for parts in batches]
    return {
        "parameters": parameters_of(model),
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
    return parameters_of(model)


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
