"""The register of probes, and what they are made with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, ModuleDict

from transformer.learning.outcome import Raised
from transformer.learning.own.calling import NotWrittenError
from transformer.learning.own.implementation import Namespace
from transformer.learning.own.layout import LayoutError
from transformer.learning.own.line import called_in_it, raised_at

Run = Callable[[Namespace], Any]


@dataclass(frozen=True)
class Probe:
    """One experiment.

    Attributes:
        name: what is tried, in words that complete "wrong: ...".
        needs: the learner's names that it uses.
        run: from the names of an implementation to a comparable outcome.
        sizes: the axes of the outcome and their sizes, for telling a factor or a swap.
        aside: whether it asks for what is often left for later, as an optional argument; such a
            probe is wrong like any other, but does not keep a mistake from its name.
    """

    name: str
    needs: tuple[str, ...]
    run: Run
    sizes: dict[str, int] = field(default_factory=dict)
    aside: bool = False

    def outcome(self, names: Namespace) -> Any:
        """Run the probe; an exception is an outcome too.

        NotWrittenError and LayoutError go on: they are about the whole exercise.
        """
        torch.default_generator.manual_seed(0)  # torch.manual_seed asks each kind of device: 1 ms
        try:
            return self.run(names)
        except (NotWrittenError, LayoutError):
            raise
        except NotImplementedError as error:
            raise NotWrittenError(f"{', '.join(self.needs)}: not written yet") from error
        except Exception as error:
            text = str(error).strip()
            first_line = text.splitlines()[0][:200] if text else ""
            return Raised(type(error).__name__, first_line, raised_at(error), called_in_it(error))


PROBES: dict[str, list[Probe]] = {}


def probe(exercise: str, name: str, *needs: str, **sizes: int) -> Callable[[Run], Run]:
    """Register the decorated function as a probe of an exercise."""
    return _registering(exercise, lambda run: Probe(name, needs, run, sizes))


def aside(exercise: str, name: str, *needs: str, **sizes: int) -> Callable[[Run], Run]:
    """Register it as a probe of what is often left for later."""
    return _registering(exercise, lambda run: Probe(name, needs, run, sizes, aside=True))


def _registering(exercise: str, made: Callable[[Run], Probe]) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        PROBES.setdefault(exercise, []).append(made(run))
        return run

    return register


def normal(*shape: int, seed: int = 1, scale: float = 1.0) -> Tensor:
    """Return float64 numbers from N(0, scale^2), the same for the same arguments."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale


def integers(high: int, *shape: int, seed: int = 1) -> Tensor:
    """Return integers below `high`, the same for the same arguments."""
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def filled(module: Module, *, seed: int = 3, scale: float = 0.7) -> Any:
    """Return the module in float64 and eval mode, every parameter from N(0, scale^2).

    The numbers depend on the parameters' names and shapes alone.
    """
    module = module.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, p in sorted(module.named_parameters()):
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * scale)
    # What is drawn from here on does not depend on how it was made.
    torch.default_generator.manual_seed(0)
    return module


def made_of(make: Callable[..., Module], **parts: Module) -> tuple[Any, ModuleDict]:
    """Return the Module made of these parts, and the parts, every parameter of them random.

    The numbers depend on the names of the arguments, and not on those that it keeps them under.
    """
    filled_parts = filled(ModuleDict(parts))
    return make(**parts).double().eval(), filled_parts


def set_to_zero(module: Module, *names: str) -> None:
    """Set parameters of a Module, named as in it, to zero."""
    with torch.no_grad():
        for name in names:
            module.get_parameter(name).zero_()


def held(module: Module, parts: ModuleDict) -> dict[str, Tensor | None]:
    """Return the parameters of the parts, None for one that the Module made of them lacks."""
    own = {id(p) for p in module.parameters()}
    return {name: p if id(p) in own else None for name, p in parts.named_parameters()}


def with_gradients(output: Tensor, **leaves: Any) -> dict[str, Tensor | None]:
    """Return the output and the gradient of a random weighting of it for each leaf."""
    weights = normal(*output.shape, seed=97)
    (output * weights).sum().backward()  # type: ignore[no-untyped-call]
    return {"output": output.detach()} | {
        f"gradient of {name}": None if leaf is None else leaf.grad for name, leaf in leaves.items()
    }
