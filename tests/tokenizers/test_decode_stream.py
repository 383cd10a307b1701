"""Tokens that come one by one: their texts, joined, are the text of all of them."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokenizers.support import scripts, trained
from transformer.tokenizers import ByteTokenizer, Tokenizer, make_tokenizer
from transformer.tokenizers.byte_bpe import ByteBPETokenizer
from transformer.tokenizers.loading import KINDS

SIZES = {"sennrich-bpe": 40, "byte-bpe": 300, "wordpiece": 900}
IDS = st.lists(st.integers(0, 10_000), max_size=20)


@cache
def made(kind: str) -> Tokenizer:
    """A small tokenizer of this kind, trained when it is first asked for."""
    return make_tokenizer(kind, [scripts()[:2000]], size=SIZES.get(kind))


def whole(tokenizer: Tokenizer, tokens: list[int]) -> str:
    """The text of all tokens; lone surrogates, which no terminal prints, are replaced."""
    if isinstance(tokenizer, ByteTokenizer | ByteBPETokenizer):
        return tokenizer.decode_bytes(tokens).decode("utf-8", "replace")
    return tokenizer.decode(tokens)


@pytest.mark.parametrize("kind", KINDS)
@given(ids=IDS)
def test_joined_the_parts_are_the_text_of_all(kind: str, ids: list[int]) -> None:
    tokenizer = made(kind)
    tokens = [token % tokenizer.d_vocab for token in ids]
    parts = list(tokenizer.decode_stream(iter(tokens)))
    assert "".join(parts) == whole(tokenizer, tokens)
    assert all(parts)


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(alphabet="the catw .", max_size=20), ids=IDS)
def test_behind_a_prompt_they_go_on_with_it(kind: str, text: str, ids: list[int]) -> None:
    tokenizer = made(kind)
    tokens, after = [token % tokenizer.d_vocab for token in ids], tokenizer.encode(text)
    parts = tokenizer.decode_stream(tokens, after=after)
    assert whole(tokenizer, after) + "".join(parts) == whole(tokenizer, [*after, *tokens])


@pytest.mark.parametrize("make", [ByteTokenizer, trained])
def test_half_a_character_waits_for_its_other_half(
    make: Callable[[], ByteTokenizer | ByteBPETokenizer],
) -> None:
    tokenizer = make()
    seal = [tokenizer.vocabulary.index(bytes([byte])) for byte in "🦭".encode()]
    assert len(seal) == 4
    assert list(tokenizer.decode_stream(seal)) == ["🦭"]
    assert list(tokenizer.decode_stream(seal[:3])) == ["\ufffd"]
    assert list(tokenizer.decode_stream(seal[2:], after=seal[:2])) == ["🦭"]


def test_a_text_comes_as_soon_as_its_token_does() -> None:
    tokenizer = made("sennrich-bpe")

    def endless() -> Iterator[int]:
        while True:
            yield from tokenizer.encode("the")

    assert "".join(islice(tokenizer.decode_stream(endless()), 30)).split()[:2] == ["the", "the"]
