"""What `transformer sample` is given: a model of any origin, its tokenizer, and its text ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.cli.parser import UsageError

if TYPE_CHECKING:
    from transformer.models.gpt import GPT
    from transformer.tokenizers import Tokenizer


def load(where: str, checkpoint: str | None) -> tuple["GPT", "Tokenizer", frozenset[int]]:
    """Return the model, its tokenizer and the tokens that end a text.

    UsageError for what is no model, ValueError for a model that continues no text.
    """
    from transformer.models.gpt import GPT
    from transformer.pretrained.load import load_model, special_of
    from transformer.pretrained.special import ends_of
    from transformer.training.saved.load import is_run, load_checkpoint
    from transformer.training.saved.model_files import MODEL

    path = Path(where)
    is_model = (path / MODEL).is_file()
    if checkpoint is not None and (is_model or not is_run(path)):
        raise UsageError(f"--checkpoint picks one of a run's, and {where} is no run's folder")
    if is_model or is_run(path):
        model, tokenizer = load_checkpoint(where, checkpoint or "last")
        return model, tokenizer, ends_of({}, tokenizer)
    require_model(path)
    found, tokenizer = load_model(where)
    if not isinstance(found, GPT):
        raise ValueError(f"{where} holds a {type(found).__name__}, which continues no text")
    return found, tokenizer, ends_of(special_of(where), tokenizer)


def require_model(path: Path) -> None:
    """Raise OSError for a file, UsageError for a folder without a model, with the runs in it."""
    from transformer.pretrained.hub import require_no_file
    from transformer.training.saved.run_folder import CONFIG, runs_within

    if path.suffix != ".gguf":
        require_no_file(path)
    if path.is_dir() and not (path / "config.json").is_file():
        neither = f"neither a run (no {CONFIG}) nor a Hugging Face folder (no config.json)"
        raise UsageError(f"{path} is {neither}{runs_within(path)}")


def named_tokens(tokenizer: "Tokenizer", names: Sequence[str]) -> frozenset[int]:
    """Return the tokens of these names; UsageError for a name that is none."""
    from transformer.pretrained.special import token_named

    tokens = {name: token_named(tokenizer, name) for name in names}
    for name, token in tokens.items():
        if token is None:
            special = ", ".join(tokenizer.special_tokens) or "none"
            raise UsageError(
                f"--stop-token {name!r}: the vocabulary has no token of this name (its special "
                f"tokens: {special}); for a text that ends before a string there is --stop"
            )
    return frozenset(token for token in tokens.values() if token is not None)
