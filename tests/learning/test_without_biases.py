"""Classes that never have a bias, as in LLaMA and in lectures: checked as far as they go."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, pasted, verdict_on
from transformer.learning.diagnosis import Diagnosis

LLAMAS_ATTENTION = """
class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True):
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.q_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.k_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.v_proj = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.o_proj = nn.Linear(n_heads * d_head, d_model, bias=False)

    def forward(self, x, mask=None):
        q, k, v = (one(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
                   for one in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        z = scores.softmax(-1).nan_to_num() @ v
        return self.o_proj(z.transpose(1, 2).flatten(2))
"""
# Biases in the last layer alone.
LIST_OF_HEADS = """
class Head(nn.Module):
    def __init__(self, d_model, d_head, causal):
        super().__init__()
        self.causal = causal
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT * self.key.out_features ** -0.5
        if self.causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril() == 0, -torch.inf)
        return scores.softmax(-1) @ self.value(x)

class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True):
        super().__init__()
        self.heads = nn.ModuleList([Head(d_model, d_head, causal) for _ in range(n_heads)])
        self.proj = nn.Linear(n_heads * d_head, d_model)

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))
"""
LLAMAS_MLP = """
class GatedMLP(nn.Module):
    def __init__(self, d_model, d_mlp):
        super().__init__()
        self.w1 = nn.Linear(d_model, d_mlp, bias=False)
        self.w2 = nn.Linear(d_mlp, d_model, bias=False)
        self.w3 = nn.Linear(d_model, d_mlp, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))
"""
LINEAR = """
class Linear(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in))

    def forward(self, x):
        return x @ self.weight.T
"""
SCALE = "self.scale = nn.Parameter(torch.ones(d_model))"
LAYER_NORM = f"""
class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        {SCALE}
        self.eps = eps

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.scale
"""
WHOLE = {
    "llama's attention": ("attention", LLAMAS_ATTENTION, "Attention with b_Q, b_K, b_V, b_O"),
    "a list of heads": ("attention", LIST_OF_HEADS, "Attention with b_Q, b_K, b_V"),
    "llama's mlp": ("mlp", LLAMAS_MLP, "GatedMLP with b_in, b_gate, b_out"),
    "a matrix": ("linear", LINEAR, "Linear with b"),
}


@pytest.mark.parametrize(("name", "source", "lacking"), WHOLE.values(), ids=WHOLE)
def test_it_is_told_a_layout_and_is_right_with_it_but_for_its_biases(
    name: str, source: str, lacking: str, tmp_path: Path
) -> None:
    found = diagnosed(name, pasted(name, source, tmp_path), tmp_path)
    assert found.right
    assert not found.wrong
    assert f"{lacking}: not written yet" in found.missing


def test_with_our_names_it_needs_no_layout(tmp_path: Path) -> None:
    found = diagnosed("norm", LAYER_NORM, tmp_path)
    assert len(found.right) > 10, "the experiments with a bias are made without it"
    assert not found.wrong
    assert "LayerNorm with bias: not written yet" in found.missing


def test_what_it_is_told_names_no_bias_of_ours_as_missing(tmp_path: Path) -> None:
    said = verdict_on("attention", LLAMAS_ATTENTION, tmp_path).headline
    assert "W_Q (n_heads d_model d_head) is missing" in said
    assert "b_Q" not in said


@pytest.mark.parametrize(
    ("name", "source", "changes", "mistake"),
    [
        ("attention", LLAMAS_ATTENTION, [(" / math.sqrt(q.shape[-1])", "")], "scale-missing"),
        ("attention", LLAMAS_ATTENTION, [("softmax(-1)", "softmax(-2)")], "softmax-over-queries"),
        ("attention", LIST_OF_HEADS, [(" * self.key.out_features ** -0.5", "")], "scale-missing"),
        ("mlp", LLAMAS_MLP, [("F.silu(self.w1(x)) *", "F.silu(self.w1(x)) +")], "gated-mlp-added"),
        ("norm", LAYER_NORM, [("torch.sqrt", "(torch.sqrt"), ("+ self.eps)", ") + self.eps)")],
         "layer-norm-epsilon-outside-the-root"),
    ],
)  # fmt: skip
def test_its_mistake_is_named(
    name: str, source: str, changes: list[tuple[str, str]], mistake: str, tmp_path: Path
) -> None:
    wrong = changed(source, changes)
    if name != "norm":
        wrong = pasted(name, wrong, tmp_path)
    found: Diagnosis = diagnosed(name, wrong, tmp_path)
    assert [entry.name for entry in found.named if mistake in entry.name], found


def test_a_forgotten_matrix_is_no_missing_bias(tmp_path: Path) -> None:
    wrong = changed(
        LLAMAS_ATTENTION,
        [("        self.o_proj = nn.Linear(n_heads * d_head, d_model, bias=False)\n", "")],
    )
    verdict = verdict_on("attention", wrong, tmp_path)
    assert verdict.status == "layout"
    assert "W_O (n_heads d_head d_model) is missing" in verdict.headline
