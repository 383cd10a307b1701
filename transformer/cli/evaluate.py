"""`transformer evaluate`: the loss of a trained model on data that it was not trained on."""

from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console

from transformer.cli.parser import Parser, UsageError
from transformer.training.config import DeviceName

HELP = "measure a trained model on other data, such as a published test split"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP, of_words=["--data"])
    parser.add_argument("run", type=Path, help="the folder of a run, or of one of its checkpoints")
    parser.add_argument(
        "--data",
        type=str,
        required=True,
        help="a data set's name, a file or a folder, all of which is read; of a folder that "
        "`transformer prepare` made what it keeps for validation",
    )
    parser.add_argument("--split", default="test", help="which, of a labelled data set of the hub")
    parser.add_argument("--checkpoint", default="last", help="last, best, or that of a step")
    parser.add_argument("--batch_size", type=int, default=32, help="rows in memory at once")
    parser.add_argument("--device", type=DeviceName, default="auto", help="where to compute")
    return parser


def run(options: Namespace) -> None:
    """Print the loss, and the share of right answers where the model gives such."""
    import torch

    from transformer.training.figures import validation_figures
    from transformer.training.machine.device import pick_device
    from transformer.training.objective import OBJECTIVES
    from transformer.training.run.task import find_rows
    from transformer.training.saved.load import load_trained
    from transformer.training.trained import objective_of
    from transformer.training.update import pick_objective

    if options.batch_size < 1:
        raise UsageError(f"--batch_size must be at least 1, got {options.batch_size}")
    model, tokenizer = load_trained(options.run, options.checkpoint)
    rows = find_rows(model, tokenizer, options.data, split=options.split)
    device = pick_device(options.device)
    objective = pick_objective(OBJECTIVES[objective_of(model)], model.config.d_vocab)
    figures = validation_figures(
        model.to(device),
        rows,
        objective=objective,
        batch_size=options.batch_size,
        device=device,
        precision=torch.float32,
    )
    line = f"loss {figures['validation_loss']:.4f} nats per {objective.target}"
    if (accuracy := figures.get("validation_accuracy")) is not None:
        line += f", {accuracy:.1%} right"
    Console(highlight=False, soft_wrap=True).print(
        f"{options.data}: {line}; {len(rows.tokens):,} tokens"
    )
