"""Activation checkpointing: less memory, for a second forward pass.

Only what goes into a block is kept; its activations are computed again when the backward pass
comes to it. Chen et al. 2016, "Training deep nets with sublinear memory cost", section 4.
"""

from functools import partial

from torch.utils.checkpoint import checkpoint

from transformer.training.trained import TrainedModel, blocks_of


def recompute_blocks(model: TrainedModel) -> None:
    """Have every block of `model` compute its activations twice and keep none, from now on.

    Dropout draws the same numbers both times.
    """
    for block in blocks_of(model):
        again = partial(checkpoint, block.forward, use_reentrant=False)
        block.forward = again
