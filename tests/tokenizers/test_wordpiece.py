"""WordPiece: the words and the ids of Hugging Face's BertTokenizer, properties, training."""

import json
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example
from hypothesis import strategies as st

from tests.tokenizers.support import ANY_TEXT, SEAMS, bert, holds_for, hugging_faces_bert, scripts
from transformer.tokenizers import WordPieceTokenizer, save_hugging_face
from transformer.tokenizers.bert_words import words
from transformer.tokenizers.export import hugging_face
from transformer.tokenizers.wordpiece import SPECIAL

# Hugging Face's tables of Unicode are some versions old: of the rest of Unicode these are the
# characters that have had their category since Unicode 3.2.
OLD = st.characters(exclude_categories=["Cs", "Cn"]).filter(
    lambda c: unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c)
)
# Without names of special tokens, which Hugging Face takes for the tokens and we for text.
TEXT = st.text(st.sampled_from(SEAMS) | OLD).filter(
    lambda text: not any(name in text for name in SPECIAL)
)


def test_the_vocabulary_is_the_published_one() -> None:
    assert bert().d_vocab == 30522
    assert bert().special_tokens == {
        **{"[PAD]": 0, "[UNK]": 100},
        **{"[CLS]": 101, "[SEP]": 102, "[MASK]": 103},
    }


@holds_for(text=TEXT)
@example(text="ΟΔΟΣ İstanbul ŉ ﬀ Ⅷ")
@example(text="a\x0bb\x1cc\x85d\u2028e\xa0f\u3000g\tH\r\ni")
@example(text="中文\U0002b820\uf900한국어が")
@example(text="e\u0301\u0323 \u0323e \ufffd\u200d x\u00adx")
@example(text="$+<=>^`|~ ½№ \u2019“”—…")
def test_ids_are_those_of_hugging_faces_bert_tokenizer(text: str) -> None:
    assert bert().encode(text) == hugging_faces_bert().encode(text, add_special_tokens=False)


def test_the_ends_are_those_of_hugging_faces_bert_tokenizer() -> None:
    theirs = hugging_faces_bert()
    assert bert().with_ends("Hello there") == theirs.encode("Hello there")
    assert bert().with_ends("one", "the other") == theirs.encode("one", "the other")


@pytest.mark.parametrize("n", [99, 100, 101, 5000])
def test_a_word_of_more_than_100_characters_is_unknown(n: int) -> None:
    text = "un" * (n // 2) + "a" * (n % 2)
    assert bert().encode(text) == hugging_faces_bert().encode(text, add_special_tokens=False)
    assert (bert().tokenize(text) == ["[UNK]"]) == (n > 100)


@pytest.mark.long
def test_every_character_since_unicode_3_2_gives_hugging_faces_words() -> None:
    normalizer = tokenizers.normalizers.BertNormalizer()
    splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
    differ = []
    for character in map(chr, range(0x110000)):
        category = unicodedata.category(character)
        if category in ("Cs", "Cn") or unicodedata.ucd_3_2_0.category(character) != category:
            continue
        text = f"a{character}b{character}C {character}"
        theirs = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        if words(text) != [word for word, _ in theirs]:
            differ.append(character)
    assert differ == []


def test_words_are_cleaned_lowered_and_split() -> None:
    assert words("Ünlü\tcafé's №1: 中文!") == [
        *("unlu", "cafe", "'", "s", "№1", ":", "中", "文", "!")
    ]
    assert words("") == []


@holds_for(text=ANY_TEXT)
def test_of_the_special_tokens_only_unknown_comes_from_text(text: str) -> None:
    tokens = bert().tokenize(text + "[SEP] [MASK]" + text)
    assert not {"[PAD]", "[CLS]", "[SEP]", "[MASK]"} & set(tokens)


@holds_for(text=ANY_TEXT)
def test_decoding_gives_the_words_with_a_space_between_them(text: str) -> None:
    tokenizer = WordPieceTokenizer.train(text, d_vocab=3000)
    short = [word if len(word) <= 100 else "[UNK]" for word in words(text)]
    assert tokenizer.decode(tokenizer.encode(text)) == " ".join(short)


def test_decoding_leaves_padding_out_and_a_mark_by_itself_in() -> None:
    tokenizer = WordPieceTokenizer([*SPECIAL, "un", "##able", "##"])
    un, able, mark = range(len(SPECIAL), len(SPECIAL) + 3)
    assert tokenizer.decode([0, un, 0, able, mark, able, un, 0]) == "unable ##able un"


def test_training_learns_the_commonest_parts() -> None:
    tokenizer = WordPieceTokenizer.train("lower Lower slow", d_vocab=15)
    letters = ("##e", "##l", "##o", "##r", "##w", "l", "s")
    assert tokenizer.vocabulary == (*SPECIAL, *letters, "##ow", "##er", "low")
    assert tokenizer.tokenize("LOWER") == ["low", "##er"]


def test_training_on_real_text_leaves_no_unknown_word() -> None:
    text = scripts()[:2000]
    tokenizer = WordPieceTokenizer.train(text, d_vocab=300)
    assert tokenizer.d_vocab == 300
    assert "[UNK]" not in tokenizer.tokenize(text)


def test_saving_and_loading(tmp_path: Path) -> None:
    tokenizer = WordPieceTokenizer.train("lower slow", d_vocab=17)
    tokenizer.save(tmp_path / "t.json")
    assert WordPieceTokenizer.load(tmp_path / "t.json").vocabulary == tokenizer.vocabulary


def test_hugging_face_reads_what_we_write(tmp_path: Path) -> None:
    tokenizer = WordPieceTokenizer.train(scripts(), d_vocab=900)
    save_hugging_face(tokenizer, tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = scripts().swapcase() + "Ω unseen ಕ"
    assert theirs.encode(text).ids == tokenizer.encode(text)
    assert theirs.token_to_id("[MASK]") == 4


@pytest.mark.parametrize("n_segments", [1, 2])
def test_hugging_face_puts_berts_ends_on_what_we_write_for_an_encoder(n_segments: int) -> None:
    tokenizer = WordPieceTokenizer.train(scripts(), d_vocab=900)
    content = json.dumps(hugging_face(tokenizer, n_segments=n_segments))
    theirs = tokenizers.Tokenizer.from_str(content)
    assert theirs.encode("All human beings").ids == tokenizer.with_ends("All human beings")
    pair = theirs.encode("All human", "beings are")
    assert pair.ids == tokenizer.with_ends("All human", "beings are")
    n_first = len(tokenizer.with_ends("All human"))
    assert pair.type_ids[:n_first] == [0] * n_first
    assert set(pair.type_ids[n_first:]) == {n_segments - 1}


@pytest.mark.parametrize(
    ("vocabulary", "complaint"),
    [
        ([*SPECIAL, "a", "a"], "distinct"),
        ([*SPECIAL, ""], "not empty"),
        (["[PAD]", "[UNK]", "[CLS]", "a"], r"has no \[SEP\], \[MASK\]"),
    ],
)
def test_an_impossible_vocabulary_is_refused(
    tmp_path: Path, vocabulary: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        WordPieceTokenizer(vocabulary)
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(vocabulary) + "\n")
    with pytest.raises(ValueError, match="is no vocabulary of BERT's"):
        WordPieceTokenizer.read_vocab(file)


def test_a_size_without_room_for_the_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 for this text's characters"):
        WordPieceTokenizer.train("abc", d_vocab=7)
