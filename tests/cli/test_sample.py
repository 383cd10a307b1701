"""What a model continues when nobody says what, how its texts are printed, and what is refused."""

import io
from pathlib import Path

import pytest
import torch

from tests.support import randomise
from transformer.cli import main
from transformer.cli.sample import opening
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.beam import beam_search
from transformer.sampling.generate import generate
from transformer.sampling.options import Sampling
from transformer.sampling.text import continue_text
from transformer.tokenizers import CharacterTokenizer, Tokenizer, make_tokenizer
from transformer.tokenizers.loading import KINDS
from transformer.training.model_files import load_model_files, save_model_files

TEXT = "the cat sat on the mat, the cat ate the rat"


def model_of(tokenizer: Tokenizer) -> GPT:
    """A model with random weights near 1."""
    model = GPT(
        TransformerConfig(
            d_vocab=tokenizer.d_vocab, n_ctx=7, d_model=6, n_layers=1, n_heads=1, d_head=5, d_mlp=3
        )
    )
    randomise(model)
    return model


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("character", " "),
        ("byte", "\n"),
        ("byte-bpe", "\n"),
        ("sennrich-bpe", ","),
        ("wordpiece", "a"),  # of ##a
    ],
)
def test_the_opening_is_a_line_end_or_the_first_token_with_a_text(kind: str, expected: str) -> None:
    assert opening(make_tokenizer(kind, [TEXT])) == expected
    assert opening(CharacterTokenizer("\na")) == "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_and_continuation_are_the_text_of_all_their_tokens(kind: str) -> None:
    tokenizer = make_tokenizer(kind, [TEXT])
    model = model_of(tokenizer)
    prompt = tokenizer.encode("the cat")
    generator = torch.Generator().manual_seed(5)
    new = generate(model, torch.tensor([prompt]), n_new=11, generator=generator)
    expected = tokenizer.decode([*prompt, *(int(token) for token in new)])
    parts = continue_text(model, tokenizer, "the cat", n_new=11, sampling=Sampling(seed=5))
    assert "the cat" + "".join(parts) == expected


def saved(folder: Path, tokenizer: Tokenizer) -> str:
    """The path of a model's three files."""
    folder.mkdir()
    save_model_files(folder, model_of(tokenizer), tokenizer)
    return str(folder)


def said_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `transformer sample` prints for these arguments."""
    main(["sample", *arguments])
    return capsys.readouterr().out


def test_several_prompts_and_samples_are_each_what_they_would_be_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", CharacterTokenizer("".join(sorted({*TEXT}))))
    options = ["--tokens", "9", "--temperature", "2"]
    printed = said_by(
        capsys,
        run,
        *options,
        "--prompt",
        "the",
        "--prompt",
        "a cat",
        "--samples",
        "2",
        "--seed",
        "3",
    )
    lines = printed.splitlines()
    assert lines[::2] == [f"[prompt {p}, sample {n}]" for p in (1, 2) for n in (1, 2)]
    alone = [
        said_by(capsys, run, *options, "--prompt", prompt, "--seed", str(3 + row)).rstrip("\n")
        for row, prompt in enumerate(["the", "the", "a cat", "a cat"])
    ]
    assert lines[1::2] == alone
    assert len(set(alone)) == 4


@pytest.mark.parametrize("option", ["--prompt", "--prompts"])
def test_prompts_come_from_standard_input(
    option: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = saved(tmp_path / "run", CharacterTokenizer("".join(sorted({*TEXT, "\n"}))))
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\nsat"))
    printed = said_by(capsys, run, option, "-", "--tokens", "0")
    of_lines = "[prompt 1, sample 1]\nthe cat\n[prompt 2, sample 1]\nsat\n"
    assert printed == ("the cat\nsat\n" if option == "--prompt" else of_lines)


def test_log_probabilities_stand_beside_their_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = CharacterTokenizer("".join(sorted({*TEXT})))
    run = saved(tmp_path / "run", tokenizer)
    printed = said_by(capsys, run, "--prompt", "the", "--tokens", "4", "--seed", "1", "--logprobs")
    text, *rows = printed.splitlines()
    logits = load_model_files(tmp_path / "run")[0](torch.tensor([tokenizer.encode(text)]))
    log_probs = torch.log_softmax(logits[0], dim=-1)
    for at, row in enumerate(rows, start=len("the")):
        expected = log_probs[at - 1, tokenizer.encode(text[at])[0]].item()
        assert row.split() == [f"{expected:.4f}", *repr(text[at]).split()]
    assert len(rows) == 4


def test_a_text_ends_before_a_stop_string(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", CharacterTokenizer("".join(sorted({*TEXT}))))
    options = [run, "--prompt", "the", "--tokens", "30", "--seed", "1"]
    whole = said_by(capsys, *options)[len("the") :].rstrip("\n")
    stop = whole[4:6]
    shown = said_by(capsys, *options, "--stop", "no such", "--stop", stop)
    assert shown == "the" + whole.partition(stop)[0] + "\n"


def test_beams_are_printed_with_their_score_the_best_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = CharacterTokenizer("".join(sorted({*TEXT})))
    run = saved(tmp_path / "run", tokenizer)
    printed = said_by(
        capsys, run, "--prompt", "the", "--tokens", "4", "--beams", "3", "--samples", "2"
    )
    model, _ = load_model_files(tmp_path / "run")
    assert isinstance(model, GPT)
    [found] = beam_search(model, [tokenizer.encode("the")], n_new=4, n_beams=3)
    expected = [
        line
        for place, one in enumerate(found[:2], start=1)
        for line in (
            f"[prompt 1, result {place}: log P {one.log_prob:.4f} nats, score {one.score:.4f}]",
            "the" + tokenizer.decode(one.tokens),
        )
    ]
    assert printed.splitlines() == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--samples", "0"], "--samples must be at least 1"),
        (["--prompt", "a", "--prompts", "b.txt"], "give --prompt or --prompts, not both"),
        (["--prompt", "-", "--prompt", "-"], "give - once"),
        (["--beams", "2", "--stop", "a"], "no --stop"),
        (["--beams", "0"], "--beams must be at least 1, got 0"),
        (["--beams", "2", "--samples", "3"], "--beams 2 finds no 3 samples"),
        (["--beams", "2", "--top-k", "3"], "beam search draws nothing"),
        (["--stop", ""], "a stop string must have a character"),
        (["--no-repeat-ngram", "0"], "n-grams must be at least 1"),
        (["--weights", "int4"], "weights"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", CharacterTokenizer("".join(sorted({*TEXT}))))
    with pytest.raises(SystemExit):
        main(["sample", run, *options])
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
