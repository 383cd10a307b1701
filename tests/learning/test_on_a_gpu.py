"""What of right code would stop on a GPU: named with its line, on a machine without one."""

import importlib
import re
from pathlib import Path

import pytest

from transformer.learning.checking.check import check_exercises
from transformer.learning.checking.score import exercise_of, right_implementations
from transformer.learning.diagnosing.on_a_gpu import ON_A_GPU, _moving, stops_on_a_gpu
from transformer.learning.exercises import EXERCISES, exercise
from transformer.learning.outcome import Raised, same
from transformer.learning.own.implementation import for_exercise, load, reference
from transformer.learning.probes import PROBES

STOP = {
    "attention_lecture": "line 19: scores = scores.masked_fill(later, -torch.inf)",
    "attention_llama": "line 26: scores = scores.masked_fill(~earlier, -torch.inf)",
    "position_complex": "line 40: angle = positions[..., None, None] * self.frequencies",
}


def said_of(name: str, source: str, folder: Path) -> list[str]:
    file = folder / f"{name}.py"
    file.write_text(source, encoding="utf-8")
    return [*stops_on_a_gpu(exercise(name), for_exercise(exercise(name), load(str(file))))]


def source_of(name: str) -> str:
    file = importlib.import_module(exercise(name).dotted).__file__
    assert file is not None
    return Path(file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXERCISES)
def test_our_own_is_right_there_too(name: str) -> None:
    wanted = exercise(name)
    assert not [*stops_on_a_gpu(wanted, reference(wanted))]
    moving, ran = _moving(reference(wanted)), 0
    if wanted.dotted.split(".")[1] not in ON_A_GPU:
        return
    for probe in PROBES[name]:
        outcome, expected = probe.outcome(moving), probe.outcome(reference(wanted))
        if isinstance(outcome, Raised) and not isinstance(expected, Raised):
            assert "does not require grad" in outcome.message, "there is no gradient elsewhere"
        else:
            ran += same(outcome, expected)
    assert ran >= len(PROBES[name]) / 4


@pytest.mark.parametrize("file", right_implementations(), ids=lambda file: file.stem)
def test_of_right_ones_those_are_found_that_stop(file: Path, tmp_path: Path) -> None:
    wanted, own = exercise_of(file), tmp_path / file.name
    own.write_bytes(file.read_bytes())
    said = [*stops_on_a_gpu(wanted, for_exercise(wanted, load(str(own))))]
    assert len(said) == (file.stem in STOP)
    for one in said:
        assert f"({file.name}, {STOP[file.stem]})" in one
        assert "device=x.device" in one
        assert "register_buffer" in one


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        ("position", ", device=positions.device", "", "return positions[..., None] * base"),
        ("gpt", ", device=tokens.device", "", "resid = resid + self.position(positions)"),
        ("attention", ", q.device)", ")", "return earlier if mask is None else combine_masks("),
    ],
)
def test_one_that_is_made_on_the_cpu_is_found(
    name: str, old: str, new: str, line: str, tmp_path: Path
) -> None:
    assert old in source_of(name)
    [said] = said_of(name, source_of(name).replace(old, new), tmp_path)
    assert said.startswith(f"On a GPU it would stop ({name}.py, line ")
    assert f": {line}" in said


@pytest.mark.parametrize(
    "made",
    [
        "torch.arange(n_pairs, dtype=dtype, device=DEVICE)",
        "torch.arange(n_pairs, dtype=dtype).to(positions.device)",
        "torch.arange(n_pairs, dtype=dtype).to(DEVICE)",
        "torch.arange(n_pairs, dtype=dtype, device=torch.device(DEVICE))",
        "torch.arange(n_pairs, dtype=dtype).to(torch.device(DEVICE))",
        "torch.tensor([*range(n_pairs)], dtype=dtype, device=positions.device)",
        "positions.new_tensor([*range(n_pairs)], dtype=dtype)",
    ],
)
def test_other_ways_to_be_where_the_input_is_are_right(made: str, tmp_path: Path) -> None:
    ask = '\nDEVICE = "cuda" if torch.cuda.is_available() else "cpu"\n'
    source = source_of("position")
    right = re.sub(r"torch\.arange\(n_pairs.*\)", made, source) + ask
    assert right.count(made) == 1
    assert not said_of("position", right, tmp_path)


@pytest.mark.parametrize("kept", ['self.register_buffer("table", {})', "self.table = {}"])
def test_behind_a_layout_a_buffer_moves_and_a_plain_tensor_does_not(
    kept: str, tmp_path: Path
) -> None:
    source = f"""
import torch
class Unembedding(torch.nn.Module):
    def __init__(self, d_model, d_vocab):
        super().__init__()
        self.head = torch.nn.Linear(d_model, d_vocab)
        {kept.format("torch.ones(d_model)")}

    def forward(self, x):
        return self.head(x * self.table)

LAYOUT = {{"Unembedding": {{"head.weight": "W_U: d_vocab d_model", "head.bias": "b_U: d_vocab"}}}}
"""
    said = said_of("embedding", source, tmp_path)
    assert bool(said) == ("register_buffer" not in kept)


def test_a_verdict_that_is_right_says_it(tmp_path: Path) -> None:
    file = tmp_path / "position.py"
    file.write_text(
        source_of("position").replace(", device=positions.device", ""), encoding="utf-8"
    )
    [verdict] = check_exercises(["position"], str(file))
    assert verdict.status == "right"
    assert any("On a GPU it would stop" in one for one in verdict.explanation)
