"""A learner's function or class, made to be called as ours is.

Of a class that is its constructor, and the parameters that it then has.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.nn import Module

from transformer.learning.own.arrangement import TELLING, Layout
from transformer.learning.own.biases import BIAS, Lacking, biases_lacking, in_our_order, without
from transformer.learning.own.calling import Keywords, NotWrittenError, called_as, refuse_more_than
from transformer.learning.own.layout import LayoutError, UndeclaredError, in_our_layout
from transformer.learning.own.widths import OF_ITS_OWN, require_any_width


def adapted(
    ours: Any, theirs: Any, layouts: Mapping[str, Layout], *, lacking: Lacking | None = None
) -> Any:
    """Return `theirs` made to be called as ours is.

    A function gets those of our arguments that it takes, a Module's constructor those of our
    keywords, and always whether there is a bias. One that it does not take is left out where it
    stands at its default and is not written yet otherwise. A Module's parameters must then have
    our names and shapes, or a layout that is declared for our class. One that never has certain
    biases is not written yet where they are asked for; given what is `lacking` it is made as it is.
    """
    if inspect.isfunction(ours) and inspect.isfunction(theirs):
        return called_as(ours, theirs)
    if not are_modules(ours, theirs):
        return theirs
    in_part = lacking is not None
    lacks = lacking or biases_lacking(ours, theirs, layouts)
    our_default = inspect.signature(ours).parameters.get(BIAS)
    their_default = inspect.signature(theirs).parameters.get(BIAS)

    def construct(**keywords: Any) -> Module:
        if our_default and their_default:  # theirs may have none by default
            keywords.setdefault(BIAS, our_default.default)

        def make(**keywords: Any) -> Module:
            passed = _bias_left_out(ours, theirs, keywords, lacks, in_part)
            made: Module = theirs(**_taken(ours, theirs, passed))
            return made

        try:
            module = make(**keywords)
        except (LayoutError, NotImplementedError):
            raise
        except Exception:
            require_any_width(theirs.__name__, make, keywords)
            raise
        if not isinstance(module, Module):
            raise LayoutError(f"{theirs.__name__} must be a torch.nn.Module")
        module.register_forward_pre_hook(refuse_more_than(ours, theirs), with_kwargs=True)
        if any(isinstance(value, Module) and [*value.parameters()] for value in keywords.values()):
            for name in keywords.keys() - dir(module):
                vars(module)[name] = keywords[name]  # seen under our name, registered under theirs
            return module  # made of other parts: its parameters are theirs
        made = without(ours(**keywords), lacks.biases)
        try:
            module = in_our_layout(module, made, layouts, sizes=keywords)
        except UndeclaredError:
            require_any_width(theirs.__name__, make, keywords)
            _tell_more(ours, theirs, layouts, keywords, lacks)
            raise
        for name in lacks.biases:
            if not hasattr(module, name):
                setattr(module, name, None)
        return module

    return _as_class(theirs, construct, inspect.signature(ours))


def are_modules(ours: Any, theirs: Any) -> bool:
    """Return whether a class of theirs stands for a Module of ours."""
    return inspect.isclass(ours) and issubclass(ours, Module) and inspect.isclass(theirs)


def class_without(ours: type[Module], biases: Iterable[str]) -> type:
    """Return one of our classes, made without these biases whatever is asked."""
    biases = tuple(biases)

    def construct(**keywords: Any) -> Module:
        return without(ours(**keywords), biases)

    return _as_class(ours, construct, inspect.signature(ours))


def _bias_left_out(
    ours: type[Module], theirs: type, keywords: Keywords, lacking: Lacking, in_part: bool
) -> Keywords:
    """Return the keywords without `bias` where theirs, which does not take it, is as asked.

    Raises NotWrittenError where it should have biases that it lacks, unless `in_part`.
    """
    if not lacking.biases:
        return keywords
    asked = keywords.get(BIAS, inspect.signature(ours).parameters[BIAS].default)
    if asked and not in_part:
        what = in_our_order(lacking.biases)
        raise NotWrittenError(f"{theirs.__name__} with {what}: not written yet")
    if not asked and not lacking.has_none:
        return keywords
    return {name: value for name, value in keywords.items() if name != BIAS}


def _tell_more(
    ours: type[Module],
    theirs: type,
    layouts: Mapping[str, Layout],
    keywords: Keywords,
    lacking: Lacking,
) -> None:
    """Raise UndeclaredError of theirs with biases, in sizes that tell; if it can be made so."""
    telling = {name: TELLING.get(name, value) for name, value in keywords.items()}
    if BIAS in inspect.signature(ours).parameters:
        telling[BIAS] = True
    passed = _bias_left_out(ours, theirs, telling, lacking, in_part=True)
    try:
        module = theirs(**_taken(ours, theirs, passed))
        made = without(ours(**telling), lacking.biases)
    except Exception:  # it may ask for sizes of another kind
        return
    in_our_layout(module, made, layouts, sizes=telling)


def _taken(ours: type, theirs: type, keywords: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(theirs).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(keywords)
    defaults = {name: p.default for name, p in inspect.signature(ours).parameters.items()}
    for name, value in keywords.items():
        if name not in parameters and value != defaults.get(name, inspect.Parameter.empty):
            if name == "init_std" or _drops_nothing(value):
                continue  # where weights begin is checked by itself
            if name == "d_head":
                raise LayoutError(f"{theirs.__name__} does not take d_head. {OF_ITS_OWN}")
            if defaults.get(name) is inspect.Parameter.empty and name != "dropout":
                raise LayoutError(
                    f"{theirs.__name__} is made by name, with "
                    f"{', '.join(f'{one}=...' for one in keywords)}; yours takes "
                    f"{', '.join(parameters) or 'nothing'}: call them what ours are called, or "
                    "give a class that makes yours of them (docs/diagnosis.md, Code of your own)"
                )
            what = f"{name}=False" if value is False else name
            raise NotWrittenError(f"{theirs.__name__} with {what}: not written yet")
    return {name: value for name, value in keywords.items() if name in parameters}


def _drops_nothing(value: object) -> bool:
    return isinstance(value, Module) and getattr(value, "p", None) == 0.0


def _as_class(theirs: type, construct: Callable[..., Module], signature: inspect.Signature) -> type:
    """Return a class of the learner's name whose call is `construct`."""

    class Constructing(type(theirs)):  # type: ignore[misc]
        def __call__(cls, *arguments: Any, **keywords: Any) -> Module:
            return construct(**signature.bind(*arguments, **keywords).arguments)

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, theirs)

    return Constructing(theirs.__name__, (theirs,), {"__module__": theirs.__module__})
