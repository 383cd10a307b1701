"""Tables of how each tensor of another library is made of our parameters, used both ways.

    Row("h.{layer}.attn.c_attn.weight", "blocks.{layer}.attention.W_Q W_K W_V",
        "d_model (qkv n_heads d_head) -> qkv n_heads d_model d_head")

Their tensor, our parameter or several of one module, and the rearrangement in einops' words,
from theirs to ours; without an arrow nothing is rearranged. Several parameters are stacked
along a new first axis. A row whose parameters a model lacks (a bias, a head) does not apply.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import Module

LAYER = "{layer}"
MOST_LISTED = 6  # names of tensors in a complaint
Tensors = Mapping[str, Shaped[Tensor, "..."]]


@dataclass(frozen=True)
class Row:
    """One tensor of theirs: its name, the names of ours, and the axes of both."""

    theirs: str
    ours: str
    axes: str

    @property
    def parameters(self) -> list[str]:
        """The full names of our parameters."""
        path, dot, names = self.ours.rpartition(".")
        return [f"{path}{dot}{name}" for name in names.split()]

    @property
    def sides(self) -> tuple[str, str]:
        """Their axes and ours."""
        theirs, arrow, ours = self.axes.partition("->")
        return theirs.strip(), ours.strip() if arrow else theirs.strip()

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape of their tensor, given the size of every axis."""
        shape, inside = [], False
        for word in self.sides[0].replace("(", " ( ").replace(")", " ) ").split():
            if word in "()":
                inside = word == "("
                shape += [1] * inside
            elif inside:
                shape[-1] *= sizes[word]
            else:
                shape.append(sizes[word])
        return tuple(shape)

    def to_ours(
        self, tensor: Shaped[Tensor, "..."], sizes: Mapping[str, int]
    ) -> list[Shaped[Tensor, "..."]]:
        """Return our parameters' values, made of their tensor."""
        theirs, ours = self.sides
        value = rearrange(tensor, f"{theirs} -> {ours}", **self._known(sizes))
        return list(value) if len(self.parameters) > 1 else [value]

    def to_theirs(
        self, values: Sequence[Shaped[Tensor, "..."]], sizes: Mapping[str, int]
    ) -> Shaped[Tensor, "..."]:
        """Return their tensor, made of our parameters' values."""
        theirs, ours = self.sides
        value = torch.stack(list(values)) if len(values) > 1 else values[0]
        tensor = rearrange(value, f"{ours} -> {theirs}", **self._known(sizes))
        return tensor.contiguous()

    def _known(self, sizes: Mapping[str, int]) -> dict[str, int]:
        words = self.sides[0].replace("(", " ").replace(")", " ").split()
        return {axis: sizes[axis] for axis in words}


def applying(rows: Iterable[Row], model: Module, n_layers: int) -> list[Row]:
    """Return the rows of this model, one for each layer where they name one.

    ValueError for a parameter of the model that no row names.
    """
    parameters = dict(model.named_parameters())
    found = [
        one
        for row in rows
        for one in _of_each_layer(row, n_layers)
        if set(one.parameters) <= parameters.keys()
    ]
    if without := sorted(parameters.keys() - {name for row in found for name in row.parameters}):
        raise ValueError(f"the other library has no place for {_listed(without)}")
    return found


def _of_each_layer(row: Row, n_layers: int) -> Iterator[Row]:
    if LAYER not in row.theirs:
        yield row
        return
    for layer in range(n_layers):
        theirs, ours = (name.replace(LAYER, str(layer)) for name in (row.theirs, row.ours))
        yield replace(row, theirs=theirs, ours=ours)


def fill(model: Module, rows: Sequence[Row], tensors: Tensors, sizes: Mapping[str, int]) -> None:
    """Copy their tensors into our parameters, in the dtype of the parameters.

    Every row must find its tensor and every tensor its row: else ValueError with all that is
    missing, left over, of a wrong shape, or of whole numbers, which quantised weights are.
    """
    wanted = {row.theirs for row in rows}
    wrong, of_one = [], []
    if missing := sorted(wanted - tensors.keys()):
        wrong.append(f"missing: {_listed(missing)}")
    if left_over := sorted(tensors.keys() - wanted):
        wrong.append(f"left over: {_listed(left_over)}")
    with torch.no_grad():
        for row in rows:
            if row.theirs not in tensors:
                continue
            tensor, shape = tensors[row.theirs], row.shape(sizes)
            if tuple(tensor.shape) != shape:
                of_one.append(
                    f"{row.theirs} has the shape {tuple(tensor.shape)}, the config says "
                    f"{shape} ({row.sides[0]})"
                )
            elif not tensor.is_floating_point():
                of_one.append(f"{row.theirs} has the dtype {tensor.dtype}, which is no weight's")
            else:
                values = row.to_ours(tensor, sizes)
                for name, value in zip(row.parameters, values, strict=True):
                    model.get_parameter(name).copy_(value)
    if of_one:
        wrong.append(_listed(of_one, between="; "))
    if wrong:
        raise ValueError("the weights are not those of the config. " + "; ".join(wrong))


def to_theirs(
    model: Module, rows: Sequence[Row], sizes: Mapping[str, int]
) -> dict[str, Shaped[Tensor, "..."]]:
    """Return their tensors, made of our parameters."""
    with torch.no_grad():
        return {
            row.theirs: row.to_theirs([model.get_parameter(name) for name in row.parameters], sizes)
            for row in rows
        }


def _listed(names: Sequence[str], *, between: str = ", ") -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return between.join(names[:MOST_LISTED]) + more
