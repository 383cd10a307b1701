"""What a family of published models is: its table, its config.json, and its modules.

Every tensor of a file is one of these, or it is an error:

- one that a row of the table makes into parameters of the model;
- a copy of one, as a file may hold both of two tied matrices: it must be equal;
- a constant that both sides make anew (a causal mask, the numbers of the positions);
- part of a head for another task than the model's, which the family names.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.nn import Module

from transformer.config import ActivationName, TransformerConfig
from transformer.pretrained.files import TensorFiles
from transformer.pretrained.mapping import Row, applying

Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family, under the name that `model_type` has in config.json.

    Attributes:
        model_type: its name.
        prefix: what stands before the names of all tensors but the heads'; a file may lack it.
        rows: the table.
        modules: what makes the model of each architecture, given our config and their
            settings; the first is the usual one.
        architecture: that of each class of ours, when it is saved.
        read_config: our config of their settings; ValueError for what we do not have.
        write_config: their settings of our model; ValueError for what they do not have.
        copies: a tensor that may stand in a file besides the one that it equals.
        constants: patterns of tensors that are no parameters.
        heads: patterns of parameters that a model without that head passes over.
        bare: architectures that are written without the prefix.
        renames: parts of names that older files have, and what they are now.
        optional: modules of ours that a file may lack: config.json does not tell.
    """

    model_type: str
    prefix: str
    rows: tuple[Row, ...]
    modules: Mapping[str, Callable[[Any, Settings], Module]]
    architecture: Mapping[type[Module], str]
    read_config: Callable[[Settings], TransformerConfig]
    write_config: Callable[[Module], dict[str, Any]]
    copies: Mapping[str, str] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def rows_of(self, model: Module) -> list[Row]:
        """Return the rows that apply to the model."""
        return applying(self.rows, model, config_of(model).n_layers)

    def leave_out(self, tensors: TensorFiles, model: Module) -> None:
        """Take those optional modules off the model of which a file has no tensor at all."""
        named = tensors.renamed(self._name_in_table)
        for module in self.optional:
            rows = [row for row in self.rows_of(model) if row.ours.startswith(f"{module}.")]
            if rows and not any(row.theirs in named for row in rows):
                setattr(model, module, None)

    def of_model(self, tensors: TensorFiles, model: Module) -> TensorFiles:
        """Return the tensors under the table's names, less what is no parameter of the model."""
        named = tensors.renamed(self._name_in_table)
        wanted = {row.theirs for row in self.rows_of(model)}
        unembeds = hasattr(model, "unembedding")  # else the copies are of a head passed over
        for copy, original in self.copies.items():
            twice = unembeds and copy not in wanted and {copy, original} <= named.keys()
            if twice and not torch.equal(named[copy], named[original]):
                raise ValueError(f"{copy} differs from {original}: they are not tied")

        def kept(name: str) -> str | None:
            if name in wanted:
                return name
            if any(re.fullmatch(pattern, name) for pattern in (*self.constants, *self.heads)):
                return None
            is_copy = name in self.copies and self.copies[name] in named
            return None if is_copy else name

        return named.renamed(kept)

    def _name_in_table(self, name: str) -> str:
        for old, new in self.renames.items():
            name = name.replace(old, new)
        outside = {
            row.theirs.partition(".")[0]
            for row in self.rows
            if not row.theirs.startswith(self.prefix)
        }
        outside |= {name.partition(".")[0] for name in self.copies} - {self.prefix[:-1]}
        if name.startswith(self.prefix) or name.partition(".")[0] in outside:
            return name
        return self.prefix + name


def config_of(model: Module) -> TransformerConfig:
    """Return the config that every model of ours keeps."""
    config = model.config
    assert isinstance(config, TransformerConfig)
    return config


def sizes_of(model: Module) -> dict[str, int]:
    """Return the size of every axis that the tables name."""
    config = config_of(model)
    sizes = {name: value for name, value in asdict(config).items() if isinstance(value, int)}
    return sizes | {
        "qkv": 3,
        "n_kv_heads": config.n_kv_heads or config.n_heads,
        "n_positions": config.n_ctx + sizes.get("position_offset", 0),
        "d_model_in": config.d_model,
        "n_classes": getattr(model, "n_classes", 0),
    }


def require(settings: Settings, *, allowed: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise ValueError for a setting that is there with a value that is not allowed."""
    for name, values in allowed.items():
        if name in settings and settings[name] not in values:
            raise ValueError(
                f"{name} = {settings[name]!r}; what can be read is {' or '.join(map(repr, values))}"
            )


def integer(settings: Settings, name: str, default: int | None = None, *, least: int = 1) -> int:
    """Return a setting that is an integer; ValueError for another value, KeyError for none.

    Where it may be left out, `default` is what it then is.
    """
    value = settings[name] if default is None else settings.get(name, default)
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r:.60}")
    return value


def number(settings: Settings, name: str, default: float) -> float:
    """Return a setting that is a number above 0, `default` where it is left out."""
    value = settings.get(name, default)
    if type(value) not in (int, float) or not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r:.60}")
    return float(value)


def yes_or_no(settings: Settings, name: str, default: bool) -> bool:
    """Return a setting that is true or false, `default` where it is left out."""
    value = settings.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r:.60}")
    return value


def head_size(settings: Settings, width: str, heads: str) -> int:
    """Return the width of a head; ValueError where the heads do not share the model's evenly."""
    d_model, n_heads = integer(settings, width), integer(settings, heads)
    if d_model % n_heads:
        raise ValueError(f"{width} = {d_model} is no multiple of {heads} = {n_heads}")
    return d_model // n_heads


def activation_name(theirs: Any) -> ActivationName:
    """Return our name of an activation; ValueError for one that we do not have."""
    if not isinstance(theirs, str) or theirs not in ACTIVATIONS:
        raise ValueError(f"there is no activation {theirs!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[theirs]


ACTIVATIONS: dict[str, ActivationName] = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
THEIR_ACTIVATIONS = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}


def require_ours(config: TransformerConfig, model_type: str, **needed: Any) -> None:
    """Raise ValueError for a choice of our config that the other library's family has not."""
    for name, value in needed.items():
        if (found := getattr(config, name)) != value:
            raise ValueError(f"a {model_type} model has {name} = {value!r}, this one {found!r}")
