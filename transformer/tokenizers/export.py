"""Our tokenizers written for other libraries: Hugging Face's `tokenizer.json`, tiktoken's ranks."""

import base64
import json
from pathlib import Path
from typing import Any

from transformer.tokenizers.byte_alphabet import all_printable
from transformer.tokenizers.byte_bpe import N_BYTES, ByteBPETokenizer
from transformer.tokenizers.wordpiece import CONTINUES, LONGEST_WORD, UNKNOWN, WordPieceTokenizer
from transformer.whole import write_whole


def save_tiktoken(tokenizer: ByteBPETokenizer, path: str | Path) -> None:
    """Write the ranks as `tiktoken.load.load_tiktoken_bpe` reads them.

    The file has no place for the pattern and the special tokens: `tiktoken.Encoding` takes
    them as arguments (`gpt2_split.PATTERN`, `tokenizer.special_tokens`).
    """
    plain = tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)]
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(plain)]
    write_whole(path, b"".join(lines))


def save_hugging_face(tokenizer: ByteBPETokenizer | WordPieceTokenizer, path: str | Path) -> None:
    """Write a `tokenizer.json` that `tokenizers.Tokenizer.from_file` reads.

    Hugging Face takes the name of a special token in a text for the token itself; ours does
    so only where it is asked to.
    """
    steps = _wordpiece(tokenizer) if isinstance(tokenizer, WordPieceTokenizer) else _bpe(tokenizer)
    added = [_added(name, i) for name, i in tokenizer.special_tokens.items()]
    content = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    write_whole(path, json.dumps({**content, **steps}, ensure_ascii=False))


def _bpe(tokenizer: ByteBPETokenizer) -> dict[str, Any]:
    """Return the steps of GPT-2's tokenizer as tokenizer.json has them."""
    names = all_printable(tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)])
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": {name: i for i, name in enumerate(names)},
        "merges": [[names[left], names[right]] for left, right in tokenizer.merges],
    }
    return {
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }


def _wordpiece(tokenizer: WordPieceTokenizer) -> dict[str, Any]:
    """Return the steps of BERT's tokenizer as tokenizer.json has them."""
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
        "vocab": {name: i for i, name in enumerate(tokenizer.vocabulary)},
    }
    return {
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": CONTINUES, "cleanup": False},
        "model": model,
    }


def _added(name: str, i: int) -> dict[str, Any]:
    """Return a special token as tokenizer.json has it."""
    exact = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": i, "content": name, **exact, "special": True}
