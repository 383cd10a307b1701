"""The prompts of a call, or one for want of any."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from transformer.cli.parser import UsageError
from transformer.cli.piped import read_piped

if TYPE_CHECKING:
    from transformer.tokenizers import Tokenizer


def prompts_of(options: Namespace, tokenizer: "Tokenizer") -> list[str]:
    """Return the prompts that were asked for, or one for want of any."""
    from transformer.tokenizers.stream import read_chunks

    if options.prompts is not None:
        from_screen = options.prompts == "-"
        text = read_piped() if from_screen else "".join(read_chunks(options.prompts))
        if not (lines := text.splitlines()):
            raise UsageError(f"{options.prompts} has no line, and so no prompt")
        return lines
    given: list[str] = options.prompt or [opening(tokenizer)]
    return [read_piped() if options.prompt and one == "-" else one for one in given]


def opening(tokenizer: "Tokenizer") -> str:
    """Return a prompt for want of one: a line end, or the text of the first token that has one."""
    if "\n" in tokenizer.vocabulary or b"\n" in tokenizer.vocabulary:
        return "\n"
    special = set(tokenizer.special_tokens.values())
    texts = (
        tokenizer.decode([token]) for token in range(tokenizer.d_vocab) if token not in special
    )
    return next(text for text in texts if tokenizer.encode(text))


def say_what_is_plain(tokenizer: "Tokenizer", prompts: Sequence[str]) -> None:
    """Say on standard error which names of special tokens in the prompts are read as text."""
    from transformer.sampling.text import takes_special

    special = tokenizer.special_tokens if takes_special(tokenizer) else {}
    if named := [name for name in special if any(name in prompt for prompt in prompts)]:
        print(
            f"transformer: {', '.join(named)} in a prompt is read as plain text; as special "
            "tokens with --special",
            file=sys.stderr,
        )
