"""Tokenizers as a model's folder has them: read as Hugging Face reads them, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from transformers import AutoTokenizer

from tests.pretrained.support import TOKENIZERS, gpt2, llama
from transformer.pretrained.load import load_model, save_pretrained, special_of
from transformer.pretrained.special import ends_of
from transformer.pretrained.tokenizer import read_tokenizer
from transformer.sampling.options import Sampling
from transformer.sampling.text import complete, continue_text, encode_prompts
from transformer.tokenizers import (
    FastByteBPETokenizer,
    Tokenizer,
    WordPieceTokenizer,
    save_hugging_face,
)
from transformer.tokenizers.byte_alphabet import all_printable
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer

BYTE_BPE = TOKENIZERS[0]
WORDPIECE = TOKENIZERS[2]


def whole(folder: Path, tokenizer: Tokenizer, **changes: Any) -> dict[str, Any]:
    """Write tokenizer.json into the folder, some of it changed; return what it holds."""
    save_hugging_face(tokenizer, folder / "tokenizer.json")
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    write(folder, "tokenizer.json", content | changes)
    return {**content, **changes}


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def in_two_files(folder: Path, **files: object) -> None:
    """Write GPT-2's two files, and other files as JSON."""
    assert isinstance(BYTE_BPE, FastByteBPETokenizer)
    n_plain = 256 + len(BYTE_BPE.merges)
    names = all_printable(BYTE_BPE.vocabulary[:n_plain])
    numbers = {name: i for i, name in enumerate([*names, *BYTE_BPE.special_tokens])}
    write(folder, "vocab.json", numbers)
    merges = [f"{names[left]} {names[right]}" for left, right in BYTE_BPE.merges]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    write(folder, "config.json", {"model_type": "gpt2"})
    for name, content in files.items():
        write(folder, f"{name}.json", content)


# Tokens that were added


def entry(name: str, **changes: bool) -> dict[str, Any]:
    how = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    return {"content": name, **how, **changes}


TWO = {"<new>": 263, "<|new|>": 264}


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens": TWO},
        {"added_tokens": TWO, "tokenizer_config": {"additional_special_tokens": ["<|new|>"]}},
        {"added_tokens": TWO, "special_tokens_map": {"pad_token": entry("<|new|>", lstrip=True)}},
        {"special_tokens_map": {"mask_token": entry("<|endoftext|>", lstrip=True)}},
        {"added_tokens": TWO, "tokenizer_config": {"pad_token": "<new>"}},
        {
            "tokenizer_config": {
                "added_tokens_decoder": {
                    "262": entry("<|endoftext|>", special=True),
                    "263": entry("<new>", rstrip=True),
                    "264": entry("<|new|>", special=True),
                }
            }
        },
    ],
    ids=["old", "special", "a role, said elsewhere", "stripped", "a role", "decoder"],
)
def test_tokens_added_beside_two_files_are_found_as_hugging_face_finds_them(
    files: dict[str, Any], tmp_path: Path
) -> None:
    in_two_files(tmp_path, **files)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = read_tokenizer(tmp_path)
    assert isinstance(ours, NumberedBPETokenizer)
    added = {i: one for i, one in theirs.added_tokens_decoder.items() if i < ours.d_vocab}
    assert {i: one.special for one, i in ours.added.items()} == {
        i: one.special for i, one in added.items()
    }
    for text in ("the <new>  cat  <|new|> sat  <|endoftext|>", "<new><|new|><|endoftext|>new"):
        assert ours.encode(text, allowed_special="all") == theirs.encode(text)


def test_an_end_that_is_no_special_token_is_exported_all_the_same(tmp_path: Path) -> None:
    folder, again = tmp_path / "theirs", tmp_path / "again"
    save_pretrained(gpt2(d_vocab=264), folder)
    end = {"id": 263, **entry("<end>")}
    whole(folder, BYTE_BPE, added_tokens=[{"id": 262, **entry("<|endoftext|>")}, end])
    write(folder, "tokenizer_config.json", {"eos_token": "<end>"})
    model, tokenizer = load_model(folder)
    assert tokenizer.special_tokens == {}
    save_pretrained(model, again, tokenizer, special=special_of(folder))
    assert special_of(again) == {"eos_token_id": 263, "eos_token": "<end>"}
    assert ends_of(special_of(again), tokenizer) == {263}
    assert AutoTokenizer.from_pretrained(again).eos_token_id == 263


def test_two_files_alone_are_gpt2s(tmp_path: Path) -> None:
    in_two_files(tmp_path)
    assert read_tokenizer(tmp_path).fingerprint() == BYTE_BPE.fingerprint()


def test_that_a_beginning_is_to_be_added_is_no_token_of_that_name(tmp_path: Path) -> None:
    assert isinstance(BYTE_BPE, FastByteBPETokenizer)
    names = [*all_printable(BYTE_BPE.vocabulary[:256]), "Tr", "Tru", "True", "<|endoftext|>"]
    write(tmp_path, "vocab.json", {name: i for i, name in enumerate(names)})
    (tmp_path / "merges.txt").write_text("T r\nTr u\nTru e\n")
    write(tmp_path, "tokenizer_config.json", {"add_bos_token": True})
    ours = read_tokenizer(tmp_path)
    assert (ours.special_tokens, ours.bos) == ({"<|endoftext|>": 259}, (259,))


def test_special_tokens_added_to_wordpiece_are_kept_and_read_as_text(tmp_path: Path) -> None:
    n = WORDPIECE.d_vocab
    five = [entry(name, special=True) | {"id": i} for name, i in WORDPIECE.special_tokens.items()]
    new = {"id": n, **entry("dog", special=True)}
    whole(tmp_path, WORDPIECE, added_tokens=[*five, new])
    ours = read_tokenizer(tmp_path)
    assert isinstance(ours, WordPieceTokenizer)
    assert ours.special_tokens == {**WORDPIECE.special_tokens, "dog": n}
    assert ours.encode("the dog") == WORDPIECE.encode("the dog")  # as text from outside
    ours.save(tmp_path / "ours.json")
    assert WordPieceTokenizer.load(tmp_path / "ours.json").fingerprint() == ours.fingerprint()
    save_hugging_face(ours, tmp_path / "tokenizer.json")
    assert read_tokenizer(tmp_path).fingerprint() == ours.fingerprint()
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.token_to_id("dog") == n
    assert theirs.encode("Dog").ids == ours.encode("Dog")  # no piece of a word in either


FIVE = [entry(name, special=True) | {"id": i} for name, i in WORDPIECE.special_tokens.items()]
FOUND = [
    entry("<new>"),
    entry("New York", normalized=True, lstrip=True),
    entry("É", normalized=True),
    entry("[X]", normalized=True, rstrip=True),
    entry("中x", normalized=True),
    entry("Rat"),
    entry("<stop>", special=True),
    entry("cats", normalized=True),
    entry("Ra", single_word=True),
    entry("Ats", single_word=True, normalized=True, lstrip=True),
]
TEXTS = [
    "the cat sat <new>on<new> the <NEW> mat",
    "in new\tYORKs, new  york",
    "ÉCAT e\u0301 Éat thecatsat Cats CATSÉ",
    "the [x] cat[X]  mat",
    "中x 中 x 中\nx x中x",
    "rat Rat RATRat",
    "Ra xRa Rax -Ra_ -Ra- 1Ra ra",
    "ats mats  ats-\u00e1ts a\u0301ts\u200d ats\u0302 _Ats",
]


def test_tokens_added_to_wordpiece_are_found_as_hugging_face_finds_them(tmp_path: Path) -> None:
    n, folder = WORDPIECE.d_vocab, tmp_path / "again"
    added = [{"id": i, **one} for i, one in enumerate(FOUND, n)]
    whole(tmp_path, WORDPIECE, added_tokens=[*FIVE, *added])
    ours = read_tokenizer(tmp_path)
    ours.save(tmp_path / "ours.json")
    folder.mkdir()
    save_hugging_face(ours, folder / "tokenizer.json")
    assert {*range(n, n + len(FOUND))} - {n + 6} <= {
        token for text in TEXTS for token in ours.encode(text)
    }, "each is found in some text"
    for theirs in (tmp_path, folder):
        oracle = tokenizers.Tokenizer.from_file(str(theirs / "tokenizer.json"))
        for text in TEXTS:
            assert ours.encode(text) == oracle.encode(text, add_special_tokens=False).ids
            halves = ours.encode_stream([text[:5], text[5:]])
            assert [i for ids in halves for i in ids] == ours.encode(text)
    for same in (read_tokenizer(folder), WordPieceTokenizer.load(tmp_path / "ours.json")):
        assert same.fingerprint() == ours.fingerprint() != WORDPIECE.fingerprint()
        assert [same.encode(text) for text in TEXTS] == [ours.encode(text) for text in TEXTS]
    assert ours.decode([*ours.encode("cat"), n]) == "cat <new>"


def test_tokens_added_beside_vocab_txt_are_found_too(tmp_path: Path) -> None:
    names = [str(name) for name in WORDPIECE.vocabulary]
    (tmp_path / "vocab.txt").write_text("\n".join(names))
    write(tmp_path, "config.json", {"model_type": "bert"})
    write(tmp_path, "added_tokens.json", {"Rats": len(names), "<new>": len(names) + 1})
    ours, theirs = read_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in ("the rats sat on<new>the mat", "RATS <NEW>mat"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
        assert {*ours.encode(text)} >= {len(names), len(names) + 1}


@pytest.mark.parametrize(
    ("name", "normalized", "refused"),
    [("cat", False, True), ("cat", True, False), ("##at", True, True), ("[MASK]", True, False)],
)
def test_an_added_token_that_is_a_piece_of_words_too_is_refused(
    name: str, normalized: bool, refused: bool, tmp_path: Path
) -> None:
    numbers = {str(one): i for i, one in enumerate(WORDPIECE.vocabulary)}
    one = entry(name, normalized=normalized, special=name == "[MASK]") | {"id": numbers[name]}
    whole(tmp_path, WORDPIECE, added_tokens=[*FIVE, one])
    if refused:
        said = rf"tokenizer\.json: its added token '{name}' is a piece of words in the vocabulary"
        with pytest.raises(ValueError, match=said):
            read_tokenizer(tmp_path)
    else:
        oracle = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        for text in ("the CATS", "cat mat"):
            found = oracle.encode(text, add_special_tokens=False).ids
            assert read_tokenizer(tmp_path).encode(text) == found


def test_an_added_token_of_which_normalising_leaves_nothing_is_refused(tmp_path: Path) -> None:
    void = entry("\u0301", normalized=True) | {"id": WORDPIECE.d_vocab}
    whole(tmp_path, WORDPIECE, added_tokens=[*FIVE, void])
    with pytest.raises(ValueError, match=r"nothing is left in a normalised text"):
        read_tokenizer(tmp_path)


# What a text begins with


def template(*single: dict[str, Any]) -> dict[str, Any]:
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    special["</s>"] = {"id": "</s>", "ids": [0], "tokens": ["</s>"]}
    both = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    kind = "TemplateProcessing"
    return {"type": kind, "single": [*single], "pair": both, "special_tokens": special}


BOS, EOS = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
TEXT_A = {"Sequence": {"id": "A", "type_id": 0}}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}
BYTE_LEVEL |= {"use_regex": True}


def with_bos() -> NumberedBPETokenizer:
    """A tokenizer whose special tokens come first, as LLaMA's do."""
    assert isinstance(BYTE_BPE, FastByteBPETokenizer)
    names = all_printable(BYTE_BPE.vocabulary[: 256 + len(BYTE_BPE.merges)])
    merges = [(names[left], names[right]) for left, right in BYTE_BPE.merges]
    return NumberedBPETokenizer(["</s>", "<s>", *names], merges, ["</s>", "<s>"])


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (template(BOS, TEXT_A), [1]),
        (template(BOS, BOS, TEXT_A), [1, 1]),
        ({"type": "Sequence", "processors": [BYTE_LEVEL, template(BOS, TEXT_A)]}, [1]),
        (BYTE_LEVEL, []),
        (template(TEXT_A), []),
        (None, []),
    ],
    ids=["bos", "twice", "sequence", "bytes", "text", "none"],
)
def test_a_prompt_begins_as_hugging_faces_template_says(
    processor: Any, expected: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    save_pretrained(llama(d_vocab=with_bos().d_vocab), folder)
    whole(folder, with_bos(), post_processor=processor)
    model, ours = load_model(folder)
    assert ours.bos == tuple(expected)
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    prompts = ["the cat", "<s>the", "sat on"]
    for special in (False, True):
        found = encode_prompts(ours, prompts, special=special)
        assert found[0] == theirs.encode(prompts[0]).ids
        assert found[2] == theirs.encode(prompts[2]).ids
    assert found[1] == theirs.encode(prompts[1]).ids
    # Exported it says the same; saved with a run, too.
    save_pretrained(model, tmp_path / "again", ours)
    assert read_tokenizer(tmp_path / "again").fingerprint() == ours.fingerprint()
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    for text in prompts:
        assert again(text)["input_ids"] == theirs.encode(text).ids
    ours.save(tmp_path / "ours.json")
    assert NumberedBPETokenizer.load(tmp_path / "ours.json").bos == ours.bos


def test_what_a_template_puts_behind_a_text_is_not_put_behind_a_prompt(tmp_path: Path) -> None:
    whole(tmp_path, with_bos(), post_processor=template(BOS, TEXT_A, EOS))
    ours = read_tokenizer(tmp_path)
    assert encode_prompts(ours, ["the"]) == [[1, *ours.encode("the")]]


def test_a_prompt_without_a_word_has_its_beginning(tmp_path: Path) -> None:
    names, merges = with_bos().names, with_bos().merges
    ours = NumberedBPETokenizer(names, merges, ["</s>", "<s>"], bos=["<s>"])
    assert encode_prompts(ours, [""]) == [[1]]
    with pytest.raises(ValueError, match="has no token"):
        encode_prompts(with_bos(), [""])


def test_a_prompts_beginning_is_read_by_the_model_and_not_written() -> None:
    names, merges = with_bos().names, with_bos().merges
    ours = NumberedBPETokenizer(names, merges, ["</s>", "<s>"], bos=["<s>"])
    model = gpt2(d_vocab=ours.d_vocab, n_ctx=41)
    how: dict[str, Any] = {"n_new": 7, "sampling": Sampling(seed=3)}
    [found] = complete(model, ours, ["the cat"], **how, log_probs=True)
    named = complete(model, with_bos(), ["<s>the cat"], **how, log_probs=True, special=True)[0]
    [without] = complete(model, with_bos(), ["the cat"], **how, log_probs=True)
    assert found.tokens == named.tokens
    assert found.log_probs == named.log_probs != without.log_probs
    pieces = continue_text(model, ours, "the cat", **how)
    assert "".join(pieces) == found.text
    assert "<s>" not in found.prompt + found.text


@pytest.mark.parametrize("given", [True, False])
def test_two_files_begin_a_text_where_their_settings_say_so(given: bool, tmp_path: Path) -> None:
    settings = {"add_bos_token": given, "bos_token": "<|endoftext|>"}
    in_two_files(tmp_path, tokenizer_config=settings)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert encode_prompts(read_tokenizer(tmp_path), ["the cat"]) == [theirs("the cat")["input_ids"]]


def test_a_beginning_that_is_no_token_is_refused(tmp_path: Path) -> None:
    in_two_files(tmp_path, tokenizer_config={"add_bos_token": True, "bos_token": "<s>"})
    with pytest.raises(
        ValueError, match=r"vocab\.json: a text is to begin with '<s>', which is no"
    ):
        read_tokenizer(tmp_path)


# What is damaged, or ours does not do


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unk_token": "[OOV]"}, r"unk_token = '\[OOV\]'; what can be read is '\[UNK\]'"),
        ({"max_input_chars_per_word": 7}, "max_input_chars_per_word = 7; what can be read is 100"),
        ({"max_input_chars_per_word": 0}, "max_input_chars_per_word = 0; what can be read is 100"),
        ({"continuing_subword_prefix": "@@"}, "continuing_subword_prefix = '@@'; what"),
    ],
)
def test_a_wordpiece_of_another_kind_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    content = whole(tmp_path, WORDPIECE)
    assert read_tokenizer(tmp_path).fingerprint() == WORDPIECE.fingerprint()
    write(tmp_path, "tokenizer.json", content | {"model": content["model"] | changes})
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {said}"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("tokenizer", "changes", "said"),
    [
        (0, {"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}}, r"pre_tokenizer is \[\]"),
        (0, {"pre_tokenizer": {"type": "Sequence"}}, "is damaged: KeyError"),
        (0, {"pre_tokenizer": []}, "its pre_tokenizer is"),
        (0, {"pre_tokenizer": "ByteLevel"}, "is damaged: AttributeError"),
        (0, {"added_tokens": [7]}, "is damaged: TypeError"),
        (0, {"added_tokens": [entry("<x>")]}, "is damaged: KeyError"),
        (
            0,
            {"added_tokens": [entry("<x>") | {"id": 999}]},
            "where 262 should come is '<x>' with 9",
        ),
        (0, {"added_tokens": [entry("<x>") | {"id": "7"}]}, "number is an integer, got '7'"),
        (0, {"post_processor": template(BOS, TEXT_A)}, "to begin with '<s>', which is no token"),
        (0, {"post_processor": ["<s>"]}, "is damaged: AttributeError"),
        (0, {"model": 7}, "no tokenizer of ours is a None"),
        (1, {"normalizer": {"type": "NFC"}}, "characters come with a normalizer or added tokens"),
        (1, {"added_tokens": [entry("<x>") | {"id": 99}]}, "with a normalizer or added tokens"),
        (2, {"pre_tokenizer": {"type": "Whitespace"}}, "not split as BERT does it"),
        (2, {"pre_tokenizer": None}, "not split as BERT does it"),
    ],
)
def test_a_foreign_tokenizer_is_refused_with_its_file_and_why(
    tokenizer: int, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    whole(tmp_path, TOKENIZERS[tokenizer], **changes)
    with pytest.raises(ValueError, match=rf"tokenizer\.json.*{said}"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"dropout": 0.1}, r"dropout = 0\.1; what can be read is None or 0\.0"),
        ({"ignore_merges": True}, "ignore_merges = True; what can be read is False"),
        ({"end_of_word_suffix": "</w>"}, "end_of_word_suffix = '</w>'"),
        ({"merges": [["a"]]}, r"a merge is two tokens with a space between, got \['a'\]"),
        ({"merges": ["a b c"]}, "a merge is two tokens with a space between, got 'a b c'"),
        ({"merges": [7]}, "a merge is two tokens with a space between, got 7"),
    ],
)
def test_a_bpe_of_another_kind_is_refused(model: dict[str, Any], said: str, tmp_path: Path) -> None:
    content = whole(tmp_path, BYTE_BPE)
    write(tmp_path, "tokenizer.json", content | {"model": content["model"] | model})
    with pytest.raises(ValueError, match=rf"tokenizer\.json: .*{said}"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("file", ["special_tokens_map.json", "added_tokens.json"])
@pytest.mark.parametrize("vocabulary", ["vocab.txt", "vocab.json"])
def test_a_damaged_file_of_added_tokens_is_named_once(
    file: str, vocabulary: str, tmp_path: Path
) -> None:
    if vocabulary == "vocab.txt":
        names = "\n".join(str(name) for name in WORDPIECE.vocabulary)
        (tmp_path / vocabulary).write_text(names, encoding="utf-8")
    else:
        in_two_files(tmp_path)
    (tmp_path / file).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^\S+ is no JSON file: ") as found:
        read_tokenizer(tmp_path)
    assert str(found.value).count(str(tmp_path)) == 1
    assert file in str(found.value)
    # Newer files say it all in one place: these are not read then.
    decoder = {"4": entry("[MASK]", special=True)} if vocabulary == "vocab.txt" else {}
    decoder = decoder or {"262": entry("<|endoftext|>", special=True)}
    write(tmp_path, "tokenizer_config.json", {"added_tokens_decoder": decoder})
    read_tokenizer(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    in_two_files(tmp_path)
    merges = (tmp_path / "merges.txt").read_bytes()
    for damage, said in (
        (b"\nabc", "got 'abc'"),
        (b"\nx y z", "got 'x y z'"),
        (b"\n\xff", "utf-8"),
    ):
        (tmp_path / "merges.txt").write_bytes(merges + damage)
        with pytest.raises(ValueError, match=rf"merges\.txt: .*{said}"):
            read_tokenizer(tmp_path)
    (tmp_path / "merges.txt").write_bytes(merges + b"\nq zz")
    with pytest.raises(ValueError, match=r"vocab\.json: the merges name 'zz', which is no token"):
        read_tokenizer(tmp_path)
    (tmp_path / "merges.txt").write_bytes(merges)
    write(tmp_path, "vocab.json", {"a": 0, "b": "1"})
    with pytest.raises(ValueError, match=r"vocab\.json: a token's number is an integer, got '1'"):
        read_tokenizer(tmp_path)
    write(tmp_path, "vocab.json", {"a": 0, "b": 2})
    with pytest.raises(ValueError, match=r"vocab\.json: .*where 1 should come is 'b' with 2"):
        read_tokenizer(tmp_path)
