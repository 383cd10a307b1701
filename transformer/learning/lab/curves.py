"""Two short training runs on the same tokens: with our own parts, and with a lab's in place.

    python -P -m transformer.learning.lab.curves FILE CHANGES

FILE holds the lab's component, CHANGES the fields of the model's config that the lab sets, as
JSON. Prints the losses of both runs as JSON. It is a process of its own because a part that
stands in place of ours stands there for good.

The text: each token is the one three places before it, three times in four, and else any.
Whoever sees no later token cannot do better than the entropy of that draw.
"""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from transformer.learning.exercises import exercise
from transformer.learning.own.implementation import load, reference
from transformer.learning.own.substitution import substitute

D_VOCAB, N_CTX, BACK, REPEATED = 17, 24, 3, 0.75
BATCH, STEPS, LEARNING_RATE, CLIP_NORM = 16, 150, 3e-3, 1.0
MODEL: dict[str, Any] = {
    **{"d_vocab": D_VOCAB, "n_ctx": N_CTX, "d_model": 32, "n_layers": 2, "n_heads": 2},
    **{"d_head": 16, "d_mlp": 64, "init_std": 0.1},
}


def some_text(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """Return rows of tokens that repeat themselves at a distance of three."""
    tokens = torch.randint(D_VOCAB, (BATCH, N_CTX), generator=generator)
    repeats = torch.rand(BATCH, N_CTX, generator=generator) < REPEATED
    for t in range(BACK, N_CTX):
        tokens[:, t] = torch.where(repeats[:, t], tokens[:, t - BACK], tokens[:, t])
    return tokens


def floor() -> float:
    """Return the lowest mean loss of whoever sees earlier tokens only, in nats."""
    other = (1 - REPEATED) / D_VOCAB
    same = REPEATED + other
    entropy = -same * math.log(same) - (D_VOCAB - 1) * other * math.log(other)
    # The first targets have nothing three places before them.
    return ((BACK - 1) * math.log(D_VOCAB) + (N_CTX - BACK) * entropy) / (N_CTX - 1)


def losses(changes: Mapping[str, Any]) -> list[float]:
    """Train a small model with the parts that stand in the package now; return each loss."""
    model_of, step = reference(exercise("gpt")).GPT, reference(exercise("step")).train_step
    from transformer.config import TransformerConfig

    torch.manual_seed(0)
    model = model_of(TransformerConfig(**(MODEL | dict(changes))))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    generator = torch.Generator().manual_seed(1)
    return [
        step(model, optimizer, some_text(generator), clip_norm=CLIP_NORM).loss.item()
        for _ in range(STEPS)
    ]


def main(arguments: list[str]) -> None:
    """Print the losses of both runs."""
    file, changes = arguments[0], json.loads(arguments[1])
    torch.set_num_threads(1)
    right = losses(changes)
    substitute(load(file))
    print(json.dumps({"right": right, "lab": losses(changes)}))


if __name__ == "__main__":
    main(sys.argv[1:])
