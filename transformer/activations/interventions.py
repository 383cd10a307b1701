"""The usual experiments, as edits to hand to `edit`, and the logit lens.

with edit(model, ablated_heads([(1, 4)])):                  # what is it for?
with edit(model, patched(seen, "blocks.2.resid_post")):     # where is it known?
logit_lens(model, tokens)                                   # when is it decided?
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from transformer.activations.seen import Activations
from transformer.activations.watching import Edit, watch
from transformer.models.gpt import GPT


def ablated_heads(
    heads: Iterable[tuple[int, int]], *, attention: str = "blocks.{layer}.attention"
) -> dict[str, Edit]:
    """Return the edits that let each (layer, head) write nothing: its z becomes zeros.

    What is left is the sum of the other heads and the biases (zero ablation; Olsson et al.
    2022 keep the patterns of the first run, which this does not). `attention` is where a
    layer's attention stands in the model.
    """
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)
    return {
        f"{attention.format(layer=layer)}.z": _zeroed(of_layer)
        for layer, of_layer in by_layer.items()
    }


def _zeroed(heads: Sequence[int]) -> Edit:
    def zeroed(
        z: Float[Tensor, "batch pos n_heads d_head"],
    ) -> Float[Tensor, "batch pos n_heads d_head"]:
        kept = z.new_ones(z.shape[2])
        kept[list(heads)] = 0.0
        return z * kept[:, None]

    return zeroed


def patched(
    seen: Activations, *names: str, positions: slice | Sequence[int] = slice(None)
) -> dict[str, Edit]:
    """Return the edits that put activations of another run, `seen`, in place of this one's.

    With `positions` only those are replaced: along the second axis, `pos`, and of scores and
    patterns the queries' along the third. A run of one row is put into every row. Activation
    patching, as causal tracing (Meng et al. 2022, section 2.1) does it with a run on corrupted
    tokens. ValueError from the edit where the two runs do not fit.
    """

    def put(name: str, source: Shaped[Tensor, "*shape"]) -> Edit:
        def put_source(value: Shaped[Tensor, "*shape2"]) -> Shaped[Tensor, "*shape2"]:
            axis = 2 if name.endswith((".scores", ".pattern")) else 1
            at = (*[slice(None)] * axis, positions)
            new, taken = value.clone(), source[at]
            # Torch would repeat a single position, as the last pass of a generation has it.
            if len(source) not in (1, len(value)) or taken.shape[1:] != value[at].shape[1:]:
                raise ValueError(
                    f"{name} is {tuple(source.shape)} in the run to take from and "
                    f"{tuple(value.shape)} in this one: both need tokens of the same shape, or the "
                    "first a single row"
                )
            new[at] = taken
            return new

        return put_source

    return {name: put(name, seen[name]) for name in names}


@torch.no_grad()
def logit_lens(
    model: GPT, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layers batch pos d_vocab"]:
    """Return the logits that the residual stream would give before each block, and at the end.

    The first are those of the embedding, the last the model's own: each state of the stream
    goes through the final norm and the unembedding as if it were the last (nostalgebraist
    2020, "interpreting GPT: the logit lens").
    """
    with watch(model, "dropout", *(f"blocks.{i}" for i in range(len(model.blocks)))) as seen:
        model(tokens)
    states = [seen["dropout"], *(seen[f"blocks.{i}"] for i in range(len(model.blocks)))]
    normed = [state if model.norm_final is None else model.norm_final(state) for state in states]
    return torch.stack([model.unembedding(state) for state in normed])
