"""`transformer doctor` as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer.cli import main
from transformer.config import TransformerConfig
from transformer.learning.doctor import Finding, Report
from transformer.models.gpt import GPT
from transformer.training.config import TrainConfig
from transformer.training.saved.load import load_checkpoint
from transformer.training.saved.run_folder import save_train_config

pytestmark = pytest.mark.slow  # it trains many small models
TEXT = "the cat sat on the mat. a rat ran at the cat.\n" * 20

# Attention that sees the future: what a learner may have written.
UNMASKED = """
from transformer.components.attention import Attention as Ours

class Attention(Ours):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.causal = False
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """A text and a model small enough, as arguments."""
    text, model = tmp_path / "text.txt", tmp_path / "model.yaml"
    text.write_text(TEXT)
    TransformerConfig(
        d_vocab=2, n_ctx=11, d_model=23, n_layers=1, n_heads=2, d_head=7, d_mlp=29
    ).to_yaml(model)
    return ["--text", str(text), "--preset", str(model)]


def test_a_sound_model_is_reported_drawn_and_written_down(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, file = tmp_path / "doctor.png", tmp_path / "doctor.json"
    main(["doctor", *sources, "--picture", str(picture), "--json", str(file)])
    printed = capsys.readouterr().out
    assert "problem" not in printed
    assert "The picture is in" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    severities = [finding["severity"] for finding in json.loads(file.read_text())["findings"]]
    assert not {"warning", "problem"} & {*severities}


def test_a_run_is_examined_with_its_own_model_text_and_learning_rate(
    sources: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(
        [
            *("train", *sources[:2], "--runs", str(tmp_path / "runs"), "--device", "cpu"),
            *("--max_steps", "2", "--batch_size", "2", "--optimizer.lr", "7", "--log_every", "1"),
            *("--model.n_ctx", "11", "--model.d_model", "10", "--model.n_layers", "1"),
            *("--model.n_heads", "1", "--model.d_head", "2", "--model.d_mlp", "13"),
        ]
    )
    [run] = (tmp_path / "runs").iterdir()
    seen: dict[str, Any] = {}
    picture = tmp_path / "doctor.png"

    def spy(model: GPT, batches: list[Tensor], **options: Any) -> Report:
        seen.update(model=model, batches=batches, **options)
        bad = Finding(check="spied", severity="problem", measured="m", expected="e", look_at="l")
        return Report(findings=(bad,), d_vocab=2, learning_rate=7.0)

    monkeypatch.setattr("transformer.learning.doctor.doctor", spy)
    with pytest.raises(SystemExit) as exit_info:
        main(["doctor", "--run", str(run), "--picture", str(picture)])
    assert exit_info.value.code == 1
    assert "spied: m. Expected: e. Look at l." in " ".join(capsys.readouterr().out.split())
    W_E = "embedding.W_E"
    trained, tokenizer = load_checkpoint(run)
    assert torch.equal(seen["model"].get_parameter(W_E), trained.get_parameter(W_E))
    assert tokenizer.decode(seen["batches"][0][0].tolist()) in TEXT
    assert seen["learning_rate"] == 7.0

    other = tmp_path / "other.txt"  # fewer characters than the run's vocabulary has
    other.write_text("the rat sat on the cat" * 9)
    with pytest.raises(SystemExit):
        main(["doctor", "--run", str(run), "--text", str(other), "--picture", str(picture)])
    assert tokenizer.decode(seen["batches"][0][0].tolist()) in other.read_text()


def test_a_learners_part_stands_in_the_model(sources: list[str], tmp_path: Path) -> None:
    run = examined(sources, UNMASKED, tmp_path)
    assert run.returncode == 1, run.stderr
    printed = " ".join(run.stdout.split())
    assert "problem no logits see a later token: changing token" in printed


RMS_NORM = """
import torch

class RMSNorm(torch.nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (RMS_NORM, "ran: this model has no RMSNorm; `transformer check` tries each"),
        ("def relu(x): return x", "ran: this model has no relu"),
        ("x = 1", "defines no name of ours: there is nothing to examine"),
    ],
    ids=["a class", "a function", "nothing"],
)
def test_what_is_not_in_the_model_is_not_called_fine(
    sources: list[str], source: str, said: str, tmp_path: Path
) -> None:
    run = examined(sources, source, tmp_path)
    assert run.returncode == 2
    assert said in run.stderr
    assert "fine" not in run.stdout


def test_what_ran_and_what_did_not_is_listed(sources: list[str], tmp_path: Path) -> None:
    run = examined(sources, UNMASKED + RMS_NORM, tmp_path)
    assert "yours: Attention; not in this model: RMSNorm\n" in run.stdout


def test_an_error_in_the_learners_code_is_said_with_its_line(
    sources: list[str], tmp_path: Path
) -> None:
    run = examined(sources, "def softmax(x, dim=-1):\n    return x[..., 99]\n", tmp_path)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "it stops with IndexError: " in run.stderr
    assert "(mine.py, line 2: return x[..., 99])" in run.stderr


def examined(sources: list[str], source: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    part = folder / "mine.py"
    part.write_text(source)
    options = ["--implementation", str(part), "--picture", str(folder / "doctor.png")]
    return subprocess.run(
        [sys.executable, "-m", "transformer", "doctor", *sources, *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_part_that_cannot_be_made_as_the_preset_asks_is_said_in_a_line(tmp_path: Path) -> None:
    part = tmp_path / "mine.py"
    part.write_text(
        "import torch\n"
        "class Attention(torch.nn.Module):\n"
        "    def __init__(self, d_model, n_heads, d_head, bias=True):\n"
        "        super().__init__()\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "transformer", "doctor", "--implementation", str(part)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "Attention with rotary: not written yet; leave a part out to have ours" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "gpt5"], "no preset 'gpt5'"),
        (["--run", "nowhere"], "there is no run at nowhere"),
        (["--data", "shakespeare"], "give --text or --data, not both"),
        (["--data", "shakespear", "--text", "null"], "shakespear"),
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, sources: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["doctor", *sources, *arguments])
    [line] = capsys.readouterr().err.splitlines()
    assert exit_info.value.code == 2
    assert said in line


@pytest.mark.parametrize("name", ["run/train.yaml", "run"])
def test_a_run_that_is_given_as_a_preset_is_told_where_to(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    save_train_config(tmp_path / "run", TrainConfig())
    with pytest.raises(SystemExit):
        main(["doctor", "--preset", str(tmp_path / name)])
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"--preset takes a model: give --run {tmp_path / 'run'}")


def test_a_file_of_a_run_that_is_none_yet_is_told_what_a_models_file_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("max_steps: 7\nmodel:\n  n_layers: 3\n")
    with pytest.raises(SystemExit):
        main(["doctor", "--preset", str(recipe)])
    [line] = capsys.readouterr().err.splitlines()
    assert f"{recipe} holds what a run is asked" in line
    assert "write the options of its `model:` into a file of their own" in line
