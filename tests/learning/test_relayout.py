"""A layout declared with the axes in another order than the code has them in."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, said, verdict_on
from transformer.learning.diagnosing import matching, relayout
from transformer.learning.diagnosing.other_layout import OTHER_LAYOUT

FUSED = """
class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True, bias=True):
        super().__init__()
        self.n_heads, self.d_head, self.causal = n_heads, d_head, causal
        self.c_attn = nn.Linear(d_model, 3 * n_heads * d_head, bias)
        self.c_proj = nn.Linear(n_heads * d_head, d_model, bias)

    def forward(self, x, mask=None):
        batch, pos, _ = x.shape
        q, k, v = self.c_attn(x).split(self.n_heads * self.d_head, dim=2)
        q, k, v = (y.view(batch, pos, self.n_heads, self.d_head).transpose(1, 2) for y in (q, k, v))
        scores = q @ k.mT / math.sqrt(self.d_head)
        if self.causal:
            scores = scores.masked_fill(torch.ones(pos, pos).tril() == 0, -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        z = scores.softmax(-1) @ v
        return self.c_proj(z.transpose(1, 2).reshape(batch, pos, -1))

LAYOUT = {"Attention": {
    "c_attn.weight": "W_Q W_K W_V: (qkv n_heads d_head) d_model",
    "c_attn.bias": "b_Q b_K b_V: (qkv n_heads d_head)",
    "c_proj.weight": "W_O: d_model (n_heads d_head)",
    "c_proj.bias": "b_O: d_model",
}}
"""
PLAIN = FUSED.partition("\nLAYOUT")[0]
SPLIT = "q, k, v = self.c_attn(x).split(self.n_heads * self.d_head, dim=2)"
VIEW = "y.view(batch, pos, self.n_heads, self.d_head).transpose(1, 2)"
GATED = """
class GatedMLP(nn.Module):
    def __init__(self, d_model, d_mlp):
        super().__init__()
        self.a = nn.Linear(d_model, d_mlp, bias=False)
        self.b = nn.Linear(d_model, d_mlp, bias=False)
        self.c = nn.Linear(d_mlp, d_model, bias=False)

    def forward(self, x):
        return self.c(F.silu(self.b(x)) * self.a(x))

LAYOUT = {"GatedMLP": {
    "a.weight": "W_gate: d_mlp d_model",
    "b.weight": "W_in: d_mlp d_model",
    "c.weight": "W_out: d_model d_mlp",
}}
"""


@pytest.fixture
def _no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether two mistakes of the bank come to the same is a search of seconds, and not asked here.
    monkeypatch.setattr(matching, "PAIRS_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("name", "source", "changes", "has"),
    [
        ("attention", FUSED, [("q, k, v = self.c_attn(x)", "v, k, q = self.c_attn(x)")],
         '"W_V W_K W_Q: (qkv n_heads d_head) d_model"'),
        ("attention", FUSED, [(VIEW, "y.view(batch, pos, self.d_head, -1).permute(0, 3, 1, 2)")],
         '"W_Q W_K W_V: (qkv d_head n_heads) d_model"'),
        ("attention", FUSED,
         [(SPLIT, "q, k, v = self.c_attn(x).view(batch, pos, -1, 3, self.d_head).unbind(3)"),
          (VIEW, "y.transpose(1, 2)")],
         '"W_Q W_K W_V: (n_heads qkv d_head) d_model"'),
    ],
    ids=["v, k, q", "every n-th column", "head after head"],
)  # fmt: skip
def test_what_is_right_in_another_order_is_told_it_and_is_right_with_it(
    name: str, source: str, changes: list[tuple[str, str]], has: str, tmp_path: Path
) -> None:
    wrong = changed(source, changes)
    verdict = verdict_on(name, wrong, tmp_path)
    assert verdict.status == "wrong"
    assert verdict.headline == OTHER_LAYOUT
    assert f"your code has {has}" in said(verdict)
    [declared] = [line for line in verdict.explanation if line.startswith("LAYOUT")]
    found = diagnosed(name, f"{wrong}\n{declared}\n", tmp_path)
    assert found.right
    assert not found.wrong


APART = (
    PLAIN
    + """
LAYOUT = {"Attention": {
    "c_attn.weight": "W_Q W_K W_V: qkv (n_heads d_head) d_model",
    "c_attn.bias": "b_Q b_K b_V: qkv (n_heads d_head)",
    "c_proj.weight": "W_O: d_model (n_heads d_head)",
    "c_proj.bias": "b_O: d_model",
}}
"""
)
TO_STACK = [
    ("self.c_attn = nn.Linear(d_model, 3 * n_heads * d_head, bias)",
     "self.c_attn = nn.Bilinear(1, 1, 1)\n"
     "        self.c_attn.weight = nn.Parameter(torch.zeros(3, n_heads * d_head, d_model))\n"
     "        self.c_attn.bias = nn.Parameter(torch.zeros(3, n_heads * d_head)) if bias else None"),
    (SPLIT, "q, k, v = (x @ w.mT + (0 if self.c_attn.bias is None else self.c_attn.bias[i])\n"
     "                   for i, w in enumerate(self.c_attn.weight))"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "has"),
    [
        ((VIEW, "y.view(batch, pos, self.d_head, -1).permute(0, 3, 1, 2)"),
         '"W_Q W_K W_V: qkv (d_head n_heads) d_model"'),
        (("z.transpose(1, 2).reshape", "z.permute(0, 2, 3, 1).reshape"),
         '"W_O: d_model (d_head n_heads)"'),
    ],
    ids=["split", "merged"],
)  # fmt: skip
def test_heads_may_be_split_in_one_order_and_merged_in_another(
    change: tuple[str, str], has: str, tmp_path: Path
) -> None:
    """As einops writes it: (d h) for (h d) on one side alone."""
    verdict = verdict_on("attention", changed(APART, [*TO_STACK, change]), tmp_path)
    assert verdict.headline == OTHER_LAYOUT
    assert f"your code has {has}" in said(verdict)


def test_no_two_mistakes_are_looked_for_where_a_layout_is_reason_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_pair", lambda *_: pytest.fail("pairs were looked for"))
    wrong = changed(FUSED, [("q, k, v = self.c_attn(x)", "v, k, q = self.c_attn(x)")])
    assert verdict_on("attention", wrong, tmp_path).headline == OTHER_LAYOUT


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("return self.c_proj(z", "return self.drop(self.c_proj(z"), ("-1))", "-1)))")],
         "Dropout falls on"),
        ([("scores.softmax(-1) @", "self.drop(self.drop(scores.softmax(-1))) @")],
         "is right as far as it goes, but for"),
    ],
    ids=["a known mistake", "none of the known ones"],
)  # fmt: skip
def test_what_is_wrong_besides_the_layout_is_said_at_once(
    changes: list[tuple[str, str]], told: str, tmp_path: Path
) -> None:
    wrong = changed(
        FUSED,
        [
            ("q, k, v = self.c_attn(x)", "v, k, q = self.c_attn(x)"),
            ("bias=True):", "bias=True, dropout=0.0):"),
            ("self.c_attn = nn", "self.drop = nn.Dropout(dropout)\n        self.c_attn = nn"),
            *changes,
        ],
    )
    verdict = verdict_on("attention", wrong, tmp_path)
    assert verdict.status == "wrong"
    assert verdict.headline.startswith(OTHER_LAYOUT)
    assert 'your code has "W_V W_K W_Q: (qkv n_heads d_head) d_model"' in said(verdict)
    assert "With that layout: " in said(verdict)
    assert told in said(verdict)
    assert "in training, drop" in said(verdict)


@pytest.mark.usefixtures("_no_pairs")
@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        (" / math.sqrt(self.d_head)", "", "attention-scale-missing"),
        ("scores.softmax(-1)", "scores.softmax(2)", "attention-softmax-over-queries"),
    ],
)
def test_a_mistake_beside_another_layout_is_named_with_it(
    right: str, wrong: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayout, "SECONDS", 60.0)
    orders = [
        (SPLIT, "q, k, v = self.c_attn(x).view(batch, pos, -1, 3, self.d_head).unbind(3)"),
        (VIEW, "y.transpose(1, 2)"),
    ]
    verdict = verdict_on("attention", changed(FUSED, [*orders, (right, wrong)]), tmp_path)
    assert verdict.status == "wrong"
    assert verdict.headline == f"{OTHER_LAYOUT}, but for one thing more"
    assert '"W_Q W_K W_V: (n_heads qkv d_head) d_model"' in said(verdict)
    assert verdict.named == (name,)


def test_a_mistake_that_may_be_a_layout_declared_wrongly_is_told_so(tmp_path: Path) -> None:
    verdict = verdict_on("mlp", GATED, tmp_path)
    assert verdict.named == ("gated-mlp-value-activated",)
    assert f"Or else {OTHER_LAYOUT}" in said(verdict)
    assert 'a.weight is declared as "W_gate: d_mlp d_model"; your code has "W_in' in said(verdict)


@pytest.mark.usefixtures("_no_pairs")
def test_what_is_wrong_in_every_order_is_told_no_other(tmp_path: Path) -> None:
    wrong = changed(FUSED, [("-1) @ v", "-1) @ (v + v.flip(2))")])
    verdict = verdict_on("attention", wrong, tmp_path)
    assert verdict.status == "wrong"
    assert OTHER_LAYOUT not in said(verdict)


@pytest.mark.usefixtures("_no_pairs")
def test_a_class_that_is_slow_to_make_costs_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = changed(FUSED, [("q, k, v = self.c_attn(x)", "v, k, q = self.c_attn(x)")])
    monkeypatch.setattr(relayout, "SECONDS", -1.0)
    verdict = verdict_on("attention", wrong, tmp_path)
    assert verdict.status == "wrong"
    assert OTHER_LAYOUT not in said(verdict)


def test_each_layout_is_tried_once() -> None:
    layout = {
        "c_attn.weight": "W_Q W_K W_V: (qkv n_heads d_head) d_model",
        "c_proj.bias": "b_O: d_model",
    }
    others = [*relayout.others(layout)]
    assert len({str(one) for one in others}) == len(others) == 6 * 6 - 1
    assert layout not in others
