"""The command line as a user meets it: what it prints, what it leaves, how it complains."""

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

from transformer.__main__ import run as run_it
from transformer.cli import main
from transformer.models.bert import BERTConfig, MaskedLanguageBERT
from transformer.tokenizers import CharacterTokenizer
from transformer.training.config import TrainConfig
from transformer.training.machine.interruption import Interrupted
from transformer.training.recipes import RECIPES
from transformer.training.saved.load import find_checkpoint
from transformer.training.saved.run_folder import new_run_folder, read_train_config
from transformer.training.trained import bert_config

SMALL = [
    *("--max_steps", "12", "--batch_size", "2", "--eval_every", "6", "--log_every", "2"),
    *("--model.n_ctx", "7", "--model.d_model", "10", "--model.n_layers", "1"),
    *("--model.n_heads", "3", "--model.d_head", "2", "--model.d_mlp", "13"),
    *("--device", "cpu"),
]


TEXT = "the cat sat on the mat.\n" * 20


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made once; each test gets a copy of its own."""
    place = tmp_path_factory.mktemp("trained")
    file = place / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    main(["train", "--text", str(file), "--runs", str(place / "runs"), *SMALL])
    [folder] = (place / "runs").iterdir()
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    capsys.readouterr()
    return shutil.copytree(trained, tmp_path / "runs" / trained.name)


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a call that must fail prints: one line, with exit code 2."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    captured = capsys.readouterr()
    assert exit_info.value.code == 2
    [line] = captured.err.splitlines()
    assert "Traceback" not in captured.err
    return str(line)


def test_training_reports_and_samples_and_says_where_all_is_kept(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "--text", str(text), "--runs", str(tmp_path / "runs"), *SMALL])
    printed = capsys.readouterr().out
    [folder] = (tmp_path / "runs").iterdir()
    assert "step     12   validation loss" in printed
    assert f"transformer sample {folder}" in printed
    files = {file.name for file in folder.iterdir()}
    assert files == {
        *("train.yaml", "environment.jsonl", "metrics.jsonl", "loss.png", "checkpoints"),
    }


@pytest.mark.slow
def test_a_run_is_repeated_from_the_config_in_its_folder(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    main(["train", "--config", str(run / "train.yaml"), "--runs", str(again)])
    [second] = again.iterdir()

    def losses(folder: Path) -> list[float]:
        records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        return [r.get("loss", r.get("validation_loss")) for r in records]

    assert losses(second) == losses(run)


@pytest.mark.slow
def test_a_run_goes_on_and_is_made_longer(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (find_checkpoint(run) / "state.json").unlink()
    main(["train", "--resume", str(run), "--max_steps", "16", "--eval_every", "4"])
    printed = capsys.readouterr().out
    assert "step-00000012 is damaged: state.json is missing" in printed
    steps = [line.split()[1] for line in printed.splitlines() if line.startswith("step ")]
    assert steps == ["6", "8", "12", "16"], "what was before belongs to the curve"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r] == [2, 4, 6, 8, 10, 12, 14, 16]
    starts = (run / "environment.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in starts] == [0, 6]
    assert "max_steps: 16" in (run / "train.yaml").read_text()
    assert "n_layers: 1" in (run / "train.yaml").read_text(), "the run's own options are lost"
    said = complaint(["train", "--resume", str(run), "--model.d_mlp", "17"], capsys)
    assert "model.yaml is not the model of this run" in said


def test_a_run_whose_text_has_moved_goes_on_from_where_it_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(run, tmp_path / "run")
    text = read_train_config(run / "train.yaml").text
    assert text is not None
    gone, moved = tmp_path / "gone.txt", shutil.copy(text, tmp_path / "moved.txt")
    train_yaml = (run / "train.yaml").read_text().replace(str(text), str(gone))
    (run / "train.yaml").write_text(train_yaml)
    resume = ["train", "--resume", str(run), "--max_steps", "13"]
    said = complaint(resume, capsys)
    assert said.startswith(f"transformer: there is no text file at {gone}")
    assert said.endswith(f"behind --resume {run}, with --text or --data")
    main([*resume, "--text", str(moved)])
    assert (run / "checkpoints" / "step-00000013").is_dir()


def test_of_a_finished_run_that_is_resumed_it_is_said_that_nothing_was_to_do(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "--resume", str(run)])
    printed = capsys.readouterr()
    finished = "the run was finished at step 12, and there was nothing to do: to go on, resume it "
    assert printed.out.count(f"{finished}with a larger --max_steps\n") == 1
    assert printed.err == ""


def test_a_sample_begins_with_the_prompt_and_its_seed_repeats_it(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for seed in ("1", "1", "2"):
        options = ["--prompt", "the cat", "--tokens", "60", "--seed", seed, "--top-k", "9"]
        main(["sample", str(run), *options])
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("the cat")
    assert len(printed[0]) == len("the cat") + 60 + len("\n")
    assert printed[0] == printed[1] != printed[2]


@pytest.mark.parametrize(
    "only_the_likeliest", [("--top-k", "1"), ("--top-p", "1e-9"), ("--min-p", "1.0")]
)
def test_each_filter_at_its_narrowest_samples_the_likeliest_tokens(
    run: Path, capsys: pytest.CaptureFixture[str], only_the_likeliest: tuple[str, str]
) -> None:
    printed = []
    for options in (("--temperature", "0"), only_the_likeliest, ("--seed", "1")):
        main(["sample", str(run), "--prompt", "the cat", "--tokens", "30", *options])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


def test_the_cost_of_gpt2_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "gpt2"])
    printed = capsys.readouterr().out
    for figure in ("124,439,808", "85,056,000", "855,166,464", "1.85 GiB"):
        assert figure in printed


def test_the_cost_of_a_trained_model_is_read_from_its_file(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["config", str(find_checkpoint(run) / "model.yaml")])
    assert "1 x 3 x 10" in capsys.readouterr().out


def test_the_cost_of_a_runs_model_is_that_of_its_folder_and_of_its_configuration(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for name in (find_checkpoint(run) / "model.yaml", run, run / "train.yaml"):
        main(["config", str(name)])
        title, *rest = capsys.readouterr().out.splitlines()
        assert title.strip() == name.name
        printed.append([line.split() for line in rest])
    assert printed[0] == printed[1] == printed[2]


def test_the_title_of_the_folder_one_is_in_is_its_name(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    main(["config", "."])
    assert capsys.readouterr().out.splitlines()[0].strip() == run.name


def test_the_cost_of_a_recipes_model_is_that_of_the_objectives_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["config", "bert-mlm"])
    config = bert_config(read_train_config(RECIPES["bert-mlm"]).model)
    n_parameters = sum(p.numel() for p in MaskedLanguageBERT(config).parameters())
    assert f"{n_parameters:,}" in capsys.readouterr().out


def test_the_cost_of_a_trained_encoder_is_read_from_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = BERTConfig(d_vocab=23, n_ctx=7, d_model=10, n_layers=1, n_heads=5, d_head=2, d_mlp=13)
    config.to_yaml(tmp_path / "model.yaml")
    main(["config", str(tmp_path / "model.yaml")])
    n_parameters = sum(p.numel() for p in MaskedLanguageBERT(config).parameters())
    assert f"{n_parameters:,}" in capsys.readouterr().out
    (tmp_path / "model.yaml").write_text("n_segments: 2\nd_modle: 10\n")
    with pytest.raises(SystemExit):
        main(["config", str(tmp_path / "model.yaml")])
    assert "has fields that no config has: d_modle. Known are" in capsys.readouterr().err


class Impatient(MetaPathFinder):
    """Presses Ctrl-C when the command line is imported."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "transformer.cli":
            raise KeyboardInterrupt


def test_ctrl_c_while_it_is_imported_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "transformer.cli")
    monkeypatch.setattr(sys, "meta_path", [Impatient(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        run_it()
    assert end.value.code == 130


def test_ctrl_c_while_python_ends_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("transformer.cli.main", lambda: None)
    try:
        run_it()
        after = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert after == signal.SIG_DFL


def test_ctrl_c_while_the_options_are_made_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("transformer.cli.score.make_parser", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["config", "gpt2"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "\ntransformer: interrupted\n"


@pytest.mark.parametrize("n_letters", [3, 300_000], ids=["at the end", "on the way"])
def test_a_reader_that_has_enough_ends_it_without_a_word(n_letters: int, tmp_path: Path) -> None:
    text, tokenizer = tmp_path / "text.txt", tmp_path / "tokenizer.json"
    text.write_text("a" * n_letters, encoding="utf-8")
    CharacterTokenizer.train("ab").save(tokenizer)
    with subprocess.Popen(
        [sys.executable, "-m", "transformer", "tokenize", "encode", str(tokenizer), str(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as call:
        assert call.stdout is not None
        assert call.stderr is not None
        call.stdout.close()
        assert call.stderr.read() == b""
    assert call.returncode == 141


def test_what_cannot_be_printed_is_told_the_encoding_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prints(_: object) -> None:
        "a ✓".encode("ascii")

    monkeypatch.setattr("transformer.cli.config.run", prints)
    said = complaint(["config", "gpt2"], capsys)
    assert said == (
        "transformer: what is printed has '\\u2713', and where it goes the encoding is ascii: "
        "set PYTHONIOENCODING=utf-8 in the environment"
    )


@pytest.mark.parametrize(
    ("saved", "lost", "said"),
    [
        (False, True, "nothing is saved yet; it begins with"),
        (True, True, "what it did since its last checkpoint is lost; it goes on with"),
        (True, False, "it is saved, and goes on with"),
    ],
)
def test_what_is_left_of_an_interrupted_run_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    saved: bool,
    lost: bool,
    said: str,
) -> None:
    def interrupted(_: object) -> None:
        raise Interrupted(signal.SIGTERM, Path("runs/7"), saved=saved, lost=lost)

    monkeypatch.setattr("transformer.cli.train.run", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["train"])
    assert end.value.code == 143
    line = f"\ntransformer: interrupted; {said}: transformer train --resume runs/7\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "train,sample,evaluate,tokenize,prepare"),
        (["trian"], "there is no command 'trian'; is it train? (there are train, sample, evalu"),
        (["config", "gpt5"], "no preset 'gpt5'; there are: shakespeare-cpu, gpt-mini"),
        (["config", "gpt5"], "nor has a recipe that name: bert-mlm, gpt2-openwebtext, imdb-cl"),
        (["config", "."], "there is no run at .: expected a folder with train.yaml"),
        (["config", "gpt5.yaml"], "transformer: gpt5.yaml: No such file or directory"),
        (["sample", "./nowhere"], "there is no folder ./nowhere"),
        (["check", "atention"], "there is no exercise 'atention'"),
        (["sample"], "run"),
        (["train", "--text", "nowhere.txt"], "there is no text file at nowhere.txt"),
        (["train", "--data", "nowhere"], "there is no text file at nowhere, nor a folder"),
        (["train", "--data", "imdb", "--text", "a.txt"], "give text or data, not both"),
        (
            ["train", "--config", "nowhere.yaml"],
            "no file nowhere.yaml, and no recipe has that name",
        ),
        (["prepare", "nowhere", "corpus"], "there is no text file at nowhere, nor a folder"),
        (["prepare", "counting", "corpus", "--num_processes", "0"], "num_processes must be at"),
        (["train", "--max_steps", "many"], "max_steps"),
        (["train", "--max_steps", "0"], "max_steps must be at least 1; got 0"),
        (["train", "--max_steps", "null"], "give max_steps or epochs"),
        (["train", "--optimizer.lr", "0"], "lr must be above 0 and finite; got 0.0"),
        (["train", "--resume", "nowhere"], "there is no run at nowhere"),
        (["train", "--stepz", "1"], "stepz"),
        (["train", "--model.n_layers", "-1"], "n_layers must be an integer of at least 0"),
        (["train", "--model.norm", "batch"], "norm"),
        (["train", "--device", "tpu"], "device"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in complaint(arguments, capsys)
    assert list(tmp_path.iterdir()) == [], "a call that failed left something behind"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--top-k", "0"), "top-k must be at least 1, got 0"),
        (("--top-p", "0"), "top-p must be above 0 and at most 1, got 0.0"),
        (("--min-p", "2"), "min-p must be from 0 to 1, got 2.0"),
    ],
)
def test_a_filter_that_cannot_be_is_one_line_too(
    run: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], said: str
) -> None:
    assert said in complaint(["sample", str(run), *option], capsys)


@pytest.mark.slow
def test_a_prepared_corpus_is_trained_on(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "corpus"
    main(["prepare", str(text), str(folder)])
    assert "432 tokens to train on and 48 to validate on, of 12 symbols" in capsys.readouterr().out
    main(["train", "--data", str(folder), "--runs", str(tmp_path / "runs"), *SMALL])
    assert "432 tokens to train on, 48 to validate on, 12 symbols" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["byte", "sennrich-bpe", "byte-bpe", "wordpiece"])
def test_a_corpus_of_each_tokenizer_is_prepared_trained_on_and_sampled_from(
    kind: str, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, runs = tmp_path / "corpus", tmp_path / "runs"
    size = [] if kind == "byte" else ["--tokenizer_size", "258" if kind == "byte-bpe" else "20"]
    main(["prepare", str(text), str(folder), "--tokenizer", kind, *size])
    main(["train", "--data", str(folder), "--runs", str(runs), *SMALL, "--max_steps", "2"])
    [run] = runs.iterdir()
    assert (find_checkpoint(run) / "tokenizer.json").read_text() == (
        folder / "tokenizer.json"
    ).read_text()
    capsys.readouterr()
    main(["sample", str(run), "--tokens", "5", "--prompt", "the cat"])
    assert capsys.readouterr().out.startswith("the cat")
    main(["sample", str(run), "--tokens", "5"])
    assert len(capsys.readouterr().out) > len("\n")


@pytest.mark.slow
def test_a_prompt_without_a_token_and_a_tokenizer_that_is_none_are_one_line(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    options = ["--text", str(text), "--runs", str(runs), *SMALL, "--max_steps", "2"]
    main(["train", *options, "--tokenizer", "wordpiece"])
    [run] = runs.iterdir()
    capsys.readouterr()
    assert "has no token" in complaint(["sample", str(run), "--prompt", " "], capsys)
    folder = find_checkpoint(run)
    (folder / "manifest.json").unlink()  # else its hash would tell first
    CharacterTokenizer("ab").save(folder / "tokenizer.json")
    assert "is that of another run" in complaint(["sample", str(folder)], capsys)
    (folder / "tokenizer.json").write_text("{")
    assert "tokenizer.json is no tokenizer file" in complaint(["sample", str(folder)], capsys)
    said = complaint(["train", *options, "--tokenizer", "bpe"], capsys)
    assert "no tokenizer has that name: character, byte, sennrich-bpe" in said


def test_a_damaged_checkpoint_and_a_foreign_character_are_one_line_too(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(["sample", str(run), "--prompt", "Ω"], capsys)
    assert "the vocabulary has no 'Ω'" in said
    assert "no checkpoint '5'; it has last, best, 6, 12" in complaint(
        ["sample", str(run), "--checkpoint", "5"], capsys
    )
    last = find_checkpoint(run)
    weights = last / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    said = complaint(["sample", str(last)], capsys)
    assert "is damaged: model.safetensors has bytes 100" in said
    weights.unlink()
    assert "model.safetensors is missing" in complaint(["sample", str(last)], capsys)
    main(["sample", str(run), "--tokens", "1"])
    assert "model.safetensors is missing. The checkpoint before it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT, which Windows has no kill for")
def test_ctrl_c_saves_the_model_and_says_where(text: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = [sys.executable, "-m", "transformer", "train", "--text", str(text)]
    options = [*SMALL, "--max_steps", "1000000", "--compile", "false", "--runs", str(runs)]
    process = subprocess.Popen(
        command + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "validation loss" in line:  # it is well under way
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    [folder] = runs.iterdir()
    assert process.returncode == 130
    assert errors.strip() == (
        "transformer: interrupted; it is saved, and goes on with: "
        f"transformer train --resume {folder}"
    )
    main(["sample", str(folder), "--tokens", "1"])


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("train --lr 1e-3", "is it --optimizer.lr?"),
        ("train --n_layers=3", "is it --model.n_layers?"),
        ("train --batch-size 8", "is it --batch_size?"),
        ("sample some_run --top_k 3", "is it --top-k?"),
        ("train --steps 3", "--steps 3; is it --max_steps?"),
        ("train --heads 3", "is it --model.n_heads or --model.n_kv_heads?"),
        ("train --model.layers 3", "is it --model.n_layers?"),
        ("train --optimizer.learning_rate 1e-3", "is it --optimizer.lr?"),
        ("prepare a.txt folder --kind byte", "is it --tokenizer?"),
        ("tokenize train a.txt --out t.json --sizes 300", "is it --size?"),
        ("tokenize encode t.json --txt hi", "is it --text?"),
        ("train --n_embd 5", "is it --model.d_model?"),
        (
            "train --preset gpt2",
            "is it --config with a recipe, or --model.d_model and the like?",
        ),
    ],
)
def test_an_option_that_is_not_there_is_told_the_one_that_is(
    call: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(call.split())
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith("transformer: unrecognized arguments: --")
    assert said.rstrip().endswith(meant)


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        ("max_step: 3", "a configuration file has what train has not: option 'max_step'; is it --"),
        ("optimizer: {lrr: 3}", "option 'optimizer.lrr'; is it --optimizer.lr"),
        ("version: 3", "is the file another version's? transformer train --help lists the options"),
        ("optimizer: {qqqqq: 3}", "option 'optimizer.qqqqq'; is the file another version's?"),
    ],
)
def test_a_setting_of_a_file_that_is_not_there_is_told_the_one_that_is(
    settings: str, meant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(settings)
    said = complaint(["train", "--config", str(tmp_path / "mine.yaml")], capsys)
    assert meant in said
    assert ("is it" in said) == ("is it" in meant)


@pytest.mark.parametrize(
    ("line", "put", "meant"),
    [
        ("seed: 0", "max_step: 3", "option 'max_step'; is it --max_steps?"),
        ("  lr: 0.0015", "  lrr: 3", "option 'optimizer.lrr'; is it --optimizer.lr"),
        ("seed: 0", "version: 3", "option 'version'; is the file another version's? transformer "),
    ],
)
@pytest.mark.parametrize("command", ["train --resume", "config"])
def test_so_is_a_setting_of_a_run_whatever_reads_it(
    command: str,
    line: str,
    put: str,
    meant: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = new_run_folder(TrainConfig(runs=tmp_path))
    file = folder / "train.yaml"
    file.write_text(file.read_text().replace(f"{line}\n", f"{put}\n"))
    said = complaint([*command.split(), str(folder)], capsys)
    assert said.startswith(f"transformer: {file} is no configuration: it has what a run has not: ")
    assert meant in said


@pytest.mark.parametrize("command", ["train --resume", "config"])
def test_a_wrong_value_in_a_runs_file_is_told_in_the_words_of_an_option(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_run_folder(TrainConfig(runs=tmp_path))
    file = folder / "train.yaml"
    file.write_text(file.read_text().replace("seed: 0\n", "seed: many\n"))
    said = complaint([*command.split(), str(folder)], capsys)
    assert said.endswith(f"{file} is no configuration: seed must be a whole number; got many")


def test_a_run_goes_on_with_a_file_only_if_its_model_is_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = ["train", "--resume", str(new_run_folder(TrainConfig(runs=tmp_path)))]
    said = complaint([*resume, "--config", "gpt-mini"], capsys)
    assert f"{resume[2]} goes on with the model that it has, and " in said
    assert "norm rms, there layer" in said
    assert "d_vocab" not in said
    assert "take its model away, all else in it is taken" in said
    longer = tmp_path / "longer.yaml"
    longer.write_text("max_steps: 8009\nmodel: {norm: rms}\n")
    with pytest.raises(SystemExit) as end:
        main([*resume, "--config", str(longer), "--print_config"])
    assert end.value.code in (0, None)
    assert "max_steps: 8009" in capsys.readouterr().out
    said = complaint(["train", "--config", str(longer), *resume[1:]], capsys)
    assert said.startswith("transformer: --resume takes the run's own options in place of those of")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected options by their names, a line of it as max_steps: 300; it is empty"),
        (b"max_steps 300", "a line of it as max_steps: 300; it holds 'max_steps 300'"),
        (b"model:\n\td_mlp: 3", "line 2, column 1: a tab, where YAML takes spaces only"),
        (b"seed: [1", "line 1, column 9: expected ',' or ']', but got '<stream end>'"),
        (b"\xff\xfes", "it is not UTF-8 text; save it as UTF-8 first"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_why(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    printed = complaint(["train", "--config", str(file)], capsys)
    assert f"transformer: {file} is no configuration: " in printed
    assert said in printed


def test_the_folder_of_all_runs_is_told_the_newest_in_it(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(["train", "--resume", str(run.parent)], capsys)
    assert said.endswith(f"expected a folder with train.yaml; the newest runs in it: {run}")


@pytest.mark.parametrize(
    "call", ["evaluate {} --data a.txt", "doctor --run {}", "export {} out", "plot attention {}"]
)
def test_the_folder_of_all_runs_is_told_the_newest_in_it_by_what_reads_a_model(
    call: str,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = complaint(call.format(run.parent).split(), capsys)
    assert said.endswith(f"; the newest runs in it: {run}")


def test_a_file_where_a_folder_is_wanted_is_named(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(["prepare", str(text), str(text)], capsys)
    assert said == f"transformer: {text} is a file: name a folder, which may be a new one"
    assert text.read_text() == TEXT


def test_an_option_like_none_is_only_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--qqqqq", "3"])
    assert capsys.readouterr().err == "transformer: unrecognized arguments: --qqqqq 3\n"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("", "which of {train,sample,evaluate,tokenize,prepare, ...}? transformer --help says"),
        ("tokenize", "which of {train,encode,decode,show}? transformer tokenize --help says what"),
        ("sample", "sample needs run; see: transformer sample --help"),
        ("evaluate", "evaluate needs run and data; see: transformer evaluate --help"),
        ("tokenize train a", "tokenize train needs out; see: transformer tokenize train --help"),
        (
            "train my.txt",
            "unrecognized arguments: my.txt; is the option missing that it belongs to, --text or "
            "--data? --help lists them",
        ),
        (
            "evaluate some_run my.txt",
            "unrecognized arguments: my.txt; is the option missing that it belongs to, --data? ",
        ),
        ("tokenise a.txt", "there is no command 'tokenise'; is it tokenize? (there are train, sam"),
        ("qqqqq", "there is no command 'qqqqq' (there are train, sample, evaluate, tokenize,"),
        ("tokenize encoed a", "there is no action 'encoed'; is it encode? (there are train, enco"),
        ("plot atention a", "there is no picture 'atention'; is it attention? (there are attenti"),
        ("train --max_steps ten", "max_steps must be a whole number or null; got ten"),
        ("train --max_steps 1e3", "max_steps must be a whole number or null; got 1e3: write 1000"),
        ("train --seed 2e3", "seed must be a whole number; got 2000.0: write 2000"),
        ("train --optimizer.lr fast", "optimizer.lr must be a number; got fast"),
        (
            "train --optimizer.clip_norm inf",
            "optimizer.clip_norm must be a number; got inf, which is a text: the number is "
            "written .inf",
        ),
        ("train --model.norm batch", "model.norm must be layer or rms; got batch"),
        ("train --optimizer.clip_norm -.inf", "clip_norm must be above 0; got -inf"),
        (
            "train --optimizer.clip_norm -Infinity",
            "optimizer.clip_norm must be a number; got -Infinity, which is a text: the number is "
            "written -.inf",
        ),
        (
            "train --optimizer.clip_norm -NaN",
            "optimizer.clip_norm must be a number; got -NaN, which is a text: the number is "
            "written .nan",
        ),
        ("train --compile maybe", "compile must be true, false or null; got maybe"),
        ("grade a --exercises linear", "exercises must be a list, such as '[linear]'; got linear"),
        ("lab list lab-1", "list is of all the labs, and takes no name; got lab-1: transformer"),
        ("exercise list x", "list is of all the exercises, and takes no name; got x: transformer"),
        ("exercise status linear", "status is of all the exercises, and takes no name; got linear"),
        ("lab strat", "action must be list, start or check; got strat"),
        ("train --schedule cosine", "--schedule takes a YAML file, and cosine is none"),
        (
            "train --model gpt2",
            "--model takes a YAML file, and gpt2 is none that can be read; one setting of it is "
            "given by its name, as --model.NAME, and those of a recipe by the recipe's, as "
            "--config gpt-mini (--help lists both)",
        ),
    ],
)
def test_a_wrong_call_is_told_what_was_expected_in_words_of_the_command_line(
    call: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = complaint(call.split(), capsys)
    assert f"transformer: {said}" in printed
    assert "class" not in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("train --config imdb-classifier --text a.csv", "give text or data, not both; got a.csv"),
        (
            "train --objective masked-language",
            "got 'rotary': begin with --config bert-mlm, or give",
        ),
        (
            "train --objective classification --text a.csv",
            "begin with --config imdb-classifier, or",
        ),
        ("train --config imdb-classifier --text a.csv", "or take it away: --data null"),
        ("tokenize decode byte ids.txt", "token ids are whole numbers between spaces or commas"),
        ("sample some_run --weights int4", "weights must be bfloat16 or int8; got int4"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_with_what_can(
    call: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\na cat,no\n")
    Path("ids.txt").write_text("12 b 3")
    assert said in complaint(call.split(), capsys)


def test_a_path_at_home_is_sought_there_where_no_shell_has_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    file = tmp_path / "mine.yaml"
    file.write_text("text: ~/no_text.txt\n", encoding="utf-8")
    said = complaint(["train", "--config", str(file)], capsys)
    assert said.startswith(f"transformer: there is no text file at {tmp_path / 'no_text.txt'}")
    said = complaint(["train", "--data=~/no_data"], capsys)
    assert said.startswith(f"transformer: there is no text file at {tmp_path / 'no_data'}, nor a f")
    said = complaint(["train", "--runs=~/mine.yaml"], capsys)
    assert said.startswith(f"transformer: {file} is a file: name a folder with --runs")


def test_a_folder_of_runs_that_cannot_be_is_told_before_the_text_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    train = ["train", "--text", str(tmp_path / "no_text.txt"), "--runs"]
    for runs in ("file", "file/in/it"):
        said = complaint([*train, str(tmp_path / runs)], capsys)
        assert said.startswith(
            f"transformer: {tmp_path / 'file'} is a file: name a folder with --r"
        )
    monkeypatch.setattr(os, "access", lambda folder, _: Path(folder) != tmp_path)
    said = complaint([*train, str(tmp_path / "new" / "runs")], capsys)
    assert said.startswith(f"transformer: {tmp_path} may not be written into: name another folder")


@pytest.mark.parametrize(
    "call",
    [
        "tokenize train no_text.txt --out nowhere/t.json",
        "doctor --preset no_preset --picture nowhere/d.png",
        "doctor --preset no_preset --json nowhere/d.json",
        "score --exercises [no_exercise] --json nowhere/s.json",
        "score --exercises [no_exercise] --table nowhere/s.md",
    ],
)
def test_what_is_long_in_the_making_is_not_made_for_a_folder_that_is_not_there(
    call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no folder nowhere to write" in complaint(call.split(), capsys)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("doctor --picture d.xyz", "a picture ends in .svg, .png, .pdf; got d.xyz"),
        ("doctor --learning-rate 0", "--learning-rate must be above 0 and finite, got 0"),
        ("doctor --learning-rate .inf", "--learning-rate must be above 0 and finite, got inf"),
        (f"doctor --seed {2**63}", f"--seed must be from -2^63 to 2^63 - 1, got {2**63}"),
        ("score --processes 0", "--processes must be at least 1, got 0"),
        ("check softmax --seconds 0", "seconds must be above 0 and finite; got 0.0"),
        ("check softmax --seconds .inf", "seconds must be above 0 and finite; got inf"),
        ("check softmax --memory .inf", "--memory must be a number of GiB, 0 for no limit; got in"),
        ("check softmax --memory -1", "--memory must be a number of GiB, 0 for no limit; got -1"),
        ("grade . --seconds .nan", "seconds must be above 0 and finite; got nan"),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anything_is_done(
    call: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exercises").mkdir()
    name, *options = call.split()
    nothing = {"doctor": ["--preset", "no_preset"], "score": ["--exercises", "[no_exercise]"]}
    assert said in complaint([name, *options, *nothing.get(name, [])], capsys)


def test_a_number_has_its_name_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sample", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "how many tokens to add at most (type: whole number, default: 500)" in said
    assert "function" not in said


@pytest.mark.parametrize("command", ["train", "tokenize train", "doctor", "plot attention"])
def test_the_help_says_in_words_what_an_option_takes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert ", type: path)" in said or "(type: path, default: " in said
    for of_python in ("<class", "Literal", "type: int", "type: str", "tuple["):
        assert of_python not in said
    if command == "train":
        assert "(type: true, false or null, default: null)" in said
        assert "(type: list of tensorboard or wandb, default: (" in said


def test_the_help_of_train_calls_nothing_required_as_all_has_a_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert "--model.d_model" in said
    assert "required" not in said


def test_help_and_a_mistyped_name_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from transformer.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'help imported torch'"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "train" in run.stdout
