"""`transformer config NAME`: what a model costs before it is made."""

import os
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from transformer.cli.parser import Parser
from transformer.config import PRESETS, TransformerConfig
from transformer.yaml_file import read_yaml

HELP = "print a model's parameters, memory and FLOPs"
WHAT = "a preset (gpt2, gpt-mini ...), a recipe, a run's folder, or a YAML file"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("name", type=str, help=WHAT)
    return parser


def run(options: Namespace) -> None:
    """Print the cost of the named model."""
    from transformer.models.cost import model_cost

    config = _find(options.name)
    cost = model_cost(config)

    table = Table(
        title=Path(os.path.abspath(options.name)).name,
        title_justify="left",
        show_header=False,
        box=None,
    )
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row(
        "layers x heads x d_model", f"{config.n_layers} x {config.n_heads} x {config.d_model}"
    )
    table.add_row("context", f"{config.n_ctx:,} tokens")
    table.add_row("parameters", f"{cost.parameters:,}")
    table.add_row("  without embeddings", f"{cost.parameters_without_embeddings:,}")
    table.add_row("memory to train, float32", "")
    table.add_row("  weights, gradients, AdamW", _bytes(cost.state_bytes))
    table.add_row("  activations of one sequence", _bytes(cost.activation_bytes))
    table.add_row("FLOPs to train on a token", f"{cost.flops_per_token:,}")
    Console(highlight=False).print(table)


def _find(name: str) -> TransformerConfig:
    """Return the config of what has this name; ValueError where nothing has."""
    from transformer.training.recipes import RECIPES
    from transformer.training.saved.run_folder import config_file

    if name in PRESETS:
        return PRESETS[name]
    if name in RECIPES:
        return _read(RECIPES[name])
    if Path(name).is_dir():
        return _read(config_file(name))
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    raise ValueError(
        f"there is no preset {name!r}; there are: {', '.join(PRESETS)}; nor has a recipe that "
        f"name: {', '.join(name for name in RECIPES if name not in PRESETS)}; nor a run's folder"
    )


def _read(file: Path) -> TransformerConfig:
    """Return the config in a model's file, which may be a BERT's, or in that of a whole run."""
    from transformer.models.bert import BERTConfig
    from transformer.training.saved.run_folder import read_train_config
    from transformer.training.trained import bert_config

    if is_of_a_run(file):
        run = read_train_config(file)
        return run.model if run.objective == "next-token" else bert_config(run.model)
    try:
        return TransformerConfig.from_yaml(file)
    except ValueError:
        return BERTConfig.from_yaml(file)


def is_of_a_run(file: Path) -> bool:
    """Return whether a YAML file has a model's config as a part, as that of a run has."""
    try:
        content = read_yaml(file)
    except ValueError:
        return False
    return isinstance(content, dict) and "model" in content


def _bytes(n: float) -> str:
    """Return `n` bytes with a binary unit and three digits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.3g} {unit}"
        n /= 1024
    return f"{n:,.0f} TiB" if n >= 1000 else f"{n:.3g} TiB"
