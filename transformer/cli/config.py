"""`transformer config NAME`: what a model costs before it is made."""

from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from transformer.cli.parser import Parser
from transformer.config import TransformerConfig, preset

HELP = "print a model's parameters, memory and FLOPs"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument("name", type=str, help="a preset (gpt2, gpt-mini ...) or a YAML file")
    return parser


def run(options: Namespace) -> None:
    """Print the cost of the named model."""
    from transformer.models.cost import model_cost

    is_file = options.name.endswith((".yaml", ".yml"))
    config = _read(Path(options.name)) if is_file else preset(options.name)
    cost = model_cost(config)

    table = Table(title=Path(options.name).name, title_justify="left", show_header=False, box=None)
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


def _read(file: Path) -> TransformerConfig:
    """Return the config in a file, which may be BERT's: that has fields of its own."""
    from transformer.models.bert import BERTConfig

    try:
        return TransformerConfig.from_yaml(file)
    except ValueError:
        return BERTConfig.from_yaml(file)


def _bytes(n: float) -> str:
    """Return `n` bytes with a binary unit and three digits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.3g} {unit}"
        n /= 1024
    return f"{n:,.0f} TiB" if n >= 1000 else f"{n:.3g} TiB"
