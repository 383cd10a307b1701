"""Steps of one shape for ever forecast what steps of growing shape do."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.sampling.support import tokens_of
from tests.sampling.test_texts import CONFIG, D_VOCAB, N_CTX, make
from transformer.components.static_cache import StaticKeyValueCache
from transformer.config import TransformerConfig
from transformer.sampling.packed import pack_weights
from transformer.sampling.texts import GrowingTexts

# Contract


def test_a_cache_without_memory_has_none_to_give() -> None:
    with pytest.raises(ValueError, match="append the prompt first"):
        StaticKeyValueCache(n_pos=3).whole()


# Oracle: steps that grow


def differences(config: TransformerConfig, *, packed: bool) -> list[float]:
    """How far the forecasts of the two are apart, through a row that leaves and past n_ctx."""
    model = pack_weights(make(config)) if packed else make(config)
    prompts = [tokens_of(n, D_VOCAB, n) for n in (4, 2, 3)]
    fixed, growing = (GrowingTexts(model, prompts, n_new=9, compiled=c) for c in (True, False))
    found = []
    with torch.inference_mode():
        for step in range(9):
            found.append((fixed.forecast() - growing.forecast()).abs().max().item())
            new = torch.tensor(tokens_of(len(growing.tokens), D_VOCAB, 50 + step))
            for texts in (fixed, growing):
                texts.append(new)
                if step == 2:
                    texts.select(torch.tensor([2, 0]))
    assert growing.tokens.shape[1] > N_CTX
    return found


@pytest.mark.filterwarnings("ignore:torch.compile with fullgraph=True found no compiled frames")
def test_at_every_step_the_forecasts_are_the_same() -> None:
    # Compiling is for the test below: here its functions run as they are written.
    config = replace(CONFIG, n_layers=1, position="rotary", n_kv_heads=2)
    with torch.compiler.set_stance("force_eager"):
        assert max(differences(config, packed=True)) < 1e-9


COMPILE = """
from dataclasses import replace
from tests.sampling.test_fixed_step import CONFIG, differences
config = replace(CONFIG, n_layers=1, position="rotary", n_kv_heads=2)
assert max(differences(config, packed=True)) < 1e-9
print("the same")
"""


@pytest.mark.slow
def test_compiled_without_a_break_they_are_too() -> None:
    # In a process of its own: the shape checks that are on in this one cannot be compiled.
    run = subprocess.run(
        [sys.executable, "-c", COMPILE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "the same", run.stderr[-2000:]
