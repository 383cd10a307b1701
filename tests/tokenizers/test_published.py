"""Vocabularies of others are read, ours are read by others, and damaged ones are refused."""

import base64
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tokenizers.support import (
    gpt2,
    needs_gpt2,
    of_hugging_face,
    of_tiktoken,
    scripts,
    trained,
    write_gpt2,
)
from transformer.tokenizers import (
    FastByteBPETokenizer,
    read_gpt2,
    read_gpt2_from_hub,
    read_hugging_face,
    read_tiktoken,
    save_hugging_face,
    save_tiktoken,
)


@pytest.mark.parametrize("version", [True, False])
@pytest.mark.parametrize("names", [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")])
def test_gpt2s_files_are_read_under_both_their_names(
    tmp_path: Path, names: tuple[str, str], version: bool
) -> None:
    write_gpt2(tmp_path, names, version=version)
    assert read_gpt2(tmp_path).fingerprint() == trained().fingerprint()


@needs_gpt2
def test_the_published_vocabulary_has_50257_tokens() -> None:
    assert gpt2().d_vocab == 50257
    assert gpt2().special_tokens == {"<|endoftext|>": 50256}
    assert gpt2().encode("Hello world") == [15496, 995]


@needs_gpt2
@pytest.mark.slow
def test_the_published_vocabulary_is_read_back_from_tiktokens_ranks(tmp_path: Path) -> None:
    save_tiktoken(gpt2(), tmp_path / "ranks")
    assert read_tiktoken(tmp_path / "ranks", ["<|endoftext|>"]).merges == gpt2().merges


def test_tiktokens_ranks_and_hugging_faces_file_are_read_back(tmp_path: Path) -> None:
    save_tiktoken(trained(), tmp_path / "ranks")
    special = [*trained().special_tokens]
    assert read_tiktoken(tmp_path / "ranks", special).fingerprint() == trained().fingerprint()
    save_hugging_face(trained(), tmp_path / "t.json")
    assert read_hugging_face(tmp_path / "t.json").fingerprint() == trained().fingerprint()


def test_other_libraries_read_our_files_and_decode_our_ids() -> None:
    text = scripts()
    tokens = trained().encode(text)
    assert of_tiktoken(trained()).decode(tokens) == text
    theirs = of_hugging_face(trained())
    assert theirs.decode(tokens) == text
    assert theirs.get_vocab_size() == trained().d_vocab


def test_what_hugging_face_writes_is_read(tmp_path: Path) -> None:
    of_hugging_face(trained()).save(str(tmp_path / "t.json"))
    assert read_hugging_face(tmp_path / "t.json").fingerprint() == trained().fingerprint()


def test_the_hub_is_asked_for_gpt2s_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gpt2(tmp_path, ("vocab.json", "merges.txt"))
    asked = []

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        return str(tmp_path / name)

    hub = SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert read_gpt2_from_hub().fingerprint() == trained().fingerprint()
    assert asked == [
        ("openai-community/gpt2", "vocab.json"),
        ("openai-community/gpt2", "merges.txt"),
    ]


def test_without_a_network_or_the_hubs_package_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(repository: str, name: str) -> str:
        raise ConnectionError("no route to host")

    hub = SimpleNamespace(hf_hub_download=offline)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(OSError, match=r"with vocab\.json and merges\.txt from https://.*gpt2 in a"):
        read_gpt2_from_hub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match="pip install huggingface_hub"):
        read_gpt2_from_hub()


def test_an_empty_folder_is_no_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has neither"):
        read_gpt2(tmp_path)


def test_damaged_files_of_gpt2_are_refused(tmp_path: Path) -> None:
    names = ("encoder.json", "vocab.bpe")
    write_gpt2(tmp_path, names)
    merges = (tmp_path / "vocab.bpe").read_text(encoding="utf-8").splitlines()
    vocabulary = json.loads((tmp_path / "encoder.json").read_text())

    (tmp_path / "vocab.bpe").write_text("\n".join(merges[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="no merge makes"):
        read_gpt2(tmp_path)
    (tmp_path / "vocab.bpe").write_text("\n".join(merges[:-7] + merges[-6:]), encoding="utf-8")
    with pytest.raises(ValueError, match="not numbered as GPT-2's"):
        read_gpt2(tmp_path)
    (tmp_path / "vocab.bpe").write_text("\n".join([*merges, "a b c"]), encoding="utf-8")
    with pytest.raises(ValueError, match="is damaged"):
        read_gpt2(tmp_path)
    (tmp_path / "vocab.bpe").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is no list of merges"):
        read_gpt2(tmp_path)
    write_gpt2(tmp_path, names)
    vocabulary["!"], vocabulary['"'] = vocabulary['"'], vocabulary["!"]
    (tmp_path / "encoder.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ValueError, match=r"not numbered as GPT-2's"):
        read_gpt2(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps(vocabulary)[:1000])
    with pytest.raises(ValueError, match="no tokenizer file"):
        read_gpt2(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": {"type": "Unigram"}}, "with a BPE model"),
        ({"model": None}, "with a BPE model"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "not split by GPT-2's pattern"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "pattern alone"),
        ({"pre_tokenizer": {"type": "ByteLevel", "use_regex": False}}, "pattern alone"),
        ({"normalizer": {"type": "NFC"}}, "changes the text first"),
        ({"model": {"type": "BPE", "vocab": {}}}, "is damaged"),
        ({"model": {"type": "BPE", "dropout": 0.1}}, r"merges otherwise .*: {'dropout': 0\.1}"),
        ({"model": {"type": "BPE", "ignore_merges": True}}, "otherwise .*'ignore_merges': True"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": ["a b"]}}, "is damaged"),
        ({"added_tokens": [{"id": 999, "content": "<|x|>"}]}, "not numbered as GPT-2's"),
    ],
)
def test_a_foreign_tokenizer_json_is_refused(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "tokenizer.json"
    save_hugging_face(trained(), file)
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change))
    with pytest.raises(ValueError, match=complaint):
        read_hugging_face(file)


def ranks(tokens: list[bytes]) -> bytes:
    return b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate(tokens))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x00\xff what is this", "no file of tiktoken's ranks"),
        (b"IQ==", "no file of tiktoken's ranks"),
        (b"IQ== 1\n", "do not run from 0"),
        (ranks([bytes([i]) for i in range(256)]), "bytes in GPT-2's order"),
        (ranks([*trained().vocabulary[:256], b"abc"]), "not made of two"),
        (ranks([*trained().vocabulary[:256], b"ab", b"ab"]), "do not run from 0"),
    ],
)
def test_a_foreign_or_damaged_file_of_ranks_is_refused(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "ranks").write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        read_tiktoken(tmp_path / "ranks")


def test_a_vocabulary_without_merges_is_one_too(tmp_path: Path) -> None:
    save_tiktoken(FastByteBPETokenizer([]), tmp_path / "ranks")
    assert read_tiktoken(tmp_path / "ranks").d_vocab == 256
