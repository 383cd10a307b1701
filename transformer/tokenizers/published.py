"""Byte-level vocabularies as others publish them, read.

GPT-2's own two files, tiktoken's ranks, Hugging Face's `tokenizer.json`, or GPT-2 from the
Hugging Face hub: each becomes a `FastByteBPETokenizer`. It can hold vocabularies that are
numbered as GPT-2's is (bytes in the order of its alphabet, merges, special tokens) and split
by its pattern; others are refused.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from transformer.tokenizers.added_tokens import read_added
from transformer.tokenizers.byte_alphabet import (
    BYTE_ORDER,
    all_printable,
    from_printable,
    is_printable,
)
from transformer.tokenizers.byte_bpe import N_BYTES
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer
from transformer.tokenizers.fast_merging import merge_by_rank
from transformer.tokenizers.files import read_json

HUB_REPOSITORY = "openai-community/gpt2"


def read_gpt2(folder: str | Path) -> FastByteBPETokenizer:
    """Read `encoder.json` and `vocab.bpe`, or `vocab.json` and `merges.txt`, from a folder.

    These are the names of OpenAI's files and of Hugging Face's copies of them. A missing file
    is a FileNotFoundError, a damaged one a ValueError, and so are tokens added beside them.
    """
    place = Path(folder)
    if (place / "added_tokens.json").is_file():
        raise ValueError(
            f"{place / 'added_tokens.json'} adds tokens, which this tokenizer does not do: "
            "load_model reads them, with their model"
        )
    for vocabulary, merges in (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")):
        if (place / vocabulary).is_file() and (place / merges).is_file():
            return read_gpt2_files(place / vocabulary, place / merges)
    raise FileNotFoundError(
        f"{folder} has neither encoder.json and vocab.bpe nor vocab.json and merges.txt"
    )


def read_gpt2_files(vocabulary: str | Path, merges: str | Path) -> FastByteBPETokenizer:
    """Read GPT-2's tokens with their ids from one file, and its merges from the other.

    ValueError for files that are damaged, or are others.
    """
    try:
        lines = Path(merges).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{merges} is no list of merges: {error}") from error
    if lines[0].startswith("#version"):
        lines = lines[1:]
    pairs = [line.split(" ") for line in lines if line]
    tokens, n_plain = read_json(vocabulary), N_BYTES + len(pairs)
    source = f"{vocabulary} with {merges}"
    special = [name for name, i in tokens.items() if isinstance(i, int) and i >= n_plain]
    tokenizer = _from_printable(tokens, pairs, special, source)
    # Nothing marks a special token in these files: it might be one whose merge is lost.
    for name in special:
        if is_printable(name) and len(tokenizer.encode_piece(from_printable(name))) == 2:
            raise ValueError(f"{source}: damaged, no merge makes {name!r}")
    return tokenizer


def read_gpt2_from_hub(repository: str = HUB_REPOSITORY) -> FastByteBPETokenizer:
    """Read GPT-2's published tokens from the Hugging Face hub, or from its cache here.

    Needs the package huggingface_hub: without it a ValueError, without a network an OSError;
    both say what to do.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ValueError("to read from the hub: pip install huggingface_hub") from error
    try:
        files = [hf_hub_download(repository, name) for name in ("vocab.json", "merges.txt")]
    except (OSError, ValueError) as error:
        raise OSError(
            f"the hub did not give {repository}; with vocab.json and merges.txt from "
            f"https://huggingface.co/{repository} in a folder, use read_gpt2(folder): {error}"
        ) from error
    return read_gpt2_files(*files)


def read_hugging_face(path: str | Path) -> FastByteBPETokenizer:
    """Read a byte-level BPE from a `tokenizer.json`, as `save_hugging_face` writes it.

    What it puts before and behind a text (`post_processor`) is not read. ValueError for a file
    that is damaged, or splits, changes or merges a text otherwise than GPT-2's tokenizer.
    """
    content = read_json(path)
    model, split = content.get("model"), content.get("pre_tokenizer")
    if not (isinstance(model, dict) and model.get("type") == "BPE"):
        raise ValueError(f"{path} is no tokenizer.json with a BPE model")
    if not (isinstance(split, dict) and split.get("type") == "ByteLevel"):
        raise ValueError(f"{path} is not split by GPT-2's pattern: its pre_tokenizer is {split}")
    if split.get("add_prefix_space") or not split.get("use_regex", True):
        raise ValueError(f"{path} is not split by GPT-2's pattern alone: {split}")
    if content.get("normalizer") is not None:
        raise ValueError(f"{path} changes the text first, which GPT-2's tokenizer does not do")
    odd = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
    if other := {name: model[name] for name in odd if model.get(name)}:
        raise ValueError(f"{path} merges otherwise than GPT-2's tokenizer: {other}")
    try:
        entries = content.get("added_tokens") or []
        added = dict(zip(read_added(entries), [entry["id"] for entry in entries], strict=True))
        special = {one.name: i for one, i in added.items()}
        vocabulary = model["vocab"] | special
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    tokenizer = _from_printable(vocabulary, pairs, special, str(path))
    if found := [one.name for one in added if not one.plain]:
        raise ValueError(
            f"{path}: the added token {found[0]!r} is found in every text, or takes white space "
            "beside it, which this tokenizer does not do: load_model reads it, with its model"
        )
    return tokenizer


def read_tiktoken(path: str | Path, special_tokens: Sequence[str] = ()) -> FastByteBPETokenizer:
    """Read tiktoken's ranks: a line a token, its bytes in base64 and its rank.

    The file knows no special tokens; those given get the ids after it. Its ranks tell which
    tokens are merged: the two that a token falls into by the ranks before it. ValueError for a file
    that has other ranks.
    """
    try:
        lines = [line.split() for line in Path(path).read_bytes().splitlines() if line]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except ValueError as error:
        raise ValueError(f"{path} is no file of tiktoken's ranks: {error}") from error
    tokens = sorted(ranks, key=ranks.__getitem__)
    if [ranks[token] for token in tokens] != list(range(len(lines))):
        raise ValueError(f"{path} is damaged: its ranks do not run from 0 without a gap")
    if tokens[:N_BYTES] != [bytes([byte]) for byte in BYTE_ORDER]:
        raise ValueError(f"{path} does not begin with the bytes in GPT-2's order")
    merged: dict[tuple[int, int], int] = {}
    for rank, token in enumerate(tokens[N_BYTES:], N_BYTES):
        parts = merge_by_rank([ranks[bytes([byte])] for byte in token], merged)
        if len(parts) != 2:
            raise ValueError(f"{path}: {token!r} is not made of two tokens before it")
        merged[parts[0], parts[1]] = rank
    return FastByteBPETokenizer(list(merged), special_tokens)


def _from_printable(
    vocabulary: Mapping[str, int],
    pairs: Iterable[Sequence[str]],
    special: Iterable[str],
    source: str,
) -> FastByteBPETokenizer:
    """Return the tokenizer of tokens in GPT-2's byte alphabet; `source` is for complaints."""
    try:
        merges = [(vocabulary[left], vocabulary[right]) for left, right in pairs]
        special = sorted(special, key=vocabulary.__getitem__)
        tokenizer = FastByteBPETokenizer(merges, special)
        names = all_printable(tokenizer.vocabulary[: N_BYTES + len(merges)])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{source} is damaged: {error!r:.200}") from error
    expected = {name: i for i, name in enumerate([*names, *special])}
    if expected != vocabulary:
        wrong = json.dumps(sorted(expected.items() ^ vocabulary.items(), key=str)[:2])
        raise ValueError(f"{source}: not numbered as GPT-2's tokens are, or damaged, see {wrong}")
    return tokenizer
