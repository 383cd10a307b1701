"""What the benchmark of training compares and how it counts; its measurements are its own."""

import math
import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module

from tests.benchmarks import training
from tests.benchmarks.training import check_curves, curve, gpt2_of, measure, work_alone
from tests.benchmarks.training_models import BETAS, CLIP, LR, WEIGHT_DECAY, ours
from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training.optimizer import make_adamw
from transformer.training.step import train_step

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=5, d_head=2, d_mlp=40
)
TINY = "2 x 10, 7 tokens, batch 3"


@pytest.fixture(autouse=True)
def _setting_of_the_process() -> Generator[None]:
    """Put back how float32 is multiplied, which what is measured sets for the whole process."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one work, of a size that takes no time."""
    monkeypatch.setattr(training, "works", lambda _: {TINY: (CONFIG, 3, 2)})
    monkeypatch.setattr(training, "pick_device", lambda: CPU)


def a_model() -> GPT:
    model = GPT(CONFIG)
    randomise(model, std=0.3)
    return model


def some_batches(n: int = 20) -> Sequence[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return list(torch.randint(13, (1, 3, 8), generator=generator).repeat(n, 1, 1))


def plain_loop(model: Module, batches: Sequence[Tensor]) -> list[float]:
    """Return the losses of the library's own updates, in float32."""
    optimizer = make_adamw(model, learning_rate=LR, weight_decay=WEIGHT_DECAY, betas=BETAS)
    return [train_step(model, optimizer, batch, clip_norm=CLIP).loss.item() for batch in batches]


# What is compared


def test_ours_has_the_loss_curve_of_the_librarys_own_updates() -> None:
    expected = plain_loop(a_model(), some_batches())
    assert expected[-1] < expected[0] - 0.1, "nothing is learned, so nothing is compared"
    update = ours(a_model(), CPU, "float32", compile=False)
    assert curve(update, some_batches()) == pytest.approx(expected, rel=1e-5)


def test_each_candidate_begins_with_the_same_weights() -> None:
    model = a_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    curves = [curve(ours(model, CPU, "float32", compile=False), some_batches(3)) for _ in range(2)]
    assert curves[0] == curves[1]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name


def test_in_bf16_it_is_near_and_not_the_same() -> None:
    exact, rounded = (
        curve(ours(a_model(), CPU, precision, compile=False), some_batches(5))
        for precision in ("float32", "bf16")
    )
    apart = max(abs(a - b) for a, b in zip(exact, rounded, strict=True))
    assert 1e-5 < apart < training.AGREE["bf16"]


def said_by(name: str) -> list[Any]:
    """Return what a candidate's process says before it is told to work and when it is, once."""
    tell, told = multiprocessing.Pipe()
    for go in (True, False):
        tell.send(go)
    work_alone(told, name, TINY, None)
    said = []
    while tell.poll():
        said.append(tell.recv())
    return said


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize(
    "other",
    ["TransformerEncoder", pytest.param("Hugging Face", marks=pytest.mark.slow)],  # to import it
)
def test_another_library_trains_the_same_model_on_the_same_tokens(other: str) -> None:
    curves = {}
    for name in ("ours, float32, uncompiled", other):
        losses, until_ready, once = said_by(name)
        assert len(losses) == training.CURVE
        assert until_ready > 0
        assert once > 0
        curves[name] = losses
    check_curves(curves, CPU)


@pytest.mark.parametrize(
    ("name", "apart", "taken"),
    [
        ("Hugging Face", 1e-3, True),
        ("Hugging Face", 3e-3, False),
        ("Hugging Face", -3e-3, False),
        ("ours, float32, uncompiled", 3e-3, False),
        ("ours", 2e-2, True),  # bf16 on a processor that is fast at it
        ("ours, uncompiled", 2e-2, True),
        ("ours", 4e-2, False),
        ("ours, uncompiled", -4e-2, False),
    ],
)
def test_curves_that_disagree_are_refused(name: str, apart: float, taken: bool) -> None:
    reference = [4.0, 3.5, 3.25, 3.0, 2.75]
    for place in range(5):
        losses = [loss + apart * (number == place) for number, loss in enumerate(reference)]
        curves = {name: losses, "ours, float32": reference}
        if taken:
            check_curves(curves, CPU)
            continue
        with pytest.raises(SystemExit, match=f"{name} does not train as ours does"):
            check_curves(curves, CPU)


def test_what_learns_from_other_weights_is_refused() -> None:
    def of(model: GPT) -> list[float]:
        return curve(ours(model, CPU, "float32", compile=False), some_batches(5))

    other = a_model()
    with torch.no_grad():
        other.get_parameter("blocks.1.mlp.W_in")[3] += 0.3
    curves = {"ours, float32": of(a_model()), "TransformerEncoder": of(a_model())}
    check_curves(curves, CPU)
    with pytest.raises(SystemExit, match="TransformerEncoder does not train"):
        check_curves(curves | {"TransformerEncoder": of(other)}, CPU)


def test_without_ours_in_float32_the_first_is_what_the_others_are_compared_with() -> None:
    with pytest.raises(SystemExit, match="second does not train"):
        check_curves({"first": [1.0, 2.0], "second": [1.0, 2.1]}, CPU)
    with pytest.raises(SystemExit, match="second does not train"):
        check_curves({"first": [1.0, 2.0], "second": [1.0, math.nan]}, CPU)


# How it counts


class Processes:
    """In place of multiprocessing: processes whose every word is known, and what they are told."""

    def __init__(self, seconds: dict[str, list[float]], *, odd: str = "") -> None:
        self.seconds, self.odd, self.told = seconds, odd, list[str]()

    def Pipe(self) -> tuple[Any, Any]:  # noqa: N802
        words: Iterator[Any] = iter(())
        name = ""

        def begin(who: str) -> None:
            nonlocal name, words
            losses = [2.0, 1.5 if who == self.odd else 1.0]
            name, words = who, iter([losses, 0.0, *self.seconds[who]])

        def hear(go: bool) -> None:
            if go:
                self.told.append(name)

        tell = SimpleNamespace(send=hear, recv=lambda: next(words))
        return tell, SimpleNamespace(begin=begin, close=lambda: None)

    def Process(  # noqa: N802
        self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool
    ) -> Any:
        told, name = args[:2]
        return SimpleNamespace(start=lambda: told.begin(name))


@pytest.mark.usefixtures("_tiny")
def test_a_ratio_is_of_speeds_within_a_round_and_above_1_where_ours_takes_less_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {
        "ours": [1.0, 2.0, 8.0],
        "ours, float32": [4.0, 4.0, 4.0],
        "Hugging Face": [2.0, 6.0, 4.0],
        "TransformerEncoder": [4.0, 4.0, 8.0],
    }
    processes = Processes(taken)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: processes)
    rows = measure(TINY, 3, CPU, None, list(taken))

    names = list(taken)
    assert processes.told == names + names[::-1] + names, "every other round goes backwards"
    assert {row["work"] for row in rows} == {TINY}
    assert {row["unit"] for row in rows} == {"tokens/s"}
    tokens = 2 * 3 * 7  # updates, rows, forecasts of a row
    assert [
        (
            *(row[key] for key in ("candidate", "reference", "value")),
            *(row[f"ratio_{which}"] for which in ("min", "median", "max")),
        )
        for row in rows
    ] == [
        # Theirs over ours: 2/1, 6/2, 4/8 and 4/1, 4/2, 8/8.
        ("ours", "Hugging Face", tokens / 2.0, 0.5, 2.0, 3.0),
        ("ours", "TransformerEncoder", tokens / 2.0, 1.0, 2.0, 4.0),
        ("ours, float32", "Hugging Face", tokens / 4.0, 0.5, 1.0, 1.5),
        ("ours, float32", "TransformerEncoder", tokens / 4.0, 1.0, 1.0, 2.0),
    ]


@pytest.mark.usefixtures("_tiny")
def test_one_that_learns_otherwise_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes({"ours": [1.0], "Hugging Face": [2.0]}, odd="Hugging Face")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: processes)
    with pytest.raises(SystemExit, match="Hugging Face does not train as ours does"):
        measure(TINY, 1, CPU, None, ["ours", "Hugging Face"])
    assert processes.told == []


def test_gpt2_has_heads_of_64_and_of_32_where_it_is_narrow() -> None:
    for width, heads in ((128, 4), (384, 6), (768, 12)):
        config = gpt2_of(2, width, 11)
        assert (config.n_heads, config.n_heads * config.d_head) == (heads, width)
        assert config.d_mlp == 4 * width
