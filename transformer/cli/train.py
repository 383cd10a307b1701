"""`transformer train`: train a model, draw its loss curve, show what it does."""

import os
import sys
from argparse import Action
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, Namespace  # type: ignore[attr-defined]
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from transformer.cli.parser import Parser
from transformer.training.config import TrainConfig
from transformer.training.machine.launch import end_with_torchrun, is_launched, launch
from transformer.training.recipes import RECIPES, find_recipe

HELP = "train a model, by default on Shakespeare, then print a sample"

# What nanoGPT, Hugging Face's Trainer and our own `doctor` call options of this command.
ELSEWHERE = {
    "preset": "--config with a recipe, or --model.d_model and the like",
    "learning_rate": "--optimizer.lr",
    "grad_clip": "--optimizer.clip_norm",
    "max_iters": "--max_steps",
    "steps": "--max_steps",
    "dataset": "--data",
    "num_train_epochs": "--epochs",
    "gradient_accumulation_steps": "--accumulation",
    "eval_interval": "--eval_every",
    "warmup_iters": "--schedule.warmup_steps",
    "block_size": "--model.n_ctx",
    "vocab_size": "--model.d_vocab",
    "n_embd": "--model.d_model",
    "hidden_size": "--model.d_model",
    "out_dir": "--runs",
    "output_dir": "--runs",
}


class ConfigFile(ActionConfigFile):
    """Takes the options of a YAML file, or of a recipe."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        from transformer.training.saved.run_folder import require_plain, require_same_model

        with _complaints_of(parser):
            file = find_recipe(values)
            require_plain(Path(file))
            if (run := cfg.get("resume")) is not None:
                require_same_model(file, Path(run))
        self.apply_config(parser, cfg, self.dest, str(file))


class ResumeRun(Action):
    """Takes the options that a run was started with; those after it change them."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        from transformer.training.saved.run_folder import config_file, load_train_config

        if cfg.get("config"):
            parser.error(
                "--resume takes the run's own options in place of those of --config: leave "
                "--config out, or give it behind --resume, to change what it names"
            )
        with _complaints_of(parser):
            file = config_file(values)
            load_train_config(Path(values))
        ActionConfigFile.apply_config(parser, cfg, "config", str(file))
        cfg[self.dest] = values


@contextmanager
def _complaints_of(parser: Parser) -> Iterator[None]:
    """Make what is wrong with a file a complaint of the parser."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))


def make_parser() -> Parser:
    """Return the parser of this command's arguments: the fields of TrainConfig."""
    parser = Parser(description=HELP, elsewhere=ELSEWHERE, of_words=["--text", "--data"])
    parser.add_argument(
        "--config",
        action=ConfigFile,
        help=f"a YAML file with any of the options, or a recipe: {', '.join(RECIPES)}",
    )
    parser.add_argument(
        "--resume",
        action=ResumeRun,
        metavar="RUN",
        help="the folder of a run that was stopped, to go on from its newest checkpoint",
    )
    parser.add_class_arguments(TrainConfig)
    for action in parser._actions:  # a model's sizes, whose defaults are those of TrainConfig.model
        action.required = False
    return parser


def run(options: Namespace) -> None:
    """Train, and say on the way what is done and where it is kept."""
    from transformer.training.saved.run_folder import require_room

    config = TrainConfig(**{one.name: at_home(options[one.name]) for one in fields(TrainConfig)})
    resumed = None if options.resume is None else Path(options.resume)
    if resumed is None:
        require_room(config.runs)
    if is_launched():
        end_with_torchrun()
    elif config.devices > 1:
        if status := launch(config, sys.argv[1:]):
            raise SystemExit(status)
        return

    from transformer.cli.outcome import outcome
    from transformer.training.machine.distributed import ranks
    from transformer.training.objective import OBJECTIVES
    from transformer.training.run.execute import execute
    from transformer.training.run.failures import in_words
    from transformer.training.run.job import prepare
    from transformer.training.saved.load import load_trained

    first = ranks().first
    console = Console(highlight=False, soft_wrap=True, quiet=not first)
    try:
        job = prepare(config)
    except FileNotFoundError as error:
        if resumed is None:
            raise
        raise FileNotFoundError(
            f"{in_words(error)}; where the run's data have moved, name their new place behind "
            f"--resume {resumed}, with --text or --data"
        ) from error
    n_parameters = sum(parameter.numel() for parameter in job.model.parameters())
    precision = str(job.precision).removeprefix("torch.")
    console.print(
        f"{len(job.task.train.tokens):,} tokens to train on, "
        f"{len(job.task.validation.tokens):,} to validate on, {job.tokenizer.d_vocab} symbols; "
        f"{n_parameters:,} parameters; {job.device.type}, {precision}"
    )

    target = OBJECTIVES[config.objective].target
    records: list[dict[str, float]] = []
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("starting", total=job.plan.steps)

        def observe(record: dict[str, float]) -> None:
            records.append(record)
            if "loss" in record:
                speed = f"{record['tokens_per_second']:,.0f} tokens/s"
                progress.update(
                    task,
                    completed=record["step"],
                    description=f"loss {record['loss']:.3f}  {speed}",
                )
            else:
                line = f"step {record['step']:>6,}   validation loss "
                line += f"{record['validation_loss']:.4f} nats per {target}"
                if (accuracy := record.get("validation_accuracy")) is not None:
                    line += f", {accuracy:.1%} right"
                console.print(line)

        folder = execute(job, observe, run=resumed, warn=console.print, tell=console.print)

    if not first:
        return
    n_answers = len(job.task.classes) or job.tokenizer.d_vocab
    draw_loss_curve(folder, records, n_answers=n_answers, target=target)
    if config.objective == "next-token":
        console.print(f"\nA sample of what it writes (more: transformer sample {folder}):\n")
    else:
        console.print("\nWhat it says of texts that it was not trained on:\n")
    for text in outcome(load_trained(folder)[0].to(job.device), job.task, seed=config.seed):
        print(text, end="", flush=True)
    console.print(f"\n\nModel, metrics and loss curve are in {folder}")


def at_home(value: Any) -> Any:
    """Return a path that begins with `~` as a shell reads it: none does so in --runs=~/runs."""
    is_path = isinstance(value, str | Path) and str(value).startswith("~")
    return type(value)(os.path.expanduser(value)) if is_path else value


def draw_loss_curve(
    folder: Path, records: list[dict[str, float]], *, n_answers: int, target: str
) -> None:
    """Draw the loss curve of a run into its folder."""
    from transformer.visualisation.loss_curve import plot_loss_curve

    plot_loss_curve(records, folder / "loss.png", n_answers=n_answers, target=target)
