"""The examples in the tokenizers' docstrings and in docs/tokenizers.md are true."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = (
    *("added_tokens", "byte", "byte_alphabet", "byte_bpe", "character", "gpt2_split"),
    *("bert_words", "sennrich_bpe", "sennrich_tokenizer", "wordpiece"),
)
CHAPTER = Path(__file__).parents[2] / "docs" / "tokenizers.md"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"transformer.tokenizers.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_examples_of_the_chapter_are_true() -> None:
    results = doctest.testfile(str(CHAPTER), module_relative=False, encoding="utf-8")
    assert results.attempted >= 10
    assert results.failed == 0
