"""The smallest run of the loop: a text of one line again and again, and a model of one layer."""

from pathlib import Path

from transformer.config import TransformerConfig
from transformer.training.config import TrainConfig

LINE = "the cat sat on the mat.\n"


def small_config(folder: Path) -> TrainConfig:
    """Return the config of a run of 6 updates in `folder`, whose text it writes there too."""
    text = folder / "text.txt"
    text.write_text(LINE * 20)
    return TrainConfig(
        text=text,
        model=TransformerConfig(
            d_vocab=999, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=13
        ),
        max_steps=6,
        batch_size=2,
        eval_every=4,
        log_every=1,
        device="cpu",
        runs=folder / "runs",
    )
