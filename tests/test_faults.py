"""Deliberate faults, a line each: for every one some test of its file must fail.

The first eleven passed the whole suite of an earlier test-driven transformer.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from transformer.learning.checking.suite import WITHOUT_PLUGINS

ROOT = Path(__file__).parents[1]
# A fifth of each run's time would go into plugins: these two are named in pyproject.toml.
PLUGINS = (*WITHOUT_PLUGINS, "-p", "xdist.plugin", "-p", "jaxtyping._pytest_plugin")


class Fault(NamedTuple):
    """What is done to which file, and the tests that must notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


def component(name: str, file: str, right: str, wrong: str) -> Fault:
    """A fault that the component's own mirrored test file must catch."""
    return Fault(name, f"components/{file}.py", right, wrong, f"components/test_{file}.py")


FAULTS = [
    component("scores are not scaled", "attention", " / math.sqrt(q.shape[-1])", ""),
    component(
        "heads are scrambled on merging",
        "attention",
        "out = einsum(z,",
        "out = einsum(z.mT.reshape(z.shape),",
    ),
    component(
        "W_O of the first head serves all",
        "attention",
        "out = einsum(z, W_O,",
        "out = einsum(z, W_O[:1].expand_as(W_O),",
    ),
    component(
        "K is used as V", "attention", "project(source, self.W_V,", "project(source, self.W_K,"
    ),
    component(
        "the norm before attention is dropped",
        "block",
        "self.attention(self.norm_attention(resid_pre),",
        "self.attention(resid_pre,",
    ),
    component(
        "the MLP reads resid_pre",
        "block",
        "self.mlp(self.norm_mlp(resid_mid))",
        "self.mlp(self.norm_mlp(resid_pre))",
    ),
    component("the MLP has no activation", "mlp", "hidden = self.activation(", "hidden = ("),
    component(
        "a bias is left out",
        "attention",
        "project(x, self.W_Q, self.b_Q)",
        "project(x, self.W_Q, None)",
    ),
    Fault(
        "positions are never added",
        "models/gpt.py",
        "resid = resid + self.position(positions)",
        "self.position(positions)",
        "models/test_gpt.py",
    ),
    Fault(
        "one block serves as all layers",
        "models/gpt.py",
        "build_block(config, parts, causal=True) for _ in range(config.n_layers)",
        "[build_block(config, parts, causal=True)] * config.n_layers",
        "models/test_gpt.py",
    ),
    Fault(
        "gradients are never zeroed",
        "training/step.py",
        "    optimizer.zero_grad()\n",
        "",
        "training/test_step.py",
    ),
    component(
        "the two norms are swapped",
        "block",
        "self.mlp(self.norm_mlp(resid_mid))",
        "self.mlp(self.norm_attention(resid_mid))",
    ),
    component(
        "the loss is normalised over positions",
        "loss",
        "log_softmax(at_least_float32(logits))",
        "log_softmax(at_least_float32(logits), dim=-2)",
    ),
    component(
        "the target is the input itself, unshifted",
        "loss",
        "cross_entropy(logits[:, :n], tokens[:, 1:],",
        "cross_entropy(logits[:, :n], tokens[:, :-1],",
    ),
    component("masked scores are -30, not minus infinity", "attention", "-torch.inf", "-30.0"),
    component(
        "the causal mask lets one later key through",
        "mask",
        "keys <= queries[:, None]",
        "keys <= queries[:, None] + 1",
    ),
    component(
        "the softmax runs over the query axis",
        "attention",
        "pattern = softmax(scores)",
        "pattern = softmax(scores, dim=-2)",
    ),
    component(
        "epsilon stands outside the root",
        "norm",
        "torch.rsqrt(variance + eps)",
        "(torch.rsqrt(variance) + eps)",
    ),
    component(
        "the variance divides by n - 1",
        "norm",
        "variance = (centred * centred).mean(-1, keepdim=True)",
        "variance = wide.var(-1, keepdim=True)",
    ),
    component(
        "GELU's tanh form has another constant",
        "activations",
        "0.044715 * x * x * x",
        "0.04 * x * x * x",
    ),
    component(
        "rotary turns against itself",
        "position",
        "second * cos + first * sin",
        "second * cos - first * sin",
    ),
    component("dropout does not rescale", "dropout", "x * kept / (1.0 - p)", "x * kept"),
    component(
        "b_U is never added",
        "embedding",
        "unembed(resid, self.W_U, self.b_U)",
        "unembed(resid, self.W_U)",
    ),
    Fault(
        "residual projections start at full size",
        "models/gpt.py",
        "        scale_residual_projections(self.blocks, n_layers=config.n_layers)\n",
        "",
        "components/test_initialisation.py",
    ),
    Fault(
        "misspelt weights are left random on loading",
        "training/saved/model_files.py",
        "load_model(model, str(folder / WEIGHTS), device=str(device))",
        "load_model(model, str(folder / WEIGHTS), device=str(device), strict=False)",
        "training/test_model_files.py",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught(fault: Fault, tmp_path: Path) -> None:
    for folder in ("transformer", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = tmp_path / "transformer" / fault.file
    source = file.read_text(encoding="utf-8")
    assert source.count(fault.right) == 1, (
        f"{fault.right!r} stands {source.count(fault.right)} times in {fault.file}, not once: "
        "the code has changed, change the fault with it"
    )
    file.write_text(source.replace(fault.right, fault.wrong), encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *PLUGINS, f"tests/{fault.tests}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    # 1 is "tests failed"; a fault that breaks the import or collects nothing proves nothing.
    assert run.returncode == 1, f"no test noticed that {fault.name}:\n{run.stdout[-2000:]}"
    print(next(line for line in run.stdout.splitlines() if line.startswith("FAILED")))
