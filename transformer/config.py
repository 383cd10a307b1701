"""The shape of a transformer: one frozen, validated record, and the published sizes.

Only models and what stands above them read a config; components take plain keywords.
"""

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from transformer.whole import write_whole
from transformer.yaml_file import read_yaml

# ActivationName repeats the keys of ACTIVATIONS, and AttentionPath the type of that name in
# components/attention.py: neither side imports the other, and a config is read without torch.
ActivationName = Literal["relu", "gelu", "gelu_tanh", "silu"]
MLPKind = Literal["plain", "gated"]
NormKind = Literal["layer", "rms"]
NormPosition = Literal["pre", "post"]
PositionKind = Literal["learned", "sinusoidal", "rotary", "none"]
AttentionPath = Literal["explicit", "fused"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "activation": get_args(ActivationName),
    "mlp": get_args(MLPKind),
    "norm": get_args(NormKind),
    "norm_position": get_args(NormPosition),
    "position": get_args(PositionKind),
    "attention_path": get_args(AttentionPath),
}

_NUMBERS = ("position_base", "dropout", "norm_eps", "init_std")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes and choices of a transformer; an impossible combination is a ValueError.

    Attributes:
        d_vocab: tokens in the vocabulary.
        n_ctx: positions the model is made for, in tokens.
        d_model: width of the residual stream.
        n_layers: blocks; 0 leaves the bigram model of embedding and unembedding.
        n_heads: attention heads in a block.
        n_kv_heads: heads of keys and values, shared by groups of query heads (grouped-query
            attention); None for one to each query head.
        d_head: width of a head's queries, keys and values; need not be d_model / n_heads.
        d_mlp: width of the MLP's hidden layer.
        activation: nonlinearity of the MLP.
        mlp: "plain", or "gated" (SwiGLU and its kin).
        norm: layer norm or RMS norm.
        norm_position: "pre" as in GPT-2, "post" as in the 2017 paper.
        position: how the model knows where a token stands.
        position_base: the longest wavelength of sinusoids and rotary is near 2 pi times it.
        bias: whether attention, MLP and layer norm have biases.
        mlp_bias: whether the MLP has, where it differs from `bias`; None where it does not.
        unembedding_bias: whether the logits have one.
        tied: whether W_U is the transpose of W_E.
        dropout: probability of dropping, for embeddings, patterns and what a layer adds.
        norm_eps: epsilon inside the norm's root.
        init_std: standard deviation of the initial weights.
        attention_path: the equation, or torch's fused kernel.
    """

    d_vocab: int
    n_ctx: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int | None = None
    d_head: int
    d_mlp: int
    activation: ActivationName = "gelu_tanh"
    mlp: MLPKind = "plain"
    norm: NormKind = "layer"
    norm_position: NormPosition = "pre"
    position: PositionKind = "learned"
    position_base: float = 10_000.0
    bias: bool = True
    mlp_bias: bool | None = None
    unembedding_bias: bool = False
    tied: bool = True
    dropout: float = 0.0
    norm_eps: float = 1e-5
    init_std: float = 0.02
    attention_path: AttentionPath = "explicit"

    def __post_init__(self) -> None:
        for name in ("d_vocab", "n_ctx", "d_model", "n_heads", "d_head", "d_mlp"):
            self._require(name, _is_integer(getattr(self, name), 1), "an integer of at least 1")
        shared = self.n_kv_heads is None or (
            _is_integer(self.n_kv_heads, 1) and self.n_heads % self.n_kv_heads == 0
        )
        why = f"none, or an integer of at least 1 that divides n_heads = {self.n_heads}"
        self._require("n_kv_heads", shared, why)
        self._require("n_layers", _is_integer(self.n_layers, 0), "an integer of at least 0")
        for name in ("bias", "unembedding_bias", "tied"):
            self._require(name, isinstance(getattr(self, name), bool), "true or false")
        known = self.mlp_bias is None or isinstance(self.mlp_bias, bool)
        self._require("mlp_bias", known, "true, false, or none where it is as bias is")
        for name, choices in _CHOICES.items():
            self._require(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        for name in _NUMBERS:
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            self._require(name, number and math.isfinite(value), "a number")
        self._require("position_base", self.position_base > 1, "above 1")
        self._require("dropout", 0 <= self.dropout < 1, "at least 0 and below 1")
        self._require("norm_eps", self.norm_eps > 0, "above 0: it keeps the root from 0")
        self._require("init_std", self.init_std > 0, "above 0: heads from zeros stay alike")
        if self.position == "sinusoidal":
            why = "even with sinusoidal positions: columns are pairs of sine and cosine"
            self._require("d_model", self.d_model % 2 == 0, why)
        if self.position == "rotary":
            why = "even with rotary positions: coordinates turn in pairs"
            self._require("d_head", self.d_head % 2 == 0, why)

    @property
    def bias_in_mlp(self) -> bool:
        """Whether the MLP has biases."""
        return self.bias if self.mlp_bias is None else self.mlp_bias

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {allowed}; got {getattr(self, name)!r}")

    def to_yaml(self, path: str | Path) -> None:
        """Write every field to `path`; the file is replaced whole or not at all."""
        write_whole(path, yaml.safe_dump(asdict(self), sort_keys=False))

    @classmethod
    def from_yaml(cls, path: str | Path) -> "TransformerConfig":
        """Read a config; an unknown or missing field, or a foreign file, is a ValueError."""
        values = read_yaml(path)
        if not isinstance(values, dict):
            raise ValueError(f"{path} must hold a mapping of config fields, got {values!r:.60}")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, values.keys() - known)):
            raise ValueError(
                f"{path} has fields that no config has: {', '.join(unknown)}. "
                f"Known are: {', '.join(sorted(known))}"
            )
        for name in values.keys() & set(_NUMBERS):
            values[name] = _as_number(values[name])
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"{path} is not a whole config: {error}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _as_number(value: Any) -> Any:
    """Return text such as "1e-5" as its number: YAML 1.1 wants a point in it."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _gpt2(n_layers: int, n_heads: int, d_model: int) -> TransformerConfig:
    """One of Radford et al. 2019, table 2: heads of 64, d_mlp = 4 d_model, tied."""
    return TransformerConfig(
        d_vocab=50_257,
        n_ctx=1024,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        d_head=d_model // n_heads,
        d_mlp=4 * d_model,
    )


# A decoder with RMS norm, rotary positions and a gated MLP, without biases: Touvron et al. 2023,
# table 2, and its published config.
_LLAMA = TransformerConfig(
    d_vocab=32_000,
    n_ctx=2048,
    d_model=4096,
    n_layers=32,
    n_heads=32,
    d_head=128,
    d_mlp=11_008,
    activation="silu",
    mlp="gated",
    norm="rms",
    position="rotary",
    bias=False,
    tied=False,
    norm_eps=1e-6,
)
_TINYLLAMA = replace(
    _LLAMA, d_model=2048, n_layers=22, n_kv_heads=4, d_head=64, d_mlp=5632, norm_eps=1e-5
)
# Allal et al. 2025, table 7, and its published configs.
_SMOLLM2 = replace(
    _LLAMA,
    d_vocab=49_152,
    n_ctx=8192,
    d_model=576,
    n_layers=30,
    n_heads=9,
    n_kv_heads=3,
    d_head=64,
    d_mlp=1536,
    position_base=100_000.0,
    tied=True,
    norm_eps=1e-5,
)

PRESETS: dict[str, TransformerConfig] = {
    "shakespeare-cpu": TransformerConfig(
        d_vocab=65,
        n_ctx=128,
        d_model=128,
        n_layers=4,
        n_heads=4,
        d_head=32,
        d_mlp=344,
        activation="silu",
        mlp="gated",
        norm="rms",
        position="rotary",
        bias=False,
        init_std=0.05,
    ),
    "gpt-mini": _gpt2(n_layers=6, n_heads=6, d_model=192),
    "gpt2": _gpt2(n_layers=12, n_heads=12, d_model=768),
    "gpt2-medium": _gpt2(n_layers=24, n_heads=16, d_model=1024),
    "gpt2-large": _gpt2(n_layers=36, n_heads=20, d_model=1280),
    "gpt2-xl": _gpt2(n_layers=48, n_heads=25, d_model=1600),
    "llama-7b": _LLAMA,
    "tinyllama-1.1b": _TINYLLAMA,
    "smollm2-135m": _SMOLLM2,
    "smollm2-360m": replace(
        _SMOLLM2, d_model=960, n_layers=32, n_heads=15, n_kv_heads=5, d_mlp=2560
    ),
    # Brown et al. 2020, table 2.1; its sparse attention layers are dense here.
    "gpt3": replace(_gpt2(n_layers=96, n_heads=96, d_model=12_288), n_ctx=2048),
}


def preset(name: str) -> TransformerConfig:
    """Return the preset called `name`; an unknown name is a ValueError that lists them."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
