"""What a constructor puts into the parameters: mistakes are named, and conventions are right."""

from pathlib import Path

import pytest
import torch
from torch.nn import Linear, Module, Parameter

from tests.learning.by_hand import changed, diagnosed, said, verdict_on
from transformer.learning.checking.suite import folder
from transformer.learning.diagnosing import matching
from transformer.learning.exercises import exercise
from transformer.learning.own.beginning import beginning, unfilled_memory_is_nan
from transformer.learning.own.implementation import for_exercise, load
from transformer.learning.own.layout import behind

ATTENTION = """
class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True, bias=True):
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        width = n_heads * d_head
        self.q_proj = nn.Linear(d_model, width, bias=bias)
        self.k_proj = nn.Linear(d_model, width, bias=bias)
        self.v_proj = nn.Linear(d_model, width, bias=bias)
        self.o_proj = nn.Linear(width, d_model, bias=bias)
        # more

    def forward(self, x, mask=None):
        q, k, v = (
            one(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for one in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            earlier = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
            scores = scores.masked_fill(~earlier, -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        z = scores.softmax(-1).nan_to_num() @ v
        return self.o_proj(z.transpose(1, 2).flatten(2))

LAYOUT = {
    "Attention": {
        "q_proj.weight": "W_Q: (n_heads d_head) d_model", "q_proj.bias": "b_Q: (n_heads d_head)",
        "k_proj.weight": "W_K: (n_heads d_head) d_model", "k_proj.bias": "b_K: (n_heads d_head)",
        "v_proj.weight": "W_V: (n_heads d_head) d_model", "v_proj.bias": "b_V: (n_heads d_head)",
        "o_proj.weight": "W_O: d_model (n_heads d_head)", "o_proj.bias": "b_O: d_model",
    }
}
"""
EVERY = """
        for name, p in self.named_parameters():
            if p.ndim > 1:
                {}
            else:
                nn.init.zeros_(p)
"""


@pytest.mark.parametrize(
    "init",
    [
        "",
        EVERY.format("nn.init.normal_(p, std=0.02)"),
        EVERY.format("nn.init.trunc_normal_(p, std=0.1, a=-0.3, b=0.3)"),
        EVERY.format("nn.init.xavier_uniform_(p)"),
        EVERY.format("nn.init.xavier_normal_(p)"),
        EVERY.format("nn.init.kaiming_normal_(p, nonlinearity='relu')"),
        EVERY.format("nn.init.orthogonal_(p)"),
        EVERY.format("nn.init.normal_(p, std=(2 / 5 / d_model) ** 0.5)"),
        "nn.init.zeros_(self.o_proj.weight)",
        "nn.init.zeros_(self.q_proj.weight)",
        "nn.init.eye_(self.v_proj.weight)",
        "for p in self.parameters(): p.data.mul_(0.1)",
        # as `clones` of the Annotated Transformer makes them
        "self.k_proj.load_state_dict(self.q_proj.state_dict())",
    ],
)
def test_a_usual_beginning_is_right(init: str, tmp_path: Path) -> None:
    source = changed(ATTENTION, [("# more", init)])
    found = diagnosed("attention", source, tmp_path)
    assert not found.wrong, found.evidence
    assert "the parameters of a new Attention" in found.right


@pytest.mark.parametrize(
    ("init", "named", "figure"),
    [
        (EVERY.format("p.data = torch.empty(p.shape)"), "unfilled", "W_Q, W_K, W_V, W_O, expected"),
        (EVERY.format("p.data = torch.Tensor(*p.shape)"), "unfilled", "expected none"),
        (EVERY.format("nn.init.ones_(p)"), "alike", "W_Q, W_K, W_V, W_O: 1, expected none"),
        (EVERY.format("nn.init.zeros_(p)"), "with-zeros", "W_Q, W_K, W_V, W_O: 0"),
        (EVERY.format("nn.init.uniform_(p)"), "positive", " to 1, expected none"),
        (EVERY.format("nn.init.normal_(p)"), "as-large-as-one", "W_Q, W_K, W_V, W_O: -"),
        ("nn.init.normal_(self.k_proj.weight)", "as-large-as-one", "yours gives W_K: -"),
        ("nn.init.ones_(self.v_proj.weight)", "alike", "yours gives W_V: 1, expected none"),
    ],
)
def test_a_beginning_that_cannot_be_meant_has_a_name(
    init: str, named: str, figure: str, tmp_path: Path
) -> None:
    verdict = verdict_on("attention", changed(ATTENTION, [("# more", init)]), tmp_path)
    assert verdict.named == (f"attention-begins-{named}",)
    assert figure in said(verdict)


def test_biases_of_ones_have_one_too(tmp_path: Path) -> None:
    ones = [("# more", "for n, p in self.named_parameters():\n            "
             "nn.init.ones_(p) if 'bias' in n else None")]  # fmt: skip
    verdict = verdict_on("attention", changed(ATTENTION, ones), tmp_path)
    assert verdict.named == ("attention-biases-begin-as-large-as-one",)
    assert "yours gives b_Q, b_K, b_V, b_O: 1, expected none" in said(verdict)


def test_it_does_not_hide_another_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PAIRS_SECONDS", 60.0)  # on a busy machine 3 may be too few
    both = [("# more", EVERY.format("nn.init.normal_(p)")), (" / math.sqrt(q.shape[-1])", "")]
    verdict = verdict_on("attention", changed(ATTENTION, both), tmp_path)
    assert set(verdict.named) == {"attention-begins-as-large-as-one", "attention-scale-missing"}


NORM = """
class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight

LAYOUT = {"RMSNorm": {"weight": "scale: d_model"}}
"""


@pytest.mark.parametrize(
    ("scale", "named"),
    [
        ("torch.zeros(d_model)", "norm-scale-begins-at-zero"),
        ("torch.randn(d_model)", "norm-scale-begins-random"),
        ("torch.rand(d_model)", "norm-scale-begins-random"),
        ("torch.empty(d_model)", "norm-begins-unfilled"),
    ],
)
def test_a_gain_begins_as_ones(scale: str, named: str, tmp_path: Path) -> None:
    wrong = changed(NORM, [("torch.ones(d_model)", scale)])
    assert verdict_on("norm", wrong, tmp_path).named == (named,)


EMBEDDING = """
class Embedding(nn.Module):
    def __init__(self, d_vocab, d_model):
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(d_vocab, d_model))

    def forward(self, tokens):
        return self.W_E[tokens]

class Unembedding(nn.Module):
    def __init__(self, d_model, d_vocab):
        super().__init__()
        self.W_U = nn.Parameter(torch.zeros(d_model, d_vocab))

    def forward(self, resid):
        return resid @ self.W_U
"""


def test_embeddings_as_torch_has_them_and_an_unembedding_of_zeros_are_right(tmp_path: Path) -> None:
    found = diagnosed("embedding", EMBEDDING, tmp_path)
    assert not found.wrong
    ones = changed(EMBEDDING, [("torch.zeros", "torch.ones")])
    assert verdict_on("embedding", ones, tmp_path).named == ("unembedding-begins-alike",)


@pytest.mark.parametrize("file", ["fused_qkv", "flat_layout", "list_of_heads", "llama", "lecture"])
def test_behind_our_names_a_new_module_is_still_the_learners_own(file: str) -> None:
    place = f"{folder()}/tests/learning/correct/attention_{file}.py"
    names = load(place)
    ours = for_exercise(exercise("attention"), names).Attention(d_model=10, n_heads=5, d_head=3)
    [theirs] = behind(ours)
    x = torch.randn(2, 7, 10)
    assert theirs(x).std() > 0.01
    torch.testing.assert_close(ours(x), theirs(x))


class Two(Module):
    """Two matrices of an MLP, and a bias of torch's."""

    def __init__(self, W_in: float, b: float) -> None:
        super().__init__()
        self.W_in = Parameter(torch.full((37, 41), W_in))
        self.W_out = Parameter(torch.zeros(41, 37))
        self.b_in = Parameter(torch.full((41,), b))


@pytest.mark.parametrize(("b", "idle"), [(0.0, "W_in, W_out: 0"), (0.1, "none")])
def test_zeros_wait_for_each_other_only_where_no_bias_moves_them(b: float, idle: str) -> None:
    found = beginning(lambda: Two(0.0, b))
    assert repr(found["zeros in two matrices that wait for each other"]) == idle
    assert not any(these.any for fault, these in found.items() if "wait" not in fault)


@pytest.mark.parametrize("before", [True, False])
def test_what_is_unfilled_is_nan_there_and_settings_are_as_before(before: bool) -> None:
    torch._C._set_deterministic_algorithms(before, warn_only=False)
    try:
        with unfilled_memory_is_nan():
            assert torch.empty(5).isnan().all()
            assert not Linear(3, 5).weight.isnan().any()
        with pytest.raises(IndexError):
            beginning(lambda: [Linear(3, 5)][1])
        assert torch.are_deterministic_algorithms_enabled() == before
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch._C._set_deterministic_algorithms(False, warn_only=False)
