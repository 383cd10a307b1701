"""What was seen of a forward pass: tensors by name, and the errors that say why one is missing."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from html import escape
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor


class Activations(Mapping[str, Tensor]):
    """The activations of a forward pass by name, in the order in which they were computed."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Tensor, int]] = {}

    def keep(self, name: str, value: Any) -> None:
        """Keep `value` if it is a tensor, in place of what went by that name before."""
        if isinstance(value, Tensor):
            self._seen.pop(name, None)
            self._seen[name] = (value, _version(value))

    def __getitem__(self, name: str) -> Shaped[Tensor, "*shape"]:
        """Return an activation; KeyError if it was not seen, RuntimeError if overwritten since."""
        if name not in self._seen:
            close = ", ".join(get_close_matches(name, self._seen))
            why = f"seen were {close}" if close else "has the model run, and is it watched?"
            raise KeyError(f"{name} was not seen: {why}")
        value, version = self._seen[name]
        if _version(value) != version:
            raise RuntimeError(
                f"{name} was changed in place after it was computed (x += y, for example), so "
                "that its value is lost: write x = x + y there"
            )
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def stack(self, pattern: str) -> Shaped[Tensor, "names *shape"]:
        """Return all activations whose names match, such as "blocks.*.resid_post", stacked.

        KeyError if none does.
        """
        names = [name for name in self if fnmatchcase(name, pattern)]
        if not names:
            raise KeyError(f"nothing that matches {pattern} was seen, of {len(self)} activations")
        return torch.stack([self[name] for name in names])

    def __repr__(self) -> str:
        lines = [f"  {name}: {_shape(self._seen[name][0])}" for name in self]
        return "\n".join([f"{len(self)} activations", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{escape(name)}</code></td><td>{_shape(self._seen[name][0])}</td></tr>"
            for name in self
        )
        return f"<table><tr><th>activation</th><th>shape</th></tr>{rows}</table>"


def _shape(value: Shaped[Tensor, "*shape"]) -> str:
    return " x ".join(map(str, value.shape)) or "scalar"


def _version(value: Shaped[Tensor, "*shape"]) -> int:
    """Return how often torch has changed the tensor in place; it counts none in inference mode."""
    return 0 if value.is_inference() else value._version
