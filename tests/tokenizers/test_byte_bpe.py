"""Byte-level BPE, plain and fast: properties on any text, and the ids of other libraries."""

from functools import cache
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from hypothesis import example
from hypothesis import strategies as st

from tests.tokenizers.support import (
    ANY_TEXT,
    TEXT,
    gpt2,
    holds_for,
    needs_gpt2,
    of_hugging_face,
    of_tiktoken,
    trained,
)
from transformer.tokenizers import ByteBPETokenizer, FastByteBPETokenizer
from transformer.tokenizers.byte import to_bytes
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, from_printable, to_printable
from transformer.tokenizers.gpt2_split import split

# What might be taken for a special token.
SPECIAL = st.lists(
    st.sampled_from(["<|endoftext|>", "<|end", "<|pad|>", "oftext|>", "<|", " a", "\n"])
).map("".join)


@cache
def plain() -> ByteBPETokenizer:
    return ByteBPETokenizer(trained().merges, [*trained().special_tokens])


@cache
def other_libraries() -> tuple[tiktoken.Encoding, tokenizers.Tokenizer]:
    return of_tiktoken(trained()), of_hugging_face(trained())


@holds_for(text=ANY_TEXT)
@example(text="\ud800\udc00 \udfff")
@example(text="e\u0301\u200d\u200c\ufeff")
@example(text="")
def test_decoding_undoes_encoding_on_any_text(text: str) -> None:
    tokens = trained().encode(text)
    assert trained().decode(tokens) == text
    assert trained().decode_bytes(tokens) == to_bytes(text)


@holds_for(data=st.binary())
def test_any_bytes_have_ids_that_decode_to_them(data: bytes) -> None:
    ids = [BYTE_ORDER.index(byte) for byte in data]
    assert plain().decode_bytes(ids) == data
    assert plain().decode_bytes(plain().encode_piece(data)) == data


@holds_for(text=ANY_TEXT)
def test_fast_and_plain_give_the_same_ids(text: str) -> None:
    assert trained().encode(text) == plain().encode(text)


@holds_for(text=TEXT | SPECIAL)
def test_ids_are_those_of_tiktoken_and_hugging_face(text: str) -> None:
    theirs, hugging_face = other_libraries()
    ours = trained().encode(text)
    assert ours == theirs.encode_ordinary(text)
    everything = trained().encode(text, allowed_special="all")
    assert everything == hugging_face.encode(text).ids


@needs_gpt2
@holds_for(text=TEXT)
def test_gpt2s_ids_are_those_of_tiktoken_and_hugging_face(text: str) -> None:
    theirs, hugging_face = gpt2_of_other_libraries()
    assert gpt2().encode(text) == theirs.encode_ordinary(text)
    assert gpt2().encode(text, allowed_special="all") == hugging_face.encode(text).ids


@cache
def gpt2_of_other_libraries() -> tuple[tiktoken.Encoding, tokenizers.Tokenizer]:
    return of_tiktoken(gpt2()), of_hugging_face(gpt2())


@holds_for(text=ANY_TEXT)
def test_no_merge_crosses_a_boundary_of_the_split(text: str) -> None:
    ends = {0}
    for token in trained().encode(text):
        ends.add(max(ends) + len(trained().vocabulary[token]))
    at = 0
    for piece in split(text):
        at += len(to_bytes(piece))
        assert at in ends
    assert at == len(to_bytes(text))


@holds_for(text=ANY_TEXT | SPECIAL)
def test_plain_text_never_gives_a_special_token(text: str) -> None:
    tokens = trained().encode(text)
    assert max(tokens, default=0) < min(trained().special_tokens.values())


@holds_for(parts=st.lists(st.sampled_from(["<|endoftext|>", "<|end", "a b", "|>", "<|"])))
def test_allowed_special_tokens_are_found_and_decode_to_their_names(parts: list[str]) -> None:
    text = "".join(parts)
    tokens = trained().encode(text, allowed_special={"<|endoftext|>"})
    end = trained().special_tokens["<|endoftext|>"]
    assert tokens.count(end) == text.count("<|endoftext|>")
    assert max(tokens, default=0) <= end
    assert trained().decode(tokens) == text


def test_of_special_tokens_that_begin_alike_the_longest_is_taken() -> None:
    special = trained().special_tokens
    assert trained().encode("<|endoftext|><|end", allowed_special="all") == [
        special["<|endoftext|>"],
        special["<|end"],
    ]


def test_a_name_that_is_no_special_token_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no special tokens: \['<\|stop\|>'\]"):
        trained().encode("a", allowed_special={"<|stop|>"})


def test_training_merges_what_is_common_up_to_the_size_asked_for() -> None:
    tokenizer = ByteBPETokenizer.train("low lower low", d_vocab=260, special_tokens=["<|end|>"])
    assert tokenizer.vocabulary[256:] == (b"lo", b"low", b" low", b"<|end|>")
    assert tokenizer.encode("slow low") == [82, 257, 258]


@pytest.mark.parametrize("kind", [ByteBPETokenizer, FastByteBPETokenizer])
def test_training_ends_when_no_pair_is_left(kind: type[ByteBPETokenizer]) -> None:
    assert kind.train("ab ab", d_vocab=999).vocabulary[256:] == (b"ab", b" ab")
    assert kind.train("", d_vocab=999).d_vocab == 256


@pytest.mark.parametrize("kind", [ByteBPETokenizer, FastByteBPETokenizer])
def test_the_smallest_vocabulary_is_the_bytes_and_the_special_tokens(
    kind: type[ByteBPETokenizer],
) -> None:
    tokenizer = kind.train("ab ab", d_vocab=257, special_tokens=["<|end|>"])
    assert (tokenizer.merges, tokenizer.d_vocab) == ((), 257)


@pytest.mark.parametrize(("d_vocab", "special"), [(255, []), (256, ["<|end|>"]), (-1, [])])
def test_a_vocabulary_smaller_than_the_bytes_is_refused(d_vocab: int, special: list[str]) -> None:
    with pytest.raises(ValueError, match=f"at least {256 + len(special)}"):
        FastByteBPETokenizer.train("a", d_vocab=d_vocab, special_tokens=special)


@pytest.mark.parametrize(
    ("merges", "special", "complaint"),
    [
        ([(0, 256)], [], "merge 0, 256 is not made"),
        ([(256, 0)], [], "merge 256, 0 is not made"),
        ([(-1, 0)], [], "merge -1, 0 is not made"),
        ([(0, 0), (0, 256), (256, 0)], [], "two merges make the same token"),
        ([], ["a", "a"], "distinct"),
        ([], [""], "not empty"),
    ],
)
def test_an_impossible_vocabulary_is_refused(
    merges: list[tuple[int, int]], special: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        FastByteBPETokenizer(merges, special)


def test_half_a_character_decodes_to_a_replacement_and_a_foreign_id_is_refused() -> None:
    tokenizer = ByteBPETokenizer([])
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"
    with pytest.raises(ValueError, match="from 0 to 255, got 256"):
        tokenizer.decode([256])


def test_saving_and_loading_keep_ids_and_special_tokens(tmp_path: Path) -> None:
    trained().save(tmp_path / "t.json")
    for kind in (ByteBPETokenizer, FastByteBPETokenizer):
        again = kind.load(tmp_path / "t.json")
        assert again.vocabulary == trained().vocabulary
        assert again.special_tokens == trained().special_tokens
        assert again.fingerprint() == trained().fingerprint()


@pytest.mark.parametrize(
    "content",
    [
        '{"format": "transformer.byte_bpe"}',
        '{"format": "transformer.byte_bpe", "merges": [[0]], "special": []}',
        '{"format": "transformer.byte_bpe", "merges": [["a", "b"]], "special": []}',
        '{"format": "transformer.byte_bpe", "merges": [[0, 999]], "special": []}',
        '{"format": "transformer.byte_bpe", "merges": [], "special": 7}',
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(ValueError, match="is damaged"):
        FastByteBPETokenizer.load(tmp_path / "t.json")


@holds_for(data=st.binary())
def test_the_byte_alphabet_prints_every_byte_and_reads_it_back(data: bytes) -> None:
    assert to_printable(data).isprintable()
    assert from_printable(to_printable(data)) == data


def test_the_byte_alphabet_is_hugging_faces_and_refuses_other_characters() -> None:
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    assert to_printable(BYTE_ORDER) == "".join(sorted(alphabet))
    with pytest.raises(ValueError, match="not written in GPT-2's byte alphabet"):
        from_printable("a b")


# By hand, on the plain class itself. In GPT-2's order "l" is 75, "o" 78, "w" 86, "a" 64, "c" 66,
# the space 220, and é is 127 with 102.
BY_HAND = [(75, 78), (256, 86), (64, 64), (78, 86), (220, 257), (127, 102), (66, 220), (64, 75)]
NAMES = ("<|a|>", "<|a|><|b|>", "<|b|>")


@pytest.mark.parametrize(
    ("piece", "ids"),
    [
        ("low", [257]),
        ("alow", [64, 257]),  # "al" is a token too, of a later merge than "lo"
        ("owlow", [259, 257]),
        ("aaa", [258, 64]),  # from left to right
        ("é", [261]),
    ],
)
def test_a_piece_is_merged_by_rank_and_from_left_to_right(piece: str, ids: list[int]) -> None:
    assert ByteBPETokenizer(BY_HAND).encode_piece(piece.encode()) == ids


def test_a_merge_that_would_cross_pieces_is_not_made() -> None:
    assert ByteBPETokenizer(BY_HAND).encode("c x low") == [66, 220, 87, 260]


def test_merges_are_learned_over_bytes_and_by_how_often_a_piece_occurs() -> None:
    assert ByteBPETokenizer.learn({"ababab": 1, "cd": 5}, 1) == [(66, 67)]
    # ü is the bytes C3 BC, whose ids are 127 and 120.
    assert ByteBPETokenizer.learn({"ü": 1}, 9) == [(127, 120)]


def test_a_special_token_is_one_where_it_is_allowed_and_text_elsewhere() -> None:
    tokenizer = ByteBPETokenizer(BY_HAND, NAMES)
    text = "low<|a|><|b|>|"
    assert tokenizer.encode(text, allowed_special="all") == [257, 265, 91]
    assert tokenizer.encode(text, allowed_special=["<|b|>"])[-2:] == [266, 91]
    assert max(tokenizer.encode(text)) < 264
    with pytest.raises(ValueError, match="no special tokens"):
        tokenizer.encode(text, allowed_special=["<|c|>"])


def test_a_character_over_two_tokens_is_decoded_whole() -> None:
    tokenizer = ByteBPETokenizer(BY_HAND)
    assert tokenizer.decode([127, 102]) == "é"
    assert tokenizer.decode([75, 127, 78]) == "l\ufffdo"
    with pytest.raises(ValueError, match="-1"):
        tokenizer.decode([-1])


def test_a_piece_that_comes_again_is_encoded_again() -> None:
    assert ByteBPETokenizer(BY_HAND).encode_plain(" low low") == [260, 260]
