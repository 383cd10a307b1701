"""Our tokenizers written for other libraries: Hugging Face's `tokenizer.json`, tiktoken's ranks."""

import base64
import json
from pathlib import Path
from typing import Any

from transformer.tokenizers.byte_alphabet import all_printable
from transformer.tokenizers.byte_bpe import N_BYTES, ByteBPETokenizer
from transformer.tokenizers.files import write_whole


def save_tiktoken(tokenizer: ByteBPETokenizer, path: str | Path) -> None:
    """Write the ranks as `tiktoken.load.load_tiktoken_bpe` reads them.

    The file has no place for the pattern and the special tokens: `tiktoken.Encoding` takes
    them as arguments (`gpt2_split.PATTERN`, `tokenizer.special_tokens`).
    """
    plain = tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)]
    lines = [base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(plain)]
    write_whole(path, b"".join(lines))


def save_hugging_face(tokenizer: ByteBPETokenizer, path: str | Path) -> None:
    """Write a `tokenizer.json` that `tokenizers.Tokenizer.from_file` reads."""
    plain = tokenizer.vocabulary[: N_BYTES + len(tokenizer.merges)]
    names = all_printable(plain)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
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
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(name, i) for name, i in tokenizer.special_tokens.items()],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "trim_offsets": True},
        "post_processor": None,
        "decoder": {**byte_level, "trim_offsets": True},
        "model": model,
    }
    write_whole(path, json.dumps(content, ensure_ascii=False))


def _added(name: str, i: int) -> dict[str, Any]:
    """Return a special token as tokenizer.json has it."""
    exact = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": i, "content": name, **exact, "special": True}
