"""What is saved comes back as it was; what is damaged or foreign is refused with its reason."""

import errno
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.amp.grad_scaler import GradScaler

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.bert import BERTConfig, ClassifierBERT
from transformer.models.gpt import GPT
from transformer.tokenizers import CharacterTokenizer
from transformer.training.adamw import AdamW
from transformer.training.optimizer import make_adamw
from transformer.training.saved.checkpoint import (
    read_checkpoint,
    resume_from_newest,
    write_checkpoint,
)
from transformer.training.saved.checkpoint_folder import checkpoint_path, checkpoints
from transformer.training.saved.load import find_checkpoint, load_checkpoint
from transformer.training.scaled_step import scaled_train_step
from transformer.training.state import TrainState
from transformer.training.step import train_step

TOKENIZER = CharacterTokenizer.train("abc\n")
CONFIG = TransformerConfig(
    d_vocab=4, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11, dropout=0.3
)


def a_state(config: TransformerConfig = CONFIG, *, ours: bool = False) -> TrainState:
    """A run at its start; `ours` takes the AdamW that is there to be read."""
    model = GPT(config)
    randomise(model)
    if ours:
        return TrainState(model=model, optimizer=AdamW(model.parameters(), lr=0.01))
    optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
    return TrainState(model=model, optimizer=optimizer)


def advance(state: TrainState, updates: int) -> None:
    """Take some updates, each on a batch that its step decides; in fp16 if there is a scaler."""
    update = partial(scaled_train_step, scaler=state.scaler) if state.scaler else train_step
    for _ in range(updates):
        generator = torch.Generator().manual_seed(state.step)
        tokens = torch.randint(4, (3, 7), generator=generator)
        update(state.model, state.optimizer, tokens, clip_norm=1.0)
        state.step += 1


def weights(state: TrainState) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in state.model.parameters()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def not_refused(reason: str) -> None:
    raise AssertionError(f"refused: {reason}")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints at steps 1 to 3."""
    folder = tmp_path_factory.mktemp("run")
    state = a_state()
    for _ in range(3):
        advance(state, 1)
        write_checkpoint(folder, state, TOKENIZER, keep=9)
    return folder


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    """A copy of it for each test."""
    return shutil.copytree(made_once, tmp_path / "run")


# Contract


@pytest.mark.parametrize("ours", [False, True])
def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path, ours: bool) -> None:
    torch.manual_seed(1)
    whole = a_state(ours=ours)
    advance(whole, 3)
    whole.judge(1.5)
    whole.judge(1.75)
    write_checkpoint(tmp_path, whole, TOKENIZER, keep=1)
    advance(whole, 4)

    torch.manual_seed(2)  # dropout draws from the state in the checkpoint
    resumed = a_state(ours=ours)
    resume_from_newest(tmp_path, resumed, TOKENIZER, not_refused)
    assert (resumed.step, resumed.best_loss, resumed.best_step) == (3, 1.5, 3)
    assert resumed.evaluations_without_gain == 1
    advance(resumed, 4)
    assert equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("lost", ["optimizer", "random"])
def test_without_the_moments_or_the_random_states_it_ends_elsewhere(
    tmp_path: Path, lost: str
) -> None:
    # The negative control of the test above: it can tell that they are there.
    torch.manual_seed(1)
    whole = a_state()
    advance(whole, 3)
    write_checkpoint(tmp_path, whole, TOKENIZER, keep=1)
    advance(whole, 4)
    resumed = a_state()
    resume_from_newest(tmp_path, resumed, TOKENIZER, not_refused)
    if lost == "optimizer":
        resumed.optimizer.state.clear()
    else:
        torch.manual_seed(2)
    advance(resumed, 4)
    assert not equal(weights(whole), weights(resumed))


def test_the_scale_of_fp16_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = a_state()
    # The first update overflows, and the fourth after it is the one that doubles the scale.
    settings = {"backoff_factor": 2.0**-20, "growth_interval": 4}
    whole.scaler = GradScaler("cpu", init_scale=2.0**30, **settings)  # type: ignore[arg-type]
    advance(whole, 3)
    saved = whole.scaler.state_dict()
    assert (saved["scale"], saved["_growth_tracker"]) == (2.0**10, 2)
    write_checkpoint(tmp_path, whole, TOKENIZER, keep=1)
    advance(whole, 2)
    assert whole.scaler.get_scale() == 2.0**11

    resumed = a_state()
    resumed.scaler = GradScaler("cpu")
    resume_from_newest(tmp_path, resumed, TOKENIZER, not_refused)
    assert resumed.scaler.state_dict() == saved
    advance(resumed, 2)
    assert resumed.scaler.state_dict() == whole.scaler.state_dict()
    assert equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("tied", [True, False])
def test_a_loaded_model_gives_the_same_logits(tmp_path: Path, tied: bool) -> None:
    state = a_state(TransformerConfig(**(vars(CONFIG) | {"tied": tied})))
    write_checkpoint(tmp_path, state, TOKENIZER, keep=1)
    loaded, tokenizer = load_checkpoint(tmp_path)
    tokens = torch.randint(4, (3, 7))
    assert torch.equal(loaded(tokens), state.model.eval()(tokens))
    assert loaded.config == state.model.config
    assert tokenizer.vocabulary == TOKENIZER.vocabulary
    n_parameters = len(list(state.model.parameters()))
    assert len(list(loaded.parameters())) == n_parameters, "tying was lost"


def test_the_last_the_best_and_that_of_a_step_are_found(run: Path) -> None:
    state = a_state()
    resume_from_newest(run, state, TOKENIZER, not_refused)
    state.best_step = 2
    state.step = 4
    write_checkpoint(run, state, TOKENIZER, keep=9)
    assert find_checkpoint(run) == checkpoint_path(run, 4)
    assert find_checkpoint(run, "best") == checkpoint_path(run, 2)
    assert find_checkpoint(run, "3") == checkpoint_path(run, 3)
    with pytest.raises(FileNotFoundError, match="no checkpoint '5'; it has last, best, 1, 2, 3, 4"):
        find_checkpoint(run, "5")
    shutil.rmtree(checkpoint_path(run, 2))
    with pytest.raises(FileNotFoundError, match="of step 2 any more, which was the best"):
        find_checkpoint(run, "best")
    state.best_step, state.step = 0, 5
    write_checkpoint(run, state, TOKENIZER, keep=9)
    with pytest.raises(FileNotFoundError, match="no best checkpoint: it was not evaluated yet"):
        find_checkpoint(run, "best")


def test_the_last_ones_and_the_best_are_kept_and_nothing_half_written(tmp_path: Path) -> None:
    state = a_state()
    for step, loss in enumerate([4.0, 2.0, 3.0, 3.0, 3.0], start=1):
        state.step = step
        state.judge(loss)
        write_checkpoint(tmp_path, state, TOKENIZER, keep=2)
    assert checkpoints(tmp_path) == [checkpoint_path(tmp_path, step) for step in (2, 4, 5)]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


def test_steps_of_any_length_are_in_order(tmp_path: Path) -> None:
    state = a_state()
    for state.step in (9, 10, 600_000):
        write_checkpoint(tmp_path, state, TOKENIZER, keep=9)
    assert checkpoints(tmp_path)[-1] == checkpoint_path(tmp_path, 600_000)


def test_a_file_among_them_is_no_checkpoint(run: Path) -> None:
    (run / "checkpoints" / "step-00000009").write_text("notes")
    assert checkpoints(run) == [checkpoint_path(run, step) for step in (1, 2, 3)]


def test_of_a_full_disk_it_is_said_where_and_nothing_half_written_stays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted((run / "checkpoints").iterdir())
    state = a_state()
    state.step = 4
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as refusal:
        write_checkpoint(run, state, TOKENIZER, keep=9)
    assert refusal.value.filename == str(checkpoint_path(run, 4))
    assert sorted((run / "checkpoints").iterdir()) == before


def test_what_a_crash_left_is_cleared_away(run: Path) -> None:
    part = run / "checkpoints" / ".step-00000007.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    resume_from_newest(run, a_state(), TOKENIZER, not_refused)
    assert not part.exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no run at .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no run's folder: expected one with train"):
        load_checkpoint(tmp_path)
    (tmp_path / "train.yaml").touch()
    with pytest.raises(FileNotFoundError, match="has no checkpoint yet"):
        load_checkpoint(tmp_path)


def test_a_run_without_a_checkpoint_begins_at_its_beginning(tmp_path: Path) -> None:
    state = a_state()
    resume_from_newest(tmp_path, state, TOKENIZER, not_refused)
    assert state.step == 0


# Damage: each file, in each way

FILES = (
    *("model.yaml", "model.safetensors", "tokenizer.json"),
    *("optimizer.safetensors", "random.safetensors", "state.json", "manifest.json"),
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "one bit"])
def test_a_damaged_checkpoint_is_refused_with_its_reason_and_the_one_before_it_taken(
    run: Path, name: str, damage: str
) -> None:
    assert {file.name for file in checkpoint_path(run, 3).iterdir()} == set(FILES)
    file = checkpoint_path(run, 3) / name
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "one bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage != "missing":
        file.write_bytes(content[: len(content) // 2 if damage == "half" else 0])

    before = a_state()
    advance(before, 2)
    reasons: list[str] = []
    resumed = a_state()
    resume_from_newest(run, resumed, TOKENIZER, reasons.append)
    assert resumed.step == 2
    [reason] = reasons
    assert "step-00000003 is damaged" in reason
    assert name in reason or name == "manifest.json"
    assert "the one before it taken" in reason

    # It is out of the way: the run goes on, and resumes from what it then saves.
    advance(resumed, 1)
    write_checkpoint(run, resumed, TOKENIZER, keep=1)
    resume_from_newest(run, a_state(), TOKENIZER, not_refused)


def test_of_a_checkpoint_of_another_model_or_tokenizer_nothing_is_taken(run: Path) -> None:
    other = a_state(TransformerConfig(**(vars(CONFIG) | {"d_mlp": 13})))
    with pytest.raises(ValueError, match=r"foreign: model.yaml is not the model of this run"):
        read_checkpoint(checkpoint_path(run, 3), other, TOKENIZER)
    tokenizer = CharacterTokenizer.train("abd\n")
    with pytest.raises(ValueError, match=r"foreign: tokenizer.json is not the tokenizer"):
        read_checkpoint(checkpoint_path(run, 3), a_state(), tokenizer)
    manifest = checkpoint_path(run, 3) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": "lightning"}))
    with pytest.raises(ValueError, match=r"foreign: manifest\.json does not say format"):
        read_checkpoint(checkpoint_path(run, 3), a_state(), TOKENIZER)


def test_a_classifier_does_not_go_on_with_other_classes(tmp_path: Path) -> None:
    def telling_apart(*classes: str) -> TrainState:
        shape = BERTConfig(
            d_vocab=4, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=11
        )
        model = ClassifierBERT(shape, n_classes=len(classes), classes=classes)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
        return TrainState(model=model, optimizer=optimizer)

    write_checkpoint(tmp_path, telling_apart("neg", "pos"), TOKENIZER, keep=1)
    folder = checkpoint_path(tmp_path, 0)
    read_checkpoint(folder, telling_apart("neg", "pos"), TOKENIZER)
    with pytest.raises(ValueError, match="foreign: its classes are neg, pos, and the data's a, b"):
        read_checkpoint(folder, telling_apart("a", "b"), TOKENIZER)


def test_when_none_can_be_taken_nothing_is_begun_anew_in_silence(run: Path) -> None:
    for folder in checkpoints(run):
        (folder / "state.json").unlink()
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be taken.*state.json is miss"):
        resume_from_newest(run, a_state(), TOKENIZER, not_refused)
    assert len(checkpoints(run)) == 3, (
        "they are put out of the way, and nothing has taken their place"
    )


def test_a_manifest_that_names_a_file_elsewhere_reads_nothing_there(run: Path) -> None:
    folder = checkpoint_path(run, 3)
    outside = run / "outside.json"
    shutil.copy(folder / "state.json", outside)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../outside.json"] = manifest["files"]["state.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"outside\.json is missing"):
        read_checkpoint(folder, a_state(), TOKENIZER)
