"""A tokenizer by name: one that is learned from a text at hand, or one that is there already."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte_bpe import END_OF_TEXT
from transformer.tokenizers.character import CharacterTokenizer
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer
from transformer.tokenizers.loading import KINDS, load_tokenizer
from transformer.tokenizers.published import read_gpt2_from_hub
from transformer.tokenizers.sennrich_tokenizer import SennrichBPETokenizer
from transformer.tokenizers.wordpiece import WordPieceTokenizer

GPT2 = "gpt2"  # on the hub


def find_tokenizer(name: str, texts: Iterable[str], *, size: int | None = None) -> Tokenizer:
    """Return the tokenizer of a kind in `KINDS`, learned from `texts`, or that of `name`.

    No word goes over from one text to the next: they are documents, or pieces that may be
    tokenised one by one. They are not read where nothing is learned. A published tokenizer is
    without its `bos`: a run's documents have no token in front, nor have then its prompts.
    Raises what `make_tokenizer` and `open_tokenizer` raise, and ValueError for a size with a
    tokenizer that has its own.
    """
    if name in KINDS:
        return make_tokenizer(name, texts if name == "character" else _apart(texts), size=size)
    if size is not None:
        raise ValueError(f"the tokenizer {name} is there already: it has no size to choose")
    found = open_tokenizer(name)
    found.bos = ()
    return found


def _apart(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, and a line feed between two where a word could run from one into the next.

    By itself it is a piece of text from which no tokenizer learns a merge; but a tokenizer of
    characters would take it for one of them.
    """
    last = ""
    for text in texts:
        if last and text and not (last.isspace() or text[0].isspace()):
            yield "\n"
        yield text
        last = text[-1:] or last


def open_tokenizer(name: str | Path) -> Tokenizer:
    """Return GPT-2's from the hub for the name `gpt2`, else what `load_tokenizer` reads.

    FileNotFoundError for what is no file and no such name.
    """
    if str(name) == GPT2 and not Path(name).exists():
        return read_gpt2_from_hub()
    try:
        return load_tokenizer(name)
    except FileNotFoundError as error:
        kinds = ", ".join([*KINDS, GPT2])
        raise FileNotFoundError(f"{error}, and no tokenizer has that name: {kinds}") from error


def make_tokenizer(
    kind: str,
    chunks: Iterable[str],
    *,
    size: int | None = None,
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    processes: int = 1,
) -> Tokenizer:
    """Learn a tokenizer of a kind in `KINDS` from one text, in chunks that may cut its words.

    `size` counts the tokens of byte-bpe and wordpiece (4,256) and the merges of sennrich-bpe
    (4,000); for a kind that has no size to choose it is a ValueError, and so is a kind that there
    is not. `special_tokens` and `processes` are byte-bpe's. The text is never held as a whole by
    character, byte and byte-bpe.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no kind of tokenizer {kind!r}; there are: {', '.join(KINDS)}")
    if kind in ("character", "byte") and size is not None:
        raise ValueError(
            f"a {kind} tokenizer has no size to choose; byte-bpe and others have: give none, or "
            "null where a recipe has one"
        )
    if kind == "character":
        characters: set[str] = set()
        for chunk in chunks:
            characters.update(chunk)
        return CharacterTokenizer.train("".join(characters))
    if kind == "byte-bpe":
        return FastByteBPETokenizer.train_on_stream(
            chunks,
            d_vocab=4256 if size is None else size,
            special_tokens=special_tokens,
            processes=processes,
        )
    if kind == "sennrich-bpe" and size is not None:
        return SennrichBPETokenizer.train("".join(chunks), n_merges=size)
    if kind == "wordpiece" and size is not None:
        return WordPieceTokenizer.train("".join(chunks), d_vocab=size)
    return KINDS[kind].train("" if kind == "byte" else "".join(chunks))
