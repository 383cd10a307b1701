"""Two contexts in which a model's activations are seen by name, and changed.

While one is open, the modules that are asked about run a rewritten copy of their `forward`
(rewriting.py), which the instance holds in place of its class's. Afterwards nothing of it is
left.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import MethodType
from typing import Any, Literal

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn import Module

from transformer.activations.rewriting import named_values, rewrite
from transformer.activations.seen import Activations

Edit = Callable[[Any], Any]
Visit = Callable[[str, Any], Any]
Kind = Literal["changes", "keeps"]


def activation_names(model: Module) -> list[str]:
    """Return every name that an activation of `model` can have.

    Not each is of a tensor in each run: a mask may be None, a branch may not be taken.
    """
    return [name for names in _names(model).values() for name in names.values()]


@contextmanager
def watch(model: Module, *wanted: str) -> Iterator[Activations]:
    """Keep the `wanted` activations of each forward pass inside the context.

    `wanted` are names or patterns such as "blocks.*.attention.pattern"; all if none is given.
    Of several passes the last is kept, and so it is of a module that runs several times in
    one. The tensors are those of the pass, not copies: without `torch.no_grad()` gradients
    flow through them. Meanwhile a fused attention takes the explicit path, which has the
    pattern, and what torch.compile made runs as it is written, that of other models too.
    ValueError for a name that the model does not have.
    """
    seen = Activations()
    with _open(model, wanted or ("*",), "keeps", seen.keep):
        yield seen


@contextmanager
def edit(model: Module, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Put activations through functions, inside the context, before anything reads them.

    `edits` has names or patterns; each function gets the tensor and returns the one to go on
    with, of the same shape. What is watched at the same time is seen as edited. ValueError for
    a name that the model does not have, and for an edit that was never made.
    """
    unmade = set(edits)

    def change(name: str, value: Any) -> Any:
        for pattern, function in edits.items():
            if isinstance(value, Tensor) and fnmatchcase(name, pattern):
                value = _edited(name, value, function)
                unmade.discard(pattern)
        return value

    with _open(model, tuple(edits), "changes", change):
        yield
    if unmade:
        raise ValueError(
            f"nothing was edited at {', '.join(sorted(unmade))}: either the model did not run, "
            "or it computed no such tensor"
        )


def _edited(name: str, value: Shaped[Tensor, "*shape"], function: Edit) -> Shaped[Tensor, "*shape"]:
    new = function(value)
    if not isinstance(new, Tensor) or new.shape != value.shape:
        got = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
        raise ValueError(f"the edit of {name} must return {tuple(value.shape)}, got {got}")
    return new


def _names(model: Module) -> dict[str, dict[str, str]]:
    """Return, for each module's path, the names of its result (under "") and its variables."""
    names: dict[str, dict[str, str]] = {}
    for path, module in model.named_modules():
        if type(module).forward is Module.forward:  # a list of modules, which is never called
            continue
        at = ".".join(part for part in path.split(".") if part != "_orig_mod")  # torch.compile's
        own = {"": at} if at else {}
        for variable in named_values(type(module).forward):
            if variable not in module._modules:  # a part's result has that name already
                own[variable] = f"{at}.{variable}" if at else variable
        names[path] = own
    return names


class _Tap:
    """What the values of one module pass through: all edits first, so that edits are seen."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.changes: list[tuple[dict[str, str], Visit]] = []
        self.keeps: list[tuple[dict[str, str], Visit]] = []
        self.is_fused = getattr(module, "path", None) == "fused"
        self.own: Any = None  # a forward of the instance's own, as activation checkpointing puts

    def see(self, variable: str, value: Any) -> Any:
        for names, change in self.changes:
            if variable in names:
                value = change(names[variable], value)
        for names, keep in self.keeps:
            if variable in names:
                keep(names[variable], value)
        return value

    def put(self) -> None:
        """Let the module run the rewritten forward."""
        forward = rewrite(type(self.module).forward, self.see)
        self.own = self.module.__dict__.get("forward")
        self.module.__dict__["forward"] = MethodType(forward, self.module)
        self.module.__dict__["_tap"] = self
        if self.is_fused:
            self.module.__dict__["path"] = "explicit"

    def remove(self) -> None:
        """Leave the module as it was."""
        del self.module.__dict__["forward"], self.module.__dict__["_tap"]
        if self.own is not None:
            self.module.__dict__["forward"] = self.own
        if self.is_fused:
            self.module.__dict__["path"] = "fused"


class _AsWritten:
    """While it is entered, what torch.compile made runs as it is written.

    Its code passes through no module. The setting is one for the whole process: the context that
    is left last, whichever it is, puts back what there was before.
    """

    def __init__(self) -> None:
        self.n_contexts = 0
        self.setting: Any = None

    def __enter__(self) -> None:
        self.n_contexts += 1
        # Without torch._dynamo nothing is compiled; to import it takes more than a second.
        if self.setting is None and "torch._dynamo" in sys.modules:
            self.setting = torch.compiler.set_stance("force_eager")

    def __exit__(self, *_: object) -> None:
        self.n_contexts -= 1
        if self.setting is not None and not self.n_contexts:
            self.setting.__exit__(None, None, None)
            self.setting = None


_as_written = _AsWritten()


@contextmanager
def _open(model: Module, patterns: tuple[str, ...], kind: Kind, visit: Visit) -> Iterator[None]:
    """Let `visit` see the values whose names match a pattern, inside the context."""
    names = _names(model)
    every = [name for of_module in names.values() for name in of_module.values()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            close = ", ".join(get_close_matches(pattern, every)) or ", ".join(every[:5]) + " ..."
            raise ValueError(f"the model has no activation {pattern}; it has {close}")
    with _as_written, ExitStack() as taps:
        for path, module in model.named_modules():
            wanted = {
                variable: name
                for variable, name in names.get(path, {}).items()
                if any(fnmatchcase(name, pattern) for pattern in patterns)
            }
            if wanted:
                taps.enter_context(_tapped(module, kind, wanted, visit))
        yield


@contextmanager
def _tapped(module: Module, kind: Kind, wanted: dict[str, str], visit: Visit) -> Iterator[None]:
    """Let `visit` see the `wanted` variables of one module, inside the context."""
    tap = vars(module).get("_tap") or _Tap(module)
    if not tap.changes and not tap.keeps:
        tap.put()
    listeners = getattr(tap, kind)
    listeners.append(mine := (wanted, visit))
    try:
        yield
    finally:
        listeners.remove(mine)
        if not tap.changes and not tap.keeps:
            tap.remove()
