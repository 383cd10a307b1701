"""`transformer doctor`: why a model does not learn, before hours are spent on training it."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from rich.console import Console

from transformer.cli.parser import Parser

if TYPE_CHECKING:
    from transformer.config import TransformerConfig
    from transformer.data.windows import TokenWindows
    from transformer.models.gpt import GPT

HELP = "examine a model that does not learn"
N_BATCHES = 4


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP)
    parser.add_argument(
        "--preset", type=str, default="shakespeare-cpu", help="a preset, or a YAML file of a model"
    )
    parser.add_argument(
        "--run",
        type=Path | None,
        default=None,
        help="the folder of a run, in place of a preset: its model, text and learning rate",
    )
    parser.add_argument(
        "--implementation",
        type=str | None,
        default=None,
        help="a module, file or folder whose components stand in for ours",
    )
    parser.add_argument(
        "--text", type=Path | None, default=None, help="a text, or a folder of them, to train on"
    )
    parser.add_argument(
        "--data",
        type=str | None,
        default=None,
        help="a data set's name or a prepared folder, in place of a text (Shakespeare)",
    )
    parser.add_argument(
        "--learning-rate",
        type=float | None,
        default=None,
        help="the one to train with (that of the run, or 0.003)",
    )
    parser.add_argument("--batch-size", type=int, default=4, help="rows of a batch")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the batches")
    parser.add_argument(
        "--picture", type=Path, default=Path("doctor.png"), help="where to draw what was measured"
    )
    parser.add_argument(
        "--json", type=Path | None, default=None, help="where to write the report for tools"
    )
    return parser


def run(options: Namespace) -> None:
    """Print the report and draw its picture; exit code 1 where there is a problem."""
    given: dict[str, Any] = {}
    ran: set[str] = set()
    if options.implementation is not None:
        from transformer.learning.checking.ran import watched
        from transformer.learning.own.implementation import LAYOUT, load_or_say
        from transformer.learning.own.substitution import substitute

        given = watched(load_or_say(options.implementation), ran)
        substitute(given)
        given.pop(LAYOUT, None)
        ran.clear()  # a class may have been made to see what parameters it has
    # What follows is imported only now, so that it is made of the caller's parts.
    import torch

    from transformer.learning.doctor import doctor
    from transformer.learning.own.line import in_a_line
    from transformer.training.config import TrainConfig
    from transformer.visualisation.doctor import plot_doctor
    from transformer.visualisation.picture import require_format
    from transformer.whole import require_folder, write_whole

    for file in (options.picture, options.json):
        if file is not None:
            require_folder(file)
    require_format(options.picture)
    if options.text is not None and options.data is not None:
        raise ValueError(f"give --text or --data, not both; got {options.text} and {options.data}")
    if options.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {options.batch_size}")
    if options.learning_rate is not None and not 0 < options.learning_rate < math.inf:
        raise ValueError(
            f"--learning-rate must be above 0 and finite, got {options.learning_rate:g}"
        )
    if not -(2**63) <= options.seed < 2**63:
        raise ValueError(f"--seed must be from -2^63 to 2^63 - 1, got {options.seed}")
    torch.set_num_threads(TrainConfig().threads)
    generator = torch.Generator().manual_seed(options.seed)
    try:
        model, windows, learning_rate = _subject(options)
        report = doctor(
            model,
            [
                windows.at(torch.randint(len(windows), (options.batch_size,), generator=generator))
                for _ in range(N_BATCHES)
            ],
            learning_rate=learning_rate,
            seed=options.seed,
        )
    except NotImplementedError as error:
        raise ValueError(f"{error}; leave a part out to have ours in its place") from error
    except (TypeError, AttributeError, RuntimeError, LookupError, AssertionError) as error:
        if options.implementation is None:
            raise
        said = in_a_line(error)
        raise ValueError(f"with {options.implementation} it stops with {said}") from error
    console = Console(highlight=False)
    if options.implementation is not None:
        console.print(_of_theirs(options.implementation, [*given], ran), soft_wrap=True)
    console.print(report)
    content = report.to_json()
    plot_doctor(content, options.picture)
    if options.json is not None:
        write_whole(options.json, json.dumps(content, indent=2) + "\n")
    counts = ", ".join(
        f"{len(report.named(severity))} {severity}"
        for severity in ("problem", "warning", "note", "fine")
        if report.named(severity)
    )
    console.print(f"{counts}. The picture is in {options.picture}", soft_wrap=True)
    if report.worst == "problem":
        raise SystemExit(1)


def _of_theirs(implementation: str, given: Sequence[str], ran: Collection[str]) -> str:
    """Return which of the caller's names were examined; ValueError where none was."""
    idle = [name for name in given if name not in ran]
    if not ran:
        if not idle:
            raise ValueError(
                f"{implementation} defines no name of ours: there is nothing to examine"
            )
        raise ValueError(
            f"nothing of {implementation} ran: this model has no {' and no '.join(idle)}; "
            "`transformer check` tries each by itself, --preset takes another model"
        )
    said = f"yours: {', '.join(name for name in given if name in ran)}"
    return f"{said}; not in this model: {', '.join(idle)}" if idle else said


def _subject(options: Namespace) -> "tuple[GPT, TokenWindows, float]":
    """Return the model, the text to train it on, and the learning rate."""
    import torch

    from transformer.data.corpus import corpus_in_memory, find_corpus
    from transformer.data.sources.documents import TextFiles
    from transformer.data.windows import TokenWindows
    from transformer.models.gpt import GPT
    from transformer.training.config import TrainConfig
    from transformer.training.saved.load import load_checkpoint
    from transformer.training.saved.run_folder import load_train_config

    asked = TrainConfig()
    if options.run is not None:
        trained, tokenizer = load_checkpoint(options.run)
        asked = load_train_config(options.run)
    if options.text is not None or options.data is not None:
        asked = replace(asked, text=options.text, data=options.data)
    if asked.text is not None:
        corpus = corpus_in_memory(TextFiles(asked.text))
    else:
        corpus = find_corpus(asked.data or "shakespeare")
    tokens = corpus.train
    if options.run is not None:
        model = trained
        if tokenizer.vocabulary != corpus.tokenizer.vocabulary:  # --text other than the run's
            tokens = torch.tensor(tokenizer.encode(corpus.tokenizer.decode(tokens.tolist())))
    else:
        shape = _shape(options.preset)
        torch.manual_seed(options.seed)
        model = GPT(replace(shape, d_vocab=corpus.tokenizer.d_vocab))
    learning_rate = options.learning_rate or asked.optimizer.lr
    # The doctor has the model read whole windows, which have one token more than their n_ctx.
    return model, TokenWindows(tokens, n_ctx=model.config.n_ctx - 1), learning_rate


def _shape(asked: str) -> "TransformerConfig":
    """Return the config of a preset or of a model's YAML file; ValueError for what is a run's."""
    from transformer.cli.config import is_of_a_run
    from transformer.config import TransformerConfig, preset
    from transformer.training.saved.run_folder import CONFIG

    file, is_file = Path(asked), asked.endswith((".yaml", ".yml"))
    run = file.parent if is_file else file
    if (run / CONFIG).is_file() and (run == file or is_of_a_run(file)):
        raise ValueError(f"{file} is of a run, and --preset takes a model: give --run {run}")
    if is_file and is_of_a_run(file):
        raise ValueError(
            f"{file} holds what a run is asked, and --preset takes a model: write the options of "
            "its `model:` into a file of their own"
        )
    return TransformerConfig.from_yaml(file) if is_file else preset(asked)
