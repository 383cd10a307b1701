"""Compiled updates: the same curve, only where it pays, and none where nothing can compile."""

import logging
import shutil

import pytest
import torch

from transformer.config import PRESETS, TransformerConfig
from transformer.models.cost import flops_per_token
from transformer.models.gpt import GPT
from transformer.training.config import TrainConfig
from transformer.training.machine.compiling import compiled, is_worth_compiling
from transformer.training.optimizer import make_adamw
from transformer.training.step import train_step

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)


def test_the_default_run_does_not_compile_and_twice_as_long_a_one_does() -> None:
    config = TrainConfig()
    assert config.max_steps is not None
    tokens = config.max_steps * config.rows_per_step * config.model.n_ctx
    flops = tokens * flops_per_token(GPT(PRESETS["shakespeare-cpu"]))
    assert not is_worth_compiling(CPU, flops)
    assert is_worth_compiling(CPU, 2 * flops)
    assert not is_worth_compiling(torch.device("mps"), 1e30)


@pytest.mark.house
def test_without_a_compiler_the_model_itself_is_used_and_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*args: object, **kwargs: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(torch, "compile", fails)
    model, said = GPT(CONFIG), list[str]()
    assert compiled(model, CPU, said.append) is model
    assert len(said) == 1
    assert "No working C++ compiler found" in said[0]
    assert "\n" not in said[0]


@pytest.mark.house
def test_on_a_cpu_nothing_is_said_of_cuda(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compiles(what: object, **_: object) -> object:
        logging.getLogger("torch.utils.cpp_extension").warning("No CUDA runtime is found")
        logging.getLogger("torch.utils.cpp_extension").warning("of the compiler")
        return what

    monkeypatch.setattr(torch, "compile", compiles)
    compiled(GPT(CONFIG), CPU)
    assert {record.message for record in caplog.records} == {"of the compiler"}


@pytest.mark.slow
@pytest.mark.house
@pytest.mark.skipif(shutil.which("g++") is None, reason="nothing compiles without g++")
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_the_compiled_model_has_the_same_loss_curve() -> None:
    curves, said = [], list[str]()
    for compiles in (False, True):
        torch.manual_seed(0)
        model = GPT(CONFIG)
        optimizer = make_adamw(model, learning_rate=0.01, weight_decay=0.1, betas=(0.9, 0.99))
        fast = compiled(model, CPU, said.append) if compiles else model
        tokens = torch.randint(13, (5, 7), generator=torch.Generator().manual_seed(0))
        curves.append([train_step(fast, optimizer, tokens, clip_norm=1.0).loss for _ in range(5)])
    assert not said
    torch.testing.assert_close(curves[1], curves[0], rtol=1e-4, atol=1e-4)
    assert curves[0][-1] < curves[0][0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_the_compiled_model_has_the_same_loss_curve_on_cuda() -> None:
    device = torch.device("cuda")
    model = GPT(CONFIG).to(device)
    tokens = torch.randint(13, (5, 7), device=device)
    torch.testing.assert_close(compiled(model, device)(tokens), model(tokens))
