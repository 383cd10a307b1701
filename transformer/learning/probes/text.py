"""Probes of the tokenizers."""

import json
import tempfile
from pathlib import Path
from typing import Any

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import probe

_TEXT = "to be, or not to be: ünïcödé"


@probe("character", "the vocabulary of a text", "CharacterTokenizer")
def _vocabulary(n: Namespace) -> Any:
    return list(n.CharacterTokenizer.train(_TEXT).vocabulary)


@probe("character", "how many tokens there are", "CharacterTokenizer")
def _d_vocab(n: Namespace) -> Any:
    return n.CharacterTokenizer.train("banana").d_vocab


@probe("character", "encoding", "CharacterTokenizer")
def _encode(n: Namespace) -> Any:
    return list(n.CharacterTokenizer.train(_TEXT).encode("not to be"))


@probe("character", "encoding with a vocabulary in its own order", "CharacterTokenizer")
def _encode_order(n: Namespace) -> Any:
    return list(n.CharacterTokenizer(("n", "a", "b")).encode("banana"))


@probe("character", "decoding", "CharacterTokenizer")
def _decode(n: Namespace) -> Any:
    return n.CharacterTokenizer(("n", "a", "b")).decode([2, 1, 0, 1, 0, 1])


@probe("character", "decoding what was encoded", "CharacterTokenizer")
def _round_trip(n: Namespace) -> Any:
    tokenizer = n.CharacterTokenizer.train(_TEXT)
    return tokenizer.decode(tokenizer.encode(_TEXT))


@probe("character", "the empty text", "CharacterTokenizer")
def _empty(n: Namespace) -> Any:
    tokenizer = n.CharacterTokenizer.train("ab")
    return [list(tokenizer.encode("")), tokenizer.decode([])]


@probe("character", "decoding from a generator", "CharacterTokenizer")
def _generator(n: Namespace) -> Any:
    return n.CharacterTokenizer.train("ab").decode(i for i in (1, 0))


@probe("character", "a character outside the vocabulary is refused", "CharacterTokenizer")
def _foreign(n: Namespace) -> Any:
    return list(n.CharacterTokenizer.train("ab").encode("abc"))


for _id in (-1, 2):

    @probe("character", f"the id {_id} of a vocabulary of two is refused", "CharacterTokenizer")
    def _foreign_id(n: Namespace, token: int = _id) -> Any:
        return n.CharacterTokenizer.train("ab").decode([0, token])


@probe("character", "saving and loading", "CharacterTokenizer")
def _saved(n: Namespace) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tokenizer.json")
        n.CharacterTokenizer(("n", "ü", "b")).save(file)
        json.loads(file.read_text(encoding="utf-8"))
        return list(n.CharacterTokenizer.load(file).encode("bün"))


@probe("character", "a damaged file is refused", "CharacterTokenizer")
def _damaged(n: Namespace) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tokenizer.json")
        file.write_text('{"format": "transformer.char', encoding="utf-8")
        return n.CharacterTokenizer.load(file).d_vocab
