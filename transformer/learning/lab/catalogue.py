"""The labs there are: which mistake each has, and what else it might be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from transformer.learning.bank import Misconception, find


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One lab.

    Attributes:
        name: gives nothing away.
        title: what one sees of it.
        mistake: its name in the bank.
        others: mistakes of the same exercise that it might be.
        model: fields of the small model's config that the mistake needs to be seen.
    """

    name: str
    title: str
    mistake: str
    others: tuple[str, ...]
    model: Mapping[str, object] = field(default_factory=dict)

    @property
    def misconception(self) -> Misconception:
        """The mistake, from the bank."""
        return find(self.mistake)

    @property
    def file(self) -> str:
        """The name of the file with the mistake in it."""
        return f"{self.name.replace('-', '_')}.py"

    @property
    def choices(self) -> dict[str, Misconception]:
        """What it may be, by letter, in an order that is always the same and says nothing."""

        def shuffled(name: str) -> bytes:
            return sha256(f"{self.name} {name}".encode()).digest()

        names = sorted((self.mistake, *self.others), key=shuffled)
        return {chr(ord("a") + i): find(name) for i, name in enumerate(names)}


LABS: dict[str, Lab] = {
    lab.name: lab
    for lab in (
        Lab(
            name="lab-1",
            title="The loss falls to zero",
            mistake="loss-not-shifted",
            others=(
                "loss-shifted-twice",
                "loss-summed",
                "loss-softmax-over-positions",
            ),
        ),
        Lab(
            name="lab-2",
            title="The loss falls far below what can be known",
            mistake="attention-mask-ignored-by-scores",
            others=(
                "attention-causal-off-by-one",
                "attention-mask-zeroes-scores",
                "attention-heads-split-by-reshape",
            ),
        ),
        Lab(
            name="lab-3",
            title="Quick at first, and never quite there",
            mistake="step-gradients-not-zeroed",
            others=(
                "step-not-clipped",
                "step-before-backward",
                "step-clipped-too-late",
            ),
        ),
        Lab(
            name="lab-4",
            title="Slow from the start",
            mistake="attention-scale-missing",
            others=(
                "attention-scale-without-root",
                "attention-softmax-over-heads",
                "attention-queries-as-keys",
            ),
            model={"d_head": 64, "init_std": 0.3},
        ),
        Lab(
            name="lab-5",
            title="It never learns how far back to look",
            mistake="attention-rotary-on-queries-only",
            others=(
                "attention-rotary-ignored",
                "attention-rotary-on-values",
                "attention-rotary-on-keys-only",
            ),
            model={"position": "rotary"},
        ),
        Lab(
            name="lab-6",
            title="A little worse, all the way",
            mistake="gpt-final-norm-missing",
            others=(
                "gpt-final-norm-twice",
                "gpt-norm-before-the-blocks",
                "gpt-residual-around-the-blocks",
            ),
        ),
        Lab(
            name="lab-7",
            title="Slowly better than it can be",
            mistake="attention-softmax-over-queries",
            others=(
                "attention-causal-ignored",
                "attention-softmax-over-heads",
                "attention-values-mixed-by-column",
            ),
        ),
        Lab(
            name="lab-8",
            title="It gets there late",
            mistake="attention-keys-as-values",
            others=(
                "attention-queries-as-keys",
                "attention-values-not-projected",
                "attention-scores-cut-from-the-gradient",
            ),
        ),
        Lab(
            name="lab-9",
            title="Nothing is to be seen",
            mistake="pre-norm-mlp-reads-resid-pre",
            others=(
                "pre-norm-norms-exchanged",
                "pre-norm-one-norm-for-both",
                "pre-norm-second-residual-after-the-norm",
            ),
        ),
    )
}


def lab(name: str) -> Lab:
    """Return the lab of this name; an unknown one is a ValueError that lists them."""
    if name not in LABS:
        raise ValueError(f"there is no lab {name!r}; there are: {', '.join(LABS)}")
    return LABS[name]
