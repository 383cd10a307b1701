"""`transformer tokenize` as a user meets it."""

import io
from pathlib import Path

import pytest

from transformer.cli import main
from transformer.tokenizers import FastByteBPETokenizer, load_tokenizer
from transformer.tokenizers.loading import KINDS

TEXT = "the cat sat on the mat,\nthe cat ate the rat\n" * 3


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    return file


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    FastByteBPETokenizer.train(TEXT, d_vocab=280).save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_trained_and_kept(
    kind: str, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.json"
    main(["tokenize", "train", str(text), "--out", str(out), "--kind", kind])
    tokenizer = load_tokenizer(out)
    assert type(tokenizer) is KINDS[kind]
    assert f"{out}: {kind}, {tokenizer.d_vocab:,} tokens" in capsys.readouterr().out


def test_size_and_special_tokens_are_chosen(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    special = "[<|endoftext|>, <|pad|>]"
    main(["tokenize", "train", str(text), "--out", str(out), "--size", "265", "--special", special])
    assert load_tokenizer(out).d_vocab == 265
    assert [*load_tokenizer(out).special_tokens] == ["<|endoftext|>", "<|pad|>"]
    for kind, size in (("sennrich-bpe", "5"), ("wordpiece", "30")):
        main(["tokenize", "train", str(text), "--out", str(out), "--kind", kind, "--size", size])
        assert load_tokenizer(out).d_vocab < 50


def test_encoding_prints_ids_and_decoding_prints_the_text(
    text: Path, tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tokenize", "encode", str(tokenizer), str(text)])
    printed = capsys.readouterr().out
    ids = [int(word) for word in printed.split()]
    assert ids == load_tokenizer(tokenizer).encode(TEXT)
    (tmp_path / "ids.txt").write_text(printed)
    main(["tokenize", "decode", str(tokenizer), str(tmp_path / "ids.txt")])
    assert capsys.readouterr().out == TEXT


def test_a_tokenizer_is_learned_from_no_empty_file_and_saved_as_no_folder(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").write_bytes(b"\xef\xbb\xbf")
    for file, out, said in (
        (tmp_path / "empty.txt", tmp_path / "t.json", f"{tmp_path / 'empty.txt'} is empty"),
        (text, tmp_path, f"{tmp_path} is a folder: name a file in it to write"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["tokenize", "train", str(file), "--out", str(out)])
        assert end.value.code == 2
        assert capsys.readouterr().err == f"transformer: {said}\n"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["empty.txt", "text.txt"]


def test_ids_are_decoded_as_they_stand_in_the_call_too(
    tokenizer: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = load_tokenizer(tokenizer).encode("the cat")
    many = load_tokenizer(tokenizer).encode("rat on the mat")
    for words in (map(str, ids), [",".join(map(str, ids))]):
        main(["tokenize", "decode", str(tokenizer), *words])
        assert capsys.readouterr().out == "the cat"
    monkeypatch.chdir(tmp_path)
    main(["tokenize", "decode", str(tokenizer), str(many[0])])
    assert capsys.readouterr().out == load_tokenizer(tokenizer).decode(many[:1])
    Path(str(many[0])).write_text(" ".join(map(str, ids)))  # a file is a file, whatever its name
    main(["tokenize", "decode", str(tokenizer), str(many[0])])
    assert capsys.readouterr().out == "the cat"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nowhere.txt"], "transformer: nowhere.txt: No such file or directory"),
        (["1", "two", "3"], "token ids are whole numbers between spaces or commas; got 'two'"),
        (["1", "-5"], "token ids run from 0 to 271, got -5"),
    ],
)
def test_what_is_no_id_is_said(
    given: list[str], said: str, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["tokenize", "decode", str(tokenizer), *given])
    assert said in capsys.readouterr().err


def test_what_is_piped_in_is_read(
    tokenizer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat"))
    main(["tokenize", "encode", str(tokenizer)])
    printed = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(printed))
    main(["tokenize", "decode", str(tokenizer)])
    assert capsys.readouterr().out == "the cat"


@pytest.mark.parametrize("screen", ["latin-1", "ascii"])
def test_what_is_piped_in_is_utf8_whatever_the_screen_is(
    screen: str,
    tokenizer: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(["tokenize", "encode", str(tokenizer), "--text", "der Kater\nsaß"])
    expected = capsys.readouterr().out
    piped = io.BytesIO("\ufeffder Kater\r\nsaß".encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(piped, screen, "surrogateescape"))
    main(["tokenize", "encode", str(tokenizer)])
    assert capsys.readouterr().out == expected


def test_what_is_piped_in_and_no_utf8_is_said_with_its_place(
    tokenizer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = io.TextIOWrapper(io.BytesIO(b"the c\xffat"), "utf-8", "surrogateescape")
    monkeypatch.setattr("sys.stdin", piped)
    with pytest.raises(SystemExit):
        main(["tokenize", "encode", str(tokenizer)])
    captured = capsys.readouterr()
    assert "what is piped in is not UTF-8 text (byte 5 is 0xff): save it as" in captured.err
    assert captured.out == ""


def test_a_closed_standard_input_is_said(
    tokenizer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SystemExit) as end:
        main(["tokenize", "decode", str(tokenizer)])
    assert end.value.code == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_tokens_are_shown_in_the_terminal_and_as_a_page(
    tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tokenize", "show", str(tokenizer), "--text", "the cat"])
    printed = capsys.readouterr().out
    assert "the cat" in printed
    assert "2 tokens, 7 characters" in printed
    page = tmp_path / "tokens.html"
    main(["tokenize", "show", str(tokenizer), "--text", "the <cat>", "--html", str(page)])
    assert "&lt;" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "train,encode,decode,show"),
        (["encode", "nowhere.json", "--text", "a"], "there is no tokenizer at nowhere.json"),
        (["encode", "{tokenizer}", "nowhere.txt"], "nowhere.txt"),
        (["encode", "{tokenizer}", "{text}", "--text", "a"], "not both"),
        (["encode", "{text}", "--text", "a"], "is no tokenizer file"),
        (["encode", "{tokenizer}", "--text", "a", "--processes", "0"], "at least 1, got 0"),
        (["decode", "{tokenizer}", "{text}"], "the"),
        (["train", "{text}"], "out"),
        (["train", "{text}", "--out", "t", "--kind", "words"], "kind"),
        (["train", "{text}", "--out", "t", "--size", "10"], "d_vocab must be at least 257"),
        (["train", "{text}", "--out", "t", "--kind", "byte", "--size", "9"], "no size to choose"),
        (["train", "{text}", "--out", "t", "--kind", "sennrich-bpe", "--size", "-1"], "at least 0"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    text: Path,
    tokenizer: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = [word.format(text=text, tokenizer=tokenizer) for word in arguments]
    with pytest.raises(SystemExit) as exit_info:
        main(["tokenize", *call])
    assert exit_info.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_an_id_outside_the_vocabulary_is_said(
    tokenizer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("3, 9999"))
    with pytest.raises(SystemExit):
        main(["tokenize", "decode", str(tokenizer)])
    assert "got 9999" in capsys.readouterr().err
