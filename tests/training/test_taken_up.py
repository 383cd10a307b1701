"""A run that is taken up again, with other options, other data, or from damaged checkpoints."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.training.small import LINE, small_config
from transformer.cli import main
from transformer.data import rows
from transformer.data.rows import fingerprint
from transformer.data.windows import TokenWindows
from transformer.pretrained.load import load_model
from transformer.tokenizers import FastByteBPETokenizer
from transformer.training.config import ScheduleConfig, TrainConfig
from transformer.training.machine.distributed import Ranks
from transformer.training.run import job as jobs
from transformer.training.run import start
from transformer.training.run.execute import execute
from transformer.training.run.job import prepare
from transformer.training.saved import checkpoint
from transformer.training.saved.checkpoint import resume_from_newest, write_checkpoint
from transformer.training.saved.checkpoint_folder import checkpoints
from transformer.training.saved.load import find_checkpoint, load_checkpoint
from transformer.training.saved.run_folder import CONFIG, load_train_config, read_metrics


def a_config(folder: Path) -> TrainConfig:
    """One with checkpoints at 2, 4 and 6, all of which are kept."""
    return replace(small_config(folder), eval_every=2, keep=9, precision="float32")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 updates, with checkpoints at 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("taken_up")
    return execute(prepare(a_config(folder)), lambda _: None)


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    """A copy of it for each test."""
    return shutil.copytree(made_once, tmp_path / "run")


def go_on(run: Path, **changes: object) -> list[str]:
    """Take the run up again with these options changed, and return what it warns of."""
    config = replace(load_train_config(run), **changes)  # type: ignore[arg-type]
    warnings: list[str] = []
    execute(prepare(config), lambda _: None, run=run, warn=warnings.append)
    return warnings


def damage(folder: Path) -> None:
    """Cut the end off a file of a checkpoint, one that writing a text does not need."""
    file = folder / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


# From damaged checkpoints


def test_of_a_damaged_last_checkpoint_the_one_before_is_loaded_and_the_reason_told(
    run: Path,
) -> None:
    damage(checkpoints(run)[-1])
    told: list[str] = []
    model, _ = load_checkpoint(run, warn=told.append)
    expected, _ = load_checkpoint(checkpoints(run)[-2])
    for got, weight in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(got, weight)
    [line] = told
    assert "step-00000006 is damaged: optimizer.safetensors" in line
    assert "before it is taken" in line


def test_a_damaged_last_checkpoint_does_not_hide_the_best(run: Path) -> None:
    state = checkpoints(run)[-2] / "state.json"
    best = json.loads(state.read_text())["best_step"]
    damage(checkpoints(run)[-1])
    assert best in (2, 4)
    found = find_checkpoint(run, "best", lambda _: None)
    assert found.name.endswith(str(best))


def test_a_damaged_checkpoint_that_was_asked_for_is_refused(run: Path) -> None:
    damage(checkpoints(run)[1])
    with pytest.raises(ValueError, match="step-00000004 is damaged"):
        load_checkpoint(run, "4")


def test_with_all_of_them_damaged_the_reason_is_raised(run: Path) -> None:
    for folder in checkpoints(run):
        damage(folder)
    with pytest.raises(ValueError, match=r"is damaged: optimizer\.safetensors has bytes"):
        load_checkpoint(run, warn=lambda _: None)


def test_a_run_that_lost_its_configuration_is_read_from_its_checkpoints(run: Path) -> None:
    expected, _ = load_model(run)
    (run / CONFIG).unlink()
    found, _ = load_model(run)
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)


# With other options


def test_fp16_may_begin_where_a_run_goes_on(run: Path) -> None:
    assert go_on(run, precision="fp16", max_steps=8) == []
    assert max(record["step"] for record in read_metrics(run)) == 8
    assert "scaler" in json.loads((checkpoints(run)[-1] / "state.json").read_text())


def test_of_another_model_it_is_told_what_differs_and_that_it_cannot_be_changed(run: Path) -> None:
    other = replace(load_train_config(run).model, d_model=12)
    with pytest.raises(ValueError, match=r"it was d_model 10, now 12.*Resume a run with the model"):
        go_on(run, model=other)


def test_fewer_updates_than_are_made_are_refused_and_nothing_is_changed(run: Path) -> None:
    before = (run / CONFIG).read_text()
    with pytest.raises(ValueError, match="has made 6 updates and was asked for 5 in all"):
        go_on(run, max_steps=5)
    assert (run / CONFIG).read_text() == before


@pytest.mark.parametrize(
    ("changes", "longer"),
    [
        ({}, "--max_steps"),
        ({"max_steps": None, "epochs": 2, "max_steps_per_epoch": 3}, "--epochs"),
        ({"max_steps": 9, "patience": 1}, "--patience"),
    ],
)
def test_of_a_run_that_was_finished_it_is_told_that_and_how_it_goes_on(
    run: Path, changes: dict[str, Any], longer: str
) -> None:
    step = 6
    if "patience" in changes:
        with_an_unbeatable_best(run)
        execute(prepare(replace(load_train_config(run), **changes)), lambda _: None, run=run)
        step = 8
    told: list[str] = []
    config = replace(load_train_config(run), **changes)
    execute(prepare(config), lambda _: None, run=run, tell=told.append)
    assert told == [
        f"the run was finished at step {step}, and there was nothing to do: to go on, resume it "
        f"with a larger {longer}"
    ]
    told.clear()
    config = replace(config, max_steps=11, epochs=None, patience=None)
    execute(prepare(config), lambda _: None, run=run, tell=told.append)
    assert told == []
    assert read_metrics(run)[-1]["step"] == 11


def test_a_damaged_configuration_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / CONFIG).write_text("stepp: 3\n")
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(run)])
    assert f"{run / CONFIG} is no configuration" in capsys.readouterr().err


def test_the_configuration_that_a_run_goes_on_with_is_printed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(run), "--max_steps", "8", "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["resume"], printed["max_steps"]) == (str(run), 8)
    assert printed["model"]["d_head"] == 2


def test_processes_that_are_new_are_told_of(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "ranks", lambda: Ranks(n_ranks=3))
    said: list[str] = []
    start.go_on(prepare(load_train_config(run)), run, said.append)
    assert said[0].startswith("the checkpoint was written by 1 process, and 3 go on: the batches")


# With other data


def test_of_another_text_that_gives_another_tokenizer_it_is_told_how_to_go_on(run: Path) -> None:
    text = run.parent / "other.txt"
    text.write_text(LINE.replace("c", "") * 20)
    with pytest.raises(ValueError, match=r"not the tokenizer of this run.*with --tokenizer"):
        go_on(run, max_steps=8, text=text)
    own = checkpoints(run)[-1] / "tokenizer.json"
    [line] = go_on(run, max_steps=8, text=text, tokenizer=str(own))
    assert "the data are not those that the run read before" in line


def test_data_that_changed_are_told_and_the_same_are_not(run: Path, made_once: Path) -> None:
    assert go_on(run, max_steps=7) == []
    text = run.parent / "other.txt"
    text.write_text(LINE[::-1] * 20)
    [line] = go_on(run, max_steps=8, text=text)
    assert "the data are not those that the run read before: 432 tokens then, 432 now" in line
    assert go_on(run, max_steps=9, text=text) == [], "now these are the ones before"


def with_an_unbeatable_best(run: Path) -> None:
    """Have the run's newest checkpoint, of step 7, say that step 4 came down to 0.001 nats."""
    job = prepare(load_train_config(run))
    resume_from_newest(run, job.state, job.tokenizer, lambda _: None)
    job.state.step, job.state.best_step, job.state.best_loss = 7, 4, 0.001
    write_checkpoint(run, job.state, job.tokenizer, keep=9)


@pytest.mark.parametrize("other", ["text", "eval_tokens"])
def test_of_losses_on_other_data_none_is_the_best_any_more(run: Path, other: str) -> None:
    with_an_unbeatable_best(run)
    (run.parent / "other.txt").write_text(LINE[::-1] * 20)
    value = run.parent / "other.txt" if other == "text" else 11
    options: dict[str, Any] = {"patience": 1, "keep": 1, other: value}
    [line] = go_on(run, max_steps=10, **options)
    assert "seeks the best afresh; step 4, until now the best, is kept" in line
    assert read_metrics(run)[-1]["step"] == 10, "patience was judged by the old data's loss"
    best = find_checkpoint(run, "best")
    assert int(best.name[-8:]) > 7
    assert find_checkpoint(run, "4") == checkpoints(run)[0], "the best of before is gone"
    assert go_on(run, max_steps=11, **options) == []
    assert find_checkpoint(run, "4") == checkpoints(run)[0], "the best of before is gone"


def test_of_losses_on_the_same_data_the_best_stays_the_best(run: Path) -> None:
    with_an_unbeatable_best(run)
    assert go_on(run, max_steps=10, patience=1, keep=1) == []
    assert read_metrics(run)[-1]["step"] == 8, "patience was not at its end"
    assert find_checkpoint(run, "best") == checkpoints(run)[0]


def test_before_an_evaluation_on_other_data_it_is_told_which_was_the_best(run: Path) -> None:
    with_an_unbeatable_best(run)
    go_on(run, max_steps=9, eval_tokens=11)  # which is evaluated at 8 and 9
    last = checkpoints(run)[-1]
    job = prepare(load_train_config(run))
    resume_from_newest(run, job.state, job.tokenizer, lambda _: None)
    shutil.rmtree(last)
    job.state.best_step = 0  # as after a Ctrl-C before the evaluation
    write_checkpoint(run, job.state, job.tokenizer, keep=9)
    with pytest.raises(FileNotFoundError, match=r"evaluated yet on the data .* others step 4 was"):
        find_checkpoint(run, "best")


def test_a_checkpoint_that_does_not_say_what_was_measured_is_taken_as_it_is(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "MEASURED", ())
        with_an_unbeatable_best(run)
    assert go_on(run, max_steps=10, patience=1, eval_tokens=11) == []
    assert find_checkpoint(run, "best") == checkpoints(run)[1]


def test_a_long_text_is_known_by_some_of_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK", 10)
    monkeypatch.setattr(rows, "MOST_BLOCKS", 7)
    tokens = torch.randint(11, (1009,), generator=torch.Generator().manual_seed(0))
    shifted = torch.cat([tokens[1:], tokens[:1]])
    one, same, other = (
        fingerprint(TokenWindows(some, n_ctx=7)) for some in (tokens, tokens.int(), shifted)
    )
    assert one == same
    assert one["tokens"] == other["tokens"] == 1009
    assert one["sha256"] != other["sha256"]


def test_a_tokenizers_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_config(tmp_path)
    FastByteBPETokenizer.train(LINE, d_vocab=260, special_tokens=[]).save(tmp_path / "tok.json")
    monkeypatch.chdir(tmp_path)
    folder = execute(prepare(replace(config, tokenizer="tok.json")), lambda _: None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert go_on(folder, max_steps=7) == []


def test_a_start_of_which_half_a_line_was_written_does_not_hide_the_next(
    run: Path, made_once: Path
) -> None:
    file = run / "environment.jsonl"
    with file.open("a") as lines:
        lines.write('{"step": 6, "da')
    assert go_on(run, max_steps=7) == []
    assert len(file.read_text().splitlines()) == 2
    text = run.parent / "other.txt"
    text.write_text(LINE[::-1] * 20)
    assert len(go_on(run, max_steps=8, text=text)) == 1
    assert go_on(run, max_steps=9, text=text) == []


def test_processes_that_go_on_from_different_steps_are_told_so(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "from_all", lambda step: [step, step - 2])
    with pytest.raises(ValueError, match=r"from different steps, 6, 4: .* must be the same folder"):
        go_on(run, max_steps=7)


# Before a folder is made


def test_a_schedule_that_does_not_fit_leaves_no_folder(tmp_path: Path) -> None:
    schedule = ScheduleConfig(name="stable-decay", warmup_steps=2, decay_steps=5)
    config = replace(a_config(tmp_path), schedule=schedule)
    with pytest.raises(ValueError, match=r"at most steps = 6, got 2 \+ 5"):
        prepare(config)
    assert not config.runs.exists()


def test_a_model_too_large_by_itself_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8000000000 bytes")

    monkeypatch.setattr(jobs, "make_model", full)
    with pytest.raises(MemoryError, match="not enough for the model alone"):
        prepare(a_config(tmp_path))
