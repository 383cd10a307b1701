"""What a model continues when nobody says what, how its texts are printed, and what is refused."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from tests.support import randomise
from transformer.cli import main
from transformer.cli.prompts import opening
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.pretrained.load import save_pretrained
from transformer.pretrained.special import ends_of, token_named
from transformer.sampling.beam import beam_search
from transformer.sampling.filters import presence_and_frequency_penalty, repetition_penalty
from transformer.sampling.generate import generate
from transformer.sampling.options import Sampling
from transformer.sampling.packed import pack_weights
from transformer.sampling.text import continue_text
from transformer.tokenizers import CharacterTokenizer, Tokenizer, make_tokenizer
from transformer.tokenizers.loading import KINDS
from transformer.training.saved.model_files import load_model_files, save_model_files

TEXT = "the cat sat on the mat, the cat ate the rat"


CONFIG = TransformerConfig(d_vocab=1, n_ctx=7, d_model=6, n_layers=1, n_heads=1, d_head=5, d_mlp=3)
LLAMA = replace(
    CONFIG, n_ctx=40, d_head=6, position="rotary", norm="rms", mlp="gated", activation="silu",
    bias=False, tied=False, d_mlp=9,
)  # fmt: skip


def model_of(tokenizer: Tokenizer, config: TransformerConfig = CONFIG) -> GPT:
    """A model with random weights near 1."""
    model = GPT(replace(config, d_vocab=tokenizer.d_vocab))
    randomise(model)
    return model.eval()


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


def letters() -> CharacterTokenizer:
    return CharacterTokenizer("".join(sorted({*TEXT})))


def published(folder: Path, **files: dict[str, Any]) -> str:
    """The path of a model in Hugging Face's layout, with more in these of its files."""
    save_pretrained(model_of(letters(), LLAMA), folder, letters())
    (folder / "generation_config.json").unlink(missing_ok=True)
    for name, more in files.items():
        file = folder / f"{name}.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | more))
    return str(folder)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The line that `transformer sample` complains in; it prints nothing else."""
    with pytest.raises(SystemExit) as stopped:
        main(["sample", *arguments])
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    [line] = printed.err.splitlines()
    return line


def said_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `transformer sample` prints for these arguments."""
    main(["sample", *arguments])
    return capsys.readouterr().out


def test_several_prompts_and_samples_are_each_what_they_would_be_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", letters())
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


def test_a_file_of_prompts_is_read_as_any_text_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", CharacterTokenizer("".join(sorted({*TEXT, "\n"}))))
    file = tmp_path / "prompts.txt"
    file.write_bytes(b"\xef\xbb\xbfthe cat\r\nsat\r\n")
    printed = said_by(capsys, run, "--prompts", str(file), "--tokens", "0")
    assert printed == "[prompt 1, sample 1]\nthe cat\n[prompt 2, sample 1]\nsat\n"
    file.write_bytes(b"the cat\nsa\xff\n")
    with pytest.raises(SystemExit):
        main(["sample", str(run), "--prompts", str(file)])
    assert f"{file} is not UTF-8 text (byte 10 is 0xff)" in capsys.readouterr().err


def test_log_probabilities_stand_beside_their_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = letters()
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
    run = saved(tmp_path / "run", letters())
    options = [run, "--prompt", "the", "--tokens", "30", "--seed", "1"]
    whole = said_by(capsys, *options)[len("the") :].rstrip("\n")
    stop = whole[4:6]
    shown = said_by(capsys, *options, "--stop", "no such", "--stop", stop)
    assert shown == "the" + whole.partition(stop)[0] + "\n"


def test_beams_are_printed_with_their_score_the_best_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = letters()
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
        (["--beams", "2", "--temperature", "1"], "draws nothing: leave --temperature out"),
        (["--beams", "2", "--min-p", "0.1"], "draws nothing: leave --min-p out"),
        (["--beams", "2", "--seed", "3"], "draws nothing: leave --seed out"),
        (["--beams", "2", "--tokens", "0"], "at least one token, got --tokens 0"),
        (["--beams", "2", "--length-penalty", "400"], "length penalty must be from -30 to 30"),
        (["--beams", "2", "--length-penalty", "nan"], "length penalty must be from -30 to 30"),
        (["--length-penalty", "0.6"], "give it with --beams"),
        (["--seed", "99999999999999999999"], "seed must be from -2^63 to 2^63 - 1, got 9999"),
        (["--seed", "1.5"], "argument --seed: expected a whole number, got '1.5'"),
        (["--top-p", "nan"], "top-p must be above 0 and at most 1, got nan"),
        (["--top-p", "abc"], "argument --top-p: expected a number, got 'abc'"),
        (["--min-p", "nan"], "min-p must be from 0 to 1, got nan"),
        (["--top-k", "2.5"], "argument --top-k: expected a whole number, got '2.5'"),
        (["--presence-penalty", "1e39"], "presence penalty must be from -1e+15 to 1e+15"),
        (["--presence-penalty", "-1e39"], "from -1e+15 to 1e+15, got -1e+39"),
        (["--frequency-penalty", "-inf"], "from -1e+15 to 1e+15, got -inf"),
        (["--repetition-penalty", "1e-45"], "repetition penalty must be from 1e-15 to 1e+15"),
        (["--stop-token", "the"], "--stop-token 'the': the vocabulary has no token of this name"),
        (["--prompts", "nofile"], "transformer: nofile: No such file or directory"),
        (["--special"], "this CharacterTokenizer has no special tokens"),
        (["--special", "--beams", "2"], "this CharacterTokenizer has no special tokens"),
        (["--prompt", "the cat@Q"], "the vocabulary has no '@', 'Q'"),
        (["--checkpoint", "best"], "--checkpoint picks one of a run's"),
        (["--beams", "0"], "--beams must be at least 1, got 0"),
        (["--beams", "2", "--samples", "3"], "--beams 2 finds no 3 samples"),
        (["--beams", "2", "--top-k", "3"], "draws nothing: leave --top-k out"),
        (["--stop", ""], "a stop string must have a character"),
        (["--no-repeat-ngram", "0"], "n-grams must be at least 1"),
        (["--weights", "int4"], "weights"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, saved(tmp_path / "run", letters()), *options)


# Which folder


def test_what_holds_no_model_is_told_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer.pretrained.load.model_folder", None)  # nothing asks the hub
    file = tmp_path / "t.txt"
    file.write_text("the cat")
    assert f"{file} is a file; a model is a folder" in refused(capsys, str(file))
    runs = tmp_path / "runs"
    runs.mkdir()
    neither = f"{runs} is neither a run (no train.yaml) nor a Hugging Face folder (no config.json)"
    assert refused(capsys, str(runs)).endswith(neither)
    for number in range(5):
        (runs / f"run-{number}").mkdir()
        (runs / f"run-{number}" / "train.yaml").touch()
    newest = ", ".join(str(runs / f"run-{number}") for number in (2, 3, 4))
    assert refused(capsys, str(runs)).endswith(f"{neither}; the newest runs in it: {newest}")
    assert "run-4 has no checkpoint yet" in refused(capsys, str(runs / "run-4"))


def test_a_published_model_has_no_checkpoints_to_pick_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model")
    assert f"{folder} is no run's folder" in refused(capsys, folder, "--checkpoint", "best")


# Where a text ends

GREEDY = ("--prompt", "the", "--temperature", "0", "--tokens", "20")
WHOLE = "thecnnesnnnernecnetnecn"
N, S = (letters().encode(letter)[0] for letter in "ns")


def test_a_published_models_text_has_no_end_where_nothing_says_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said_by(capsys, published(tmp_path / "model"), *GREEDY) == f"{WHOLE}\n"


@pytest.mark.parametrize(
    "files",
    [
        {"config": {"eos_token_id": S}},
        {"config": {"eos_token_id": [99, S]}},
        {"config": {"eos_token_id": N}, "generation_config": {"eos_token_id": S}},
        {"config": {"eos_token_id": S}, "generation_config": {"temperature": 0.6}},
        {"tokenizer_config": {"eos_token": "s"}},
        {"tokenizer_config": {"eos_token": {"content": "s"}}},
        {"config": {"eos_token_id": S}, "tokenizer_config": {"eos_token": "</s>"}},
    ],
)
def test_a_published_models_text_ends_where_its_folder_says(
    files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model", **files)
    assert said_by(capsys, folder, *GREEDY) == "thecnne\n"


@pytest.mark.parametrize(
    "files",
    [
        {"config": {"eos_token_id": S}},
        {"config": {"eos_token_id": [99, S]}},
        {"config": {"eos_token_id": N}, "generation_config": {"eos_token_id": S}},
    ],
)
def test_there_hugging_face_ends_it_too(files: dict[str, Any], tmp_path: Path) -> None:
    theirs: Any = LlamaForCausalLM.from_pretrained(published(tmp_path / "model", **files))
    prompt = torch.tensor([letters().encode("the")])
    tokens = theirs.generate(prompt, do_sample=False, max_new_tokens=20, pad_token_id=0)
    assert letters().decode(tokens[0].tolist()) == "thecnnes"


def test_a_gguf_files_text_ends_where_the_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.pretrained import test_gguf  # which is skipped where the package gguf is not

    model, tokenizer = test_gguf.make(), test_gguf.TOKENIZER
    prompt = torch.tensor([tokenizer.encode("the")])
    new = [int(token) for token in generate(model, prompt, n_new=9, temperature=0.0)]
    end = next(token for token in new if token != new[0])
    file = test_gguf.write(
        tmp_path / "model.gguf", model, change=lambda writer: writer.add_eos_token_id(end)
    )
    expected = "".join(tokenizer.decode_stream(new[: new.index(end)], after=prompt[0].tolist()))
    options = ("--prompt", "the", "--temperature", "0", "--tokens", "9")
    assert said_by(capsys, str(file), *options) == f"the{expected}\n"


def test_a_beam_ends_there_too_and_at_a_stop_token_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model", config={"eos_token_id": S})
    beams = ("--prompt", "the", "--tokens", "6", "--beams", "3", "--samples", "3")
    printed = said_by(capsys, folder, *beams, "--stop-token", "n", "--length-penalty", "-2")
    texts = printed.splitlines()[1::2]
    assert not {*"sn"} & {*"".join(text.removeprefix("the") for text in texts)}
    assert len({len(text) for text in texts}) > 1, "all texts are as long as can be"
    [found] = beam_search(
        model_of(letters(), LLAMA),
        [letters().encode("the")],
        n_new=6,
        n_beams=3,
        length_penalty=-2.0,
        sampling=Sampling(stop_tokens=frozenset({S, N})),
    )
    scores = [line.rpartition("score ")[2] for line in printed.splitlines()[::2]]
    assert scores == [f"{one.score:.4f}]" for one in found]


def test_a_text_ends_at_any_of_the_stop_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model")
    assert said_by(capsys, folder, *GREEDY, "--stop-token", "s") == "thecnne\n"
    both = ("--stop-token", "t", "--stop-token", "r")
    assert said_by(capsys, folder, *GREEDY, *both) == "thecnnesnnne\n"


@pytest.mark.parametrize("number", ["2", True, 1.5])
def test_an_end_that_is_no_number_is_said(
    number: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model", config={"eos_token_id": number})
    assert f"config.json has eos_token_id = {number!r}" in refused(capsys, folder)


def test_tokens_are_found_by_name_special_ones_and_those_of_bytes() -> None:
    tokenizer = make_tokenizer("byte-bpe", [TEXT], size=260, special_tokens=["<|im_end|>", "e"])
    assert token_named(tokenizer, "<|im_end|>") == 258
    assert token_named(tokenizer, "e") == 259, "the special one comes first"
    assert token_named(tokenizer, "a") == tokenizer.encode("a")[0]
    assert token_named(tokenizer, "no such") is None
    assert ends_of({}, tokenizer) == {258}
    assert token_named(make_tokenizer("wordpiece", [TEXT]), "##a") is not None


def test_what_is_cut_off_before_a_stop_string_has_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "model")
    printed = said_by(capsys, folder, *GREEDY, "--stop", "sn", "--logprobs")
    text, *rows = printed.splitlines()
    assert text == "thecnne"
    assert [row.split()[1] for row in rows] == [repr(letter) for letter in "cnne"]


# Special tokens in a prompt


def test_special_tokens_in_a_prompt_are_read_when_asked_for_and_else_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = make_tokenizer("byte-bpe", [TEXT], size=260, special_tokens=["<|user|>", "<|end|>"])
    run, prompt = saved(tmp_path / "run", tokenizer), "<|user|>the<|end|>"
    options = [run, "--prompt", prompt, "--tokens", "3", "--temperature", "0", "--logprobs"]
    model, _ = load_model_files(tmp_path / "run")
    rows = {}
    for special in ([], ["--special"]):
        main(["sample", *options, *special])
        printed = capsys.readouterr()
        tokens = tokenizer.encode(prompt, allowed_special="all" if special else ())  # type: ignore[call-arg]
        with torch.no_grad():
            largest = torch.log_softmax(
                model(torch.tensor([tokens[-CONFIG.n_ctx :]]))[0, -1], 0
            ).max()
        text, *rows[bool(special)] = printed.out.splitlines()
        assert text.startswith(prompt)
        assert rows[bool(special)][0].split()[0] == f"{largest:.4f}"
        said = (
            "<|user|>, <|end|> in a prompt is read as plain text; as special tokens with --special"
        )
        assert printed.err == ("" if special else f"transformer: {said}\n")
    assert rows[True] != rows[False]
    main(["sample", run, "--prompt", "the", "--tokens", "1"])
    assert capsys.readouterr().err == ""


# What the options do


@pytest.mark.parametrize(
    ("name", "value", "penalise"),
    [
        ("repetition", "1e6", partial(repetition_penalty, penalty=1e6)),
        ("presence", "50", partial(presence_and_frequency_penalty, presence=50.0, frequency=0.0)),
        ("frequency", "5", partial(presence_and_frequency_penalty, presence=0.0, frequency=5.0)),
    ],
)
def test_a_penalty_ends_a_loop(
    name: str,
    value: str,
    penalise: Callable[..., Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = saved(tmp_path / "run", letters())
    options = (run, "--prompt", "the", "--temperature", "0", "--tokens", "8")
    looping = said_by(capsys, *options)
    assert looping.count(looping[-2]) >= 7, "nothing loops, so that nothing is seen"
    prompt = torch.tensor([letters().encode("the")])
    new = generate(model_of(letters()), prompt, n_new=8, penalise=penalise, temperature=0.0)
    expected = "the" + letters().decode(int(token) for token in new)
    assert said_by(capsys, *options, f"--{name}-penalty", value) == expected + "\n"
    assert max(expected.count(c) for c in expected) < 7


def test_a_tiny_temperature_is_greedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = published(tmp_path / "model")
    for tiny in ("1e-16", "1e-40", "1e-320"):
        options = ("--prompt", "the", "--tokens", "20", "--temperature", tiny)
        assert said_by(capsys, folder, *options) == said_by(capsys, folder, *GREEDY)


@pytest.mark.parametrize("weights", ["int8", "bfloat16"])
def test_weights_in_fewer_bytes_are_those_of_the_packed_model(
    weights: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved(tmp_path / "run", letters())
    options = (run, "--prompt", "the", "--temperature", "0", "--tokens", "1", "--logprobs")
    prompt = torch.tensor([letters().encode("the")])
    with torch.no_grad():
        logits = pack_weights(model_of(letters()), weights=weights)(prompt)[0, -1]
    expected = torch.log_softmax(logits, dim=-1).max().item()
    row, full = (
        said_by(capsys, *options, *more).splitlines()[1] for more in (["--weights", weights], [])
    )
    assert float(row.split()[0]) == pytest.approx(expected, abs=2e-4)
    assert row != full, "at full width nothing would be another"
