"""What the checks try things on: copies of the model, its batches, its loss, its optimizer."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import Module

Loss = Callable[[Float[Tensor, "batch pos d_vocab"], Int[Tensor, "batch pos"]], Float[Tensor, ""]]
MakeOptimizer = Callable[[Module, float], torch.optim.Optimizer]


def adamw(model: Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return torch's AdamW over all parameters, without decay."""
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The arguments of `doctor`, and how the checks use them."""

    model: Module
    batches: tuple[Int[Tensor, "batch pos"], ...]
    loss: Loss
    learning_rate: float
    make_optimizer: MakeOptimizer
    seed: int

    @cached_property
    def d_vocab(self) -> int:
        """The size of the vocabulary, read off the logits."""
        return self.logits(self.copy().eval(), self.batches[0][:1]).shape[-1]

    @property
    def uniform(self) -> float:
        """ln(d_vocab), in nats: the loss of a model that gives every token the same chance."""
        return math.log(self.d_vocab)

    @cached_property
    def to_nats(self) -> float:
        """What a loss is multiplied by to be in nats per target.

        So that a sum, or bits, is one finding and not a wrong figure in every other: logits
        all zero cost ln(d_vocab). 1 for a loss that has no such scale.
        """
        tokens = self.batches[0]
        zeros = torch.zeros(*tokens.shape, self.d_vocab, device=tokens.device)
        of_zeros = self.loss(zeros, tokens).item()
        return self.uniform / of_zeros if 0 < of_zeros < math.inf else 1.0

    def copy(self) -> Module:
        """Return a copy of the model in training mode, without gradients."""
        model = copy.deepcopy(self.model).train()
        model.zero_grad(set_to_none=True)
        return model

    @torch.no_grad()
    def logits(
        self, model: Module, tokens: Int[Tensor, "batch pos"]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Return a model's logits, without a graph."""
        logits: Tensor = model(tokens)
        return logits

    def loss_on(self, model: Module, tokens: Int[Tensor, "batch pos"]) -> float:
        """Return the loss of a model on one batch; infinity where it is no number."""
        loss = self.loss(self.logits(model, tokens), tokens).item()
        return loss if math.isfinite(loss) else math.inf

    def train(
        self, model: Module, batches: Iterable[Int[Tensor, "batch pos"]], learning_rate: float
    ) -> Iterator[float]:
        """Train `model` in place, an update a batch; yield each loss, from before its update.

        It ends early where a loss is no number, which is then yielded as infinity.
        """
        optimizer = self.make_optimizer(model, learning_rate)
        for tokens in batches:
            optimizer.zero_grad()
            loss = self.loss(model(tokens), tokens)
            if not bool(loss.isfinite()):
                yield math.inf
                return
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield loss.item()

    def random_tokens(self, n_batches: int) -> Iterator[Int[Tensor, "batch pos"]]:
        """Yield batches of uniformly random tokens in the shape of the first."""
        generator = torch.Generator().manual_seed(self.seed)
        first = self.batches[0]
        for _ in range(n_batches):
            tokens = torch.randint(self.d_vocab, first.shape, generator=generator)
            yield tokens.to(first.device)
