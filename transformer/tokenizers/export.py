"""Our tokenizers written for other libraries: Hugging Face's `tokenizer.json`, tiktoken's ranks."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformer.tokenizers.added_tokens import AddedToken
from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte import ByteTokenizer
from transformer.tokenizers.byte_alphabet import all_printable
from transformer.tokenizers.byte_bpe import N_BYTES, ByteBPETokenizer
from transformer.tokenizers.character import CharacterTokenizer
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer
from transformer.tokenizers.wordpiece import (
    CONTINUES,
    END,
    LONGEST_WORD,
    SPECIAL,
    START,
    UNKNOWN,
    WordPieceTokenizer,
)
from transformer.whole import write_whole

CHARACTER_SPLIT = {
    "type": "Split",
    "pattern": {"Regex": r"[\s\S]"},
    "behavior": "Isolated",
    "invert": False,
}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
DIGITS = {"type": "Digits", "individual_digits": True}


def save_tiktoken(tokenizer: ByteBPETokenizer, path: str | Path) -> None:
    """Write the ranks as `tiktoken.load.load_tiktoken_bpe` reads them.

    The file has no place for the pattern and the special tokens: `tiktoken.Encoding` takes
    them as arguments (`gpt2_split.PATTERN`, `tokenizer.special_tokens`).
    """
    plain = tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)]
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(plain)]
    write_whole(path, b"".join(lines))


def save_hugging_face(tokenizer: Tokenizer, path: str | Path) -> None:
    """Write a `tokenizer.json` that `tokenizers.Tokenizer.from_file` reads.

    Hugging Face takes the name of a special token in a text for the token itself; ours does
    so only where it is asked to. ValueError for a tokenizer that has no form there.
    """
    write_whole(path, json.dumps(hugging_face(tokenizer), ensure_ascii=False))


def hugging_face(tokenizer: Tokenizer, *, n_segments: int = 0) -> dict[str, Any]:
    """Return what a `tokenizer.json` holds; ValueError for a tokenizer that has no form there.

    With `n_segments`, those of an encoder, texts come with the ends that it was trained with:
    `[CLS] A [SEP] B [SEP]`, B being of segment 1 if there is one, or RoBERTa's
    `<s> A </s></s> B </s>`; without, they begin with the tokenizer's `bos`.
    """
    ends = n_segments > 0
    if isinstance(tokenizer, NumberedBPETokenizer):
        added = [_added(one, i) for one, i in tokenizer.added.items()]
    else:
        # RoBERTa's hidden word takes the space before it, which is part of the word.
        special = tokenizer.special_tokens.items()
        added = [
            _added(AddedToken(name, lstrip=ends and name == "<mask>"), i) for name, i in special
        ]
    if isinstance(tokenizer, WordPieceTokenizer):
        added += [_added(one, i) for one, i in tokenizer.added.items()]
        added.sort(key=lambda entry: int(entry["id"]))
    template = _template(tokenizer.special_tokens, n_segments) if ends else _beginning(tokenizer)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **_steps(tokenizer),
        "post_processor": template,
    }


def _steps(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return a normalizer, a pre_tokenizer, a model and a decoder."""
    match tokenizer:
        case ByteBPETokenizer() | FastByteBPETokenizer():  # a learner's own may stand for the first
            names = all_printable(tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)])
            merges = [(names[left], names[right]) for left, right in tokenizer.merges]
            return _bpe(names, merges)
        case NumberedBPETokenizer():
            # Its special tokens stand in the vocabulary: their ids may be anywhere.
            return _bpe(tokenizer.names, tokenizer.merges, split_digits=tokenizer.split_digits)
        case ByteTokenizer():
            return _bpe(all_printable(tokenizer.vocabulary), [])
        case WordPieceTokenizer():
            return _wordpiece(tokenizer)
        case CharacterTokenizer():
            return _characters(tokenizer)
    raise ValueError(
        f"a {type(tokenizer).__name__} is not written as tokenizer.json, only byte-level BPE, "
        "WordPiece, bytes and characters are"
    )


def _bpe(
    names: Iterable[str], merges: Iterable[tuple[str, str]], *, split_digits: bool = False
) -> dict[str, Any]:
    """Return the steps of GPT-2's tokenizer, or SmolLM2's, as tokenizer.json has them."""
    both = {"type": "Sequence", "pretokenizers": [DIGITS, BYTE_LEVEL]}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": {name: i for i, name in enumerate(names)},
        "merges": [list(pair) for pair in merges],
    }
    return {
        "normalizer": None,
        "pre_tokenizer": both if split_digits else BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": model,
    }


def _wordpiece(tokenizer: WordPieceTokenizer) -> dict[str, Any]:
    """Return the steps of BERT's tokenizer as tokenizer.json has them.

    Tokens that were added behind all others are no pieces of words: they stand in `added_tokens`
    alone, where their ids go on from those of the vocabulary.
    """
    names = [*tokenizer.vocabulary]
    apart = {*tokenizer.special_tokens, *(one.name for one in tokenizer.added)} - {*SPECIAL}
    while names[-1] in apart:
        names.pop()
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    model = {
        "type": "WordPiece",
        "unk_token": UNKNOWN,
        "continuing_subword_prefix": CONTINUES,
        "max_input_chars_per_word": LONGEST_WORD,
        "vocab": {name: i for i, name in enumerate(names)},
    }
    return {
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": CONTINUES, "cleanup": False},
        "model": model,
    }


def _characters(tokenizer: CharacterTokenizer) -> dict[str, Any]:
    """Return the steps of a tokenizer of characters as tokenizer.json has them."""
    vocabulary = {character: i for i, character in enumerate(tokenizer.vocabulary)}
    return {
        "normalizer": None,
        "pre_tokenizer": CHARACTER_SPLIT,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": ""},
    }


def encoder_ends(special: Mapping[str, int]) -> tuple[str, str] | None:
    """Return the names of what BERT or RoBERTa reads around a text; None for want of them."""
    pairs = ((START, END), ("<s>", "</s>"))
    return next((pair for pair in pairs if {*pair} <= special.keys()), None)


def _template(special: Mapping[str, int], n_segments: int) -> dict[str, Any] | None:
    """Return what puts an encoder's ends on a text, or two; None for want of such tokens."""
    if (ends := encoder_ends(special)) is None:
        return None
    start, end = ends
    # RoBERTa tells two texts by the ends alone.
    second = min(1, n_segments - 1) if start == START else 0

    single = [_token(start), _text("A"), _token(end)]
    between = [] if start == START else [_token(end)]
    pair = [*single, *between, _text("B", second), _token(end, second)]
    return _processing(single, pair, {name: special[name] for name in (start, end)})


def _beginning(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """Return what puts a tokenizer's `bos` before a text, and before the second of two."""
    if not (isinstance(tokenizer, NumberedBPETokenizer) and tokenizer.bos):
        return None
    names = {tokenizer.names[i]: i for i in tokenizer.bos}
    single = [*(_token(tokenizer.names[i]) for i in tokenizer.bos), _text("A")]
    second = [*(_token(tokenizer.names[i], 1) for i in tokenizer.bos), _text("B", 1)]
    return _processing(single, [*single, *second], names)


def _processing(single: list[Any], pair: list[Any], ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": {
            name: {"id": name, "ids": [i], "tokens": [name]} for name, i in ids.items()
        },
    }


def _token(name: str, segment: int = 0) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": segment}}


def _text(name: str, segment: int = 0) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": segment}}


def _added(token: AddedToken, i: int) -> dict[str, Any]:
    """Return an added token as tokenizer.json has it."""
    how = {name: value for name, value in asdict(token).items() if name != "name"}
    return {"id": i, "content": token.name, **how}
