"""A GPU that is none: tensors that say they are elsewhere, and are computed on the CPU.

What it is for is what a GPU refuses: an operation on tensors of which one is there and another on
the CPU. Single numbers and indices may be on the CPU, as in torch's own CUDA kernels. It is torch's
meta device by name, which every build of torch has, and only holds numbers here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, no_type_check

import torch
from torch import Tensor
from torch.nn import Module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
CPU = torch.device("cpu")
_aten = torch.ops.aten
_MIXING = {  # copies, and indices
    *(_aten._to_copy.default, _aten.copy_.default),
    *(_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default),
}
_FROM_PYTHON = {torch.tensor, torch.as_tensor}


class TwoDevicesError(RuntimeError):
    """An operation had tensors of two devices."""


class _There(Tensor):
    """A tensor elsewhere; `here` has its numbers."""

    here: Tensor

    @staticmethod
    @no_type_check
    def __new__(cls: type["_There"], here: Tensor) -> "_There":
        made = Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
        )
        made.here = here
        return made

    def tolist(self) -> Any:
        """Return the numbers, which torch reads of no subclass."""
        return self.cpu().tolist()

    @classmethod
    @no_type_check
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        raise RuntimeError(f"{func} of a tensor elsewhere, outside of `with elsewhere()`")


class _Dispatching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sends here what makes a tensor elsewhere, and what mixes the two."""

    @no_type_check
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


class _Calling(TorchFunctionMode):
    """Puts elsewhere what code itself puts on a device, and what torch tells no other mode of.

    Code that names the CPU has often asked first whether there is a GPU.
    """

    @no_type_check
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        keywords = dict(kwargs or {})
        if func is Tensor.to or "device" in keywords:
            args, keywords = tree_map(_named_elsewhere, (args, keywords))
        if func is Tensor.new_tensor:
            like, *args = args
            func, keywords = torch.tensor, {"dtype": like.dtype, "device": like.device} | keywords
        if func in _FROM_PYTHON and not isinstance(args[0], Tensor):
            device = keywords.pop("device", None) or CPU
            return func(*args, **keywords).to(device)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _with_tensors(args[1]), *args[2:])
        return func(*args, **keywords)


@no_type_check
def _named_elsewhere(value: Any) -> Any:
    """Return ELSEWHERE for the CPU by name, and what is given for all else."""
    is_name = isinstance(value, torch.device) or (isinstance(value, str) and value == "cpu")
    return ELSEWHERE if is_name else value


def _with_tensors(index: Any) -> Any:
    """Return an index with tensors in place of lists."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    return torch.tensor(index) if isinstance(index, list) else index


@contextmanager
def elsewhere() -> Iterator[None]:
    """Let tensors be there."""
    with _Calling(), _Dispatching():  # type: ignore[no-untyped-call]
        yield


def there(value: Any) -> Any:
    """Return what is given with each of its tensors elsewhere; they share their numbers."""
    return tree_map(_made_there, value)


def back(value: Any) -> Any:
    """Return what is given with each of its tensors on the CPU."""
    return tree_map(_taken_back, value)


@no_type_check
def is_there(value: object) -> bool:
    """Return whether it is a tensor elsewhere."""
    return isinstance(value, _There)


@no_type_check
def _made_there(value: Any) -> Any:
    is_here = isinstance(value, Tensor) and not isinstance(value, _There)
    return _There(value.detach()) if is_here else value


@no_type_check
def _taken_back(value: Any) -> Any:
    return value.here if isinstance(value, _There) else value


@contextmanager
def moved(*modules: Module) -> Iterator[None]:
    """Have the parameters and buffers of Modules elsewhere, as `module.to("cuda")` has them."""
    parts = [part for module in modules for part in module.modules()]
    tables: list[Any] = [of for part in parts for of in (part._parameters, part._buffers)]
    kept = [(of, dict(of)) for of in tables]
    for of, values in kept:
        of.update({name: there(value) for name, value in values.items()})
    try:
        yield
    finally:
        for of, values in kept:
            of.update(values)


@no_type_check  # as all that each operation goes through: a check takes longer than it does
def _compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Return what an operation of torch gives, on the device on which it would be."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with _Dispatching():
            return func.decompose(*args, **kwargs)
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    over_there = [one for one in tensors if isinstance(one, _There)]
    on_cpu = [one for one in tensors if not isinstance(one, _There)]
    if any(one.device == ELSEWHERE for one in on_cpu):
        raise NotImplementedError(f"{func} of a tensor without numbers")
    if over_there and func not in _MIXING and any(one.ndim for one in on_cpu):
        raise TwoDevicesError("Expected all tensors to be on the same device, cuda:0 and cpu")
    to = over_there[0].device if over_there else CPU
    if func is _aten.copy_.default:
        to = args[0].device
    elif kwargs.get("device") is not None:
        to = kwargs["device"]
        kwargs = {**kwargs, "device": CPU}
    with torch.inference_mode(False), torch.no_grad():
        out = func(*back(args), **back(kwargs))
        if to != ELSEWHERE:
            return out
        out = there(out)
        return return_and_correct_aliasing(func, args, kwargs, out) if tensors else out
