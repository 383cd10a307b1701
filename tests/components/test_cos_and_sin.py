"""Cosines and sines of rotary positions: the same numbers compiled, and made once."""

import subprocess
import sys

import pytest
import torch

from transformer.components.cos_and_sin import cos_and_sin
from transformer.components.position import Rotary

pytestmark = pytest.mark.house

# In a process of its own: the checks of shapes divide what is compiled into many graphs.
COUNT = """
from collections import Counter

import torch
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.partitioners import min_cut_rematerialization_partition

from transformer.components.attention import Attention
from transformer.components.position import Rotary

rotary = Rotary(d_head=22)
layers = [Attention(d_model=7, n_heads=3, d_head=22, rotary=rotary) for _ in range(3)]

def stream(x):
    for layer in layers:
        x = x + layer(x, positions=torch.arange(5).expand(2, 5))
    return x

def counted(graph, _):
    found = Counter(str(node.target) for node in graph.graph.nodes)
    wanted = ("transformer.cos_and_sin.default", "aten.cos.default", "aten.sin.default")
    print(*(found[name] for name in wanted))
    return graph

backend = aot_autograd(
    fw_compiler=counted, bw_compiler=counted, partition_fn=min_cut_rematerialization_partition
)
torch.compile(stream, backend=backend)(torch.randn(2, 5, 7, requires_grad=True)).sum().backward()
"""


def test_they_are_the_cosine_and_the_sine() -> None:
    angle = torch.randn(5, 7, dtype=torch.float64)
    cos, sin = cos_and_sin(angle)
    assert torch.equal(cos, angle.cos())
    assert torch.equal(sin, angle.sin())


@pytest.mark.slow
def test_compiled_they_are_made_once_for_all_layers_and_their_gradient() -> None:
    out = subprocess.run([sys.executable, "-c", COUNT], stdout=subprocess.PIPE, check=True).stdout
    assert out.decode().splitlines() == ["1 0 0", "0 0 0"]  # forward, backward


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_compiled_the_rotation_is_the_plain_one() -> None:
    rotary = Rotary(d_head=22)
    x = torch.randn(2, 5, 3, 22, dtype=torch.float64)
    positions = torch.tensor([[0, 3, 1000, 2, 7], [5, 4, 3, 2, 1]])
    compiled = torch.compile(rotary, backend="aot_eager")
    torch.testing.assert_close(compiled(x, positions), rotary(x, positions))
