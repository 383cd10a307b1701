"""`transformer plot` as a user meets it."""

import json
from pathlib import Path

import pytest
import torch

from tests.support import randomise
from transformer.cli import main
from transformer.config import PositionKind, TransformerConfig
from transformer.models.bert import BERTConfig, MaskedLanguageBERT
from transformer.models.gpt import GPT
from transformer.pretrained.load import save_pretrained
from transformer.tokenizers import CharacterTokenizer, WordPieceTokenizer
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer
from transformer.tokenizers.wordpiece import SPECIAL
from transformer.training.saved.model_files import save_model_files

PROMPT = "to be, or not"


def make_run(folder: Path, position: PositionKind = "learned", padding: int = 0) -> Path:
    tokenizer = CharacterTokenizer.train("to be, or not to be")
    config = TransformerConfig(
        d_vocab=tokenizer.d_vocab + padding, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4,
        d_mlp=7, position=position, attention_path="fused",
    )  # fmt: skip
    model = GPT(config)
    randomise(model)
    folder.mkdir()
    save_model_files(folder, model, tokenizer)
    record = {"step": 1, "tokens": 9, "loss": 2.0, "learning_rate": 0.1, "gradient_norm": 1.0}
    (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    return folder


@pytest.mark.slow  # draws
@pytest.mark.parametrize(
    ("picture", "arguments", "said"),
    [
        ("attention", [], "1.4"),
        ("residual-norms", [], "1.post"),
        ("logit-lens", [], "after block 1"),
        ("attribution", ["--position", "3", "--token", "e"], "the logit of e after to␣b"),
        ("positions", [], "learned, W_pos"),
        ("curves", [], "my-run"),
        ("page", [], '"layers":2,"heads":5'),
        ("steps", ["--layer", "1", "--head", "4"], "Layer 1, head 4"),
    ],
)
def test_each_picture_is_drawn_of_a_run(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    picture: str,
    arguments: list[str],
    said: str,
) -> None:
    run = make_run(tmp_path / "my-run")
    out = tmp_path / ("a.html" if picture in ("page", "steps") else "a.svg")
    if picture not in ("curves", "positions"):
        arguments = [*arguments, "--prompt", PROMPT]
    main(["plot", picture, str(run), "--out", str(out), *arguments])
    assert capsys.readouterr().out.strip() == str(out)
    assert said in out.read_text(encoding="utf-8")


@pytest.mark.slow  # draws
@pytest.mark.parametrize(
    ("position", "said"), [("sinusoidal", "sinusoidal, base"), ("rotary", "rotary, base")]
)
def test_positions_are_those_of_the_model_or_of_a_kind(
    tmp_path: Path, position: PositionKind, said: str
) -> None:
    run, out = make_run(tmp_path / "run", position), tmp_path / "p.svg"
    main(["plot", "positions", str(run), "--out", str(out)])
    assert said in out.read_text(encoding="utf-8")
    out.unlink()
    main(["plot", "positions", "--kind", position, "--out", str(out)])
    assert said in out.read_text(encoding="utf-8")


@pytest.mark.slow  # draws
def test_the_positions_of_a_bert_are_those_that_its_tokens_read(tmp_path: Path) -> None:
    tokenizer = WordPieceTokenizer([*SPECIAL, "un", "##able"])
    config = BERTConfig(
        d_vocab=tokenizer.d_vocab, n_ctx=13, d_model=10, n_layers=1, n_heads=5, d_head=2, d_mlp=7,
        position_offset=2,
    )  # fmt: skip
    model = MaskedLanguageBERT(config)
    randomise(model)
    model.bert.position.get_parameter("W_pos").data[:2] = 1e6  # no token reads them
    save_model_files(tmp_path, model, tokenizer)
    main(["plot", "positions", str(tmp_path), "--out", str(tmp_path / "p.svg")])
    drawn = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert "learned, W_pos" in drawn
    assert "1e6" not in drawn


def test_the_steps_of_a_tiny_head_need_no_run(tmp_path: Path) -> None:
    main(["plot", "steps", "--out", str(tmp_path / "s.html")])
    assert "B, T, C = 1, 5, 2" in (tmp_path / "s.html").read_text(encoding="utf-8")


@pytest.mark.slow  # draws
def test_several_runs_are_drawn_over_one_another(tmp_path: Path) -> None:
    runs = [str(make_run(tmp_path / name)) for name in ("one", "other")]
    main(["plot", "curves", *runs, "--out", str(tmp_path / "c.svg")])
    drawn = (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert ">one<" in drawn
    assert ">other<" in drawn


@pytest.mark.slow  # draws
def test_runs_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    runs = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        runs.append(str(make_run(tmp_path / folder / "run")))
    main(["plot", "curves", *runs, "--out", str(tmp_path / "c.svg")])
    drawn = (tmp_path / "c.svg").read_text(encoding="utf-8")
    for run in runs:
        assert f">{run}<" in drawn, "a run is not drawn"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["attention", "{run}", "--prompt", ""], "the prompt must have 1 to 13 tokens, it has 0"),
        (["attention", "{run}", "--prompt", "to be " * 9], "it has 54"),
        (["attention", "{run}/none"], "there is no folder"),
        (["attribution", "{run}", "--prompt", "to", "--position", "2"], "positions 0 to 1, got 2"),
        (["attribution", "{run}", "--prompt", "to", "--token", "be"], "'be' has 2"),
        (["steps", "{run}", "--prompt", "to", "--layer", "2"], "layers 0 to 1, got 2"),
        (["curves", "{run}/none"], "is no training run"),
        (["positions", "{none}"], "has no positional encoding"),
        (["attention", "{run}", "--prompt", "to", "--out", "a.doc"], "ends in .svg"),
        (["page", "{run}", "--prompt", "to", "--out", "{run}/a.png"], "a page ends in .html"),
        (["steps", "--out", "{run}/a.svg"], "a page ends in .html or .htm; got a.svg"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    places = {"run": make_run(tmp_path / "run"), "none": make_run(tmp_path / "none", "none")}
    with pytest.raises(SystemExit) as exit_info:
        main(["plot", *(argument.format(**places) for argument in arguments)])
    [line] = capsys.readouterr().err.splitlines()
    assert exit_info.value.code == 2
    assert said in line


@pytest.mark.slow  # draws
def test_the_likeliest_token_is_attributed_where_none_is_named(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "a.svg"
    main(["plot", "attribution", str(run), "--prompt", PROMPT, "--out", str(out)])
    from transformer.training.saved.load import load_checkpoint

    model, tokenizer = load_checkpoint(run)
    logits = model(torch.tensor([tokenizer.encode(PROMPT)]))[0, -1]
    likeliest = tokenizer.decode([int(logits.argmax())]).replace(" ", "␣")
    drawn = out.read_text(encoding="utf-8")
    assert f"the logit of {likeliest} after" in drawn
    assert f"{logits.max().item():+.2f}" in drawn


@pytest.mark.slow  # draws
@pytest.mark.parametrize("picture", ["logit-lens", "attribution"])
def test_rows_that_pad_the_vocabulary_are_no_forecast(tmp_path: Path, picture: str) -> None:
    run = make_run(tmp_path / "run", padding=97)  # random: most of the largest logits are theirs
    main(["plot", picture, str(run), "--prompt", PROMPT, "--out", str(tmp_path / "a.svg")])
    assert (tmp_path / "a.svg").is_file()


@pytest.mark.slow  # draws
def test_the_title_of_an_attribution_has_the_end_of_a_long_prompt(tmp_path: Path) -> None:
    words = [f"{letter * 11}y" for letter in "abcd"]
    tokenizer = WordPieceTokenizer([*SPECIAL, *words])
    config = TransformerConfig(
        d_vocab=tokenizer.d_vocab, n_ctx=13, d_model=10, n_layers=1, n_heads=5, d_head=4, d_mlp=7
    )
    save_model_files(tmp_path, GPT(config), tokenizer)
    out = tmp_path / "a.svg"
    main(["plot", "attribution", str(tmp_path), "--prompt", " ".join(words), "--out", str(out)])
    assert f" after {''.join(words[1:])}<" in out.read_text(encoding="utf-8")


@pytest.mark.slow  # draws
@pytest.mark.parametrize("picture", ["attention", "residual-norms", "page", "steps"])
def test_a_bert_in_hugging_faces_layout_is_drawn_with_the_ends_that_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], picture: str
) -> None:
    tokenizer = WordPieceTokenizer([*SPECIAL, "un", "##able"])
    model = MaskedLanguageBERT(
        BERTConfig(
            d_vocab=tokenizer.d_vocab, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=2,
            d_mlp=7,
        )
    )  # fmt: skip
    randomise(model)
    save_pretrained(model, tmp_path / "bert", tokenizer)
    out = tmp_path / ("a.html" if picture in ("page", "steps") else "a.svg")
    arguments = [str(tmp_path / "bert"), "--prompt", "unable", "--out", str(out)]
    main(["plot", picture, *arguments])
    drawn = out.read_text(encoding="utf-8")
    assert all(token in drawn for token in ("[CLS]", "un", "##able", "[SEP]"))
    with pytest.raises(SystemExit):
        main(["plot", "logit-lens", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["plot", picture, str(tmp_path / "bert"), "--prompt", "un " * 12])
    assert "the prompt must have 1 to 11 tokens, it has 12" in capsys.readouterr().err


@pytest.mark.slow  # draws
def test_a_prompt_is_drawn_with_the_token_that_it_would_be_continued_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["<s>", *all_printable(bytes([byte]) for byte in BYTE_ORDER)]
    tokenizer = NumberedBPETokenizer(names, [], ["<s>"], bos=["<s>"])
    config = TransformerConfig(
        d_vocab=257, n_ctx=5, d_model=10, n_layers=1, n_heads=2, d_head=4, d_mlp=7
    )
    save_model_files(tmp_path, GPT(config), tokenizer)
    out = tmp_path / "a.svg"
    main(["plot", "residual-norms", str(tmp_path), "--prompt", "abcd", "--out", str(out)])
    assert "&lt;s&gt;" in out.read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["plot", "residual-norms", str(tmp_path), "--prompt", "abcde", "--out", str(out)])
    assert "the prompt must have 1 to 4 tokens, it has 5" in capsys.readouterr().err
