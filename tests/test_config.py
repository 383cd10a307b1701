"""The config: what it refuses and how it says so, its file, and the published sizes."""

import re
import runpy
from dataclasses import FrozenInstanceError, asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import transformer.config
from transformer.components import attention
from transformer.components.activations import ACTIVATIONS
from transformer.config import (
    PRESETS,
    ActivationName,
    AttentionPath,
    TransformerConfig,
    preset,
)

SIZES: dict[str, Any] = {
    "d_vocab": 17,
    "n_ctx": 13,
    "d_model": 10,
    "n_layers": 2,
    "n_heads": 5,
    "d_head": 4,
    "d_mlp": 7,
}

# The class as a user has it. In tests the shape checker comes first, and would refuse a value
# of a wrong type in words of its own.
UncheckedConfig: type[TransformerConfig] = runpy.run_path(transformer.config.__file__)[
    "TransformerConfig"
]


# Contract


def test_the_names_that_the_config_repeats_are_those_of_the_components() -> None:
    assert get_args(ActivationName) == tuple(ACTIVATIONS)
    assert get_args(AttentionPath) == get_args(attention.AttentionPath)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *(
            ({name: size}, f"{name} must be an integer of at least 1; got {size!r}")
            for name in SIZES
            if name != "n_layers"
            for size in (0, -1, 1.5, True, "3", None)
        ),
        *(
            ({"n_layers": n}, f"n_layers must be an integer of at least 0; got {n!r}")
            for n in (-1, 2.0, False, "2")
        ),
        *(
            ({name: 1}, f"{name} must be true or false; got 1")
            for name in ("bias", "unembedding_bias", "tied")
        ),
        *(
            ({name: value}, f"{name} must be a number; got {value!r}")
            for name in ("position_base", "dropout", "norm_eps", "init_std")
            for value in ("1e-5", None, True, float("inf"))
        ),
        ({"mlp_bias": 1}, "mlp_bias must be true, false, or none where it is as bias is; got 1"),
        (
            {"activation": "tanh"},
            "activation must be one of relu, gelu, gelu_tanh, silu; got 'tanh'",
        ),
        ({"mlp": "swiglu"}, "mlp must be one of plain, gated; got 'swiglu'"),
        ({"norm": "batch"}, "norm must be one of layer, rms; got 'batch'"),
        ({"norm_position": "mid"}, "norm_position must be one of pre, post; got 'mid'"),
        (
            {"position": "alibi"},
            "position must be one of learned, sinusoidal, rotary, none; got 'alibi'",
        ),
        ({"attention_path": "flash"}, "attention_path must be one of explicit, fused; got 'flash'"),
        *(
            (
                {"n_kv_heads": n},
                "n_kv_heads must be none, or an integer of at least 1 that divides n_heads = 5; "
                f"got {n!r}",
            )
            for n in (0, -1, 2, 1.0, True, 10)
        ),
        ({"position_base": 1}, "position_base must be above 1; got 1"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1; got -0.1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1; got 1.0"),
        ({"dropout": float("nan")}, "dropout must be a number; got nan"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0: it keeps the root from 0; got 0.0"),
        ({"init_std": 0}, "init_std must be above 0: heads from zeros stay alike; got 0"),
        (
            {"position": "sinusoidal", "d_model": 11},
            "d_model must be even with sinusoidal positions: "
            "columns are pairs of sine and cosine; got 11",
        ),
        (
            {"position": "rotary", "d_head": 3},
            "d_head must be even with rotary positions: coordinates turn in pairs; got 3",
        ),
    ],
    ids=str,
)
def test_an_impossible_value_is_refused_with_what_is_allowed_what_was_given_and_why(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        UncheckedConfig(**SIZES | wrong)


@pytest.mark.parametrize(
    "allowed",
    [
        {"n_layers": 0},
        {"d_head": 3},  # n_heads * d_head need not be d_model
        {"position": "sinusoidal", "d_head": 3},
        {"position": "rotary", "d_model": 11},
        {"dropout": 0},
        {"n_kv_heads": 5},
        dict.fromkeys(SIZES, 1),
    ],
    ids=str,
)
def test_a_limit_that_is_allowed_is_allowed(allowed: dict[str, Any]) -> None:
    TransformerConfig(**SIZES | allowed)


def test_a_config_cannot_be_changed_and_a_changed_copy_is_checked_again() -> None:
    config = TransformerConfig(**SIZES)
    with pytest.raises(FrozenInstanceError):
        config.d_model = 20  # type: ignore[misc]
    assert replace(config, d_model=20).d_model == 20
    with pytest.raises(ValueError, match="d_model must be"):
        replace(config, d_model=0)


def test_fields_are_named_and_sizes_have_no_defaults() -> None:
    with pytest.raises(TypeError, match="positional"):
        TransformerConfig(*SIZES.values())  # type: ignore[call-arg]
    for name in SIZES:
        with pytest.raises(TypeError, match=f"missing .* '{name}'"):
            TransformerConfig(**{key: size for key, size in SIZES.items() if key != name})


def test_every_field_is_explained_in_the_docstring_in_its_order() -> None:
    documented = re.findall(r"^ {4,8}(\w+): ", TransformerConfig.__doc__ or "", re.MULTILINE)
    assert documented == [field.name for field in fields(TransformerConfig)]


# The file


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    preset(name).to_yaml(path)
    assert TransformerConfig.from_yaml(path) == preset(name)


# No field has its default here: one that is not written, or not read, comes back changed.
FULL = TransformerConfig(
    **SIZES,
    activation="silu",
    mlp="gated",
    norm="rms",
    norm_position="post",
    position="rotary",
    position_base=500.5,
    bias=False,
    mlp_bias=True,
    unembedding_bias=True,
    tied=False,
    dropout=0.25,
    norm_eps=1e-7,  # YAML 1.1 takes 1e-7 for a string; 1.0e-07 is a number
    init_std=0.1,
    attention_path="fused",
    n_kv_heads=1,
)


def test_every_field_survives_the_file_and_stands_in_it_under_its_name(tmp_path: Path) -> None:
    for field in fields(FULL):
        assert getattr(FULL, field.name) != field.default, f"the test needs another {field.name}"
    path = tmp_path / "config.yaml"
    FULL.to_yaml(path)
    assert TransformerConfig.from_yaml(path) == FULL
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(written.items()) == list(asdict(FULL).items())


def test_a_file_by_hand_needs_the_sizes_only(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(f"{name}: {size}" for name, size in SIZES.items()))
    assert TransformerConfig.from_yaml(str(path)) == TransformerConfig(**SIZES)


def test_a_number_may_be_written_as_python_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(SIZES) + "norm_eps: 1e-5\n")  # to YAML 1.1 a text
    assert TransformerConfig.from_yaml(path).norm_eps == 1e-5


WHOLE = yaml.safe_dump(SIZES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE + "d_modle: 20", "has fields that no config has: d_modle. Known are: .*d_model"),
        (WHOLE + "7: 20\ncolour: red", "no config has: 7, colour"),
        ("d_model: 10", "is not a whole config: .*missing.*'d_vocab'"),
        (WHOLE + "d_model: ten", r"config\.yaml: d_model must be an integer .*; got 'ten'"),
        (WHOLE + "norm_eps: small", r"config\.yaml: norm_eps must be a number; got 'small'"),
        (WHOLE + "mlp: [plain]", r"config\.yaml: mlp must be one of .*; got \['plain'\]"),
        ("- d_model\n- 10", r"must hold a mapping of config fields, got \['d_model', 10\]"),
        ("", "must hold a mapping of config fields, got None"),
        ("d_model: {", "is no YAML file"),
        (b"\x80\x02torch", "is no YAML file"),
        ("!!python/object/apply:os.getcwd []", "is no YAML file"),
    ],
)
def test_a_foreign_or_broken_file_is_refused_by_its_name_and_the_reason(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as refusal:
        UncheckedConfig.from_yaml(path)
    assert str(path) in str(refusal.value)


def test_a_write_that_fails_half_way_leaves_the_old_file_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="the file-size limit is a thing of Unix")
    path = tmp_path / "config.yaml"
    FULL.to_yaml(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # bytes: as good as a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            replace(FULL, d_model=20).to_yaml(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert TransformerConfig.from_yaml(path) == FULL


def test_writing_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    FULL.to_yaml(tmp_path / "config.yaml")
    replace(FULL, d_model=20).to_yaml(tmp_path / "config.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert TransformerConfig.from_yaml(tmp_path / "config.yaml").d_model == 20


# The published sizes


@pytest.mark.parametrize(
    ("name", "n_layers", "n_heads", "d_model", "n_ctx"),
    [
        # Radford et al. 2019, table 2, and the released checkpoints for the heads.
        ("gpt2", 12, 12, 768, 1024),
        ("gpt2-medium", 24, 16, 1024, 1024),
        ("gpt2-large", 36, 20, 1280, 1024),
        ("gpt2-xl", 48, 25, 1600, 1024),
        # The smallest of Karpathy's minGPT with GPT-2's vocabulary and context.
        ("gpt-mini", 6, 6, 192, 1024),
        # Brown et al. 2020, table 2.1, its last row.
        ("gpt3", 96, 96, 12_288, 2048),
    ],
)
def test_the_presets_are_the_published_models(
    name: str, n_layers: int, n_heads: int, d_model: int, n_ctx: int
) -> None:
    config = preset(name)
    sizes = (config.n_layers, config.n_heads, config.d_model, config.n_ctx)
    assert sizes == (n_layers, n_heads, d_model, n_ctx)
    assert config.n_heads * config.d_head == d_model
    assert config.d_mlp == 4 * d_model
    assert config.d_vocab == 50_257  # 256 bytes, 50,000 merges, one end of text
    assert (config.tied, config.bias, config.unembedding_bias) == (True, True, False)
    assert (config.activation, config.mlp, config.norm) == ("gelu_tanh", "plain", "layer")
    assert (config.norm_position, config.position) == ("pre", "learned")
    assert (config.norm_eps, config.init_std) == (1e-5, 0.02)


def test_an_unknown_preset_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match="there is no preset 'gpt5'; there are: shakespeare-cpu, "):
        preset("gpt5")
