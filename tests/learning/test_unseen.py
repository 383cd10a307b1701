"""Parameters that torch does not see, and tables that it would train: each is told its mend."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, said, verdict_on

LECTURE = """
class Head(nn.Module):
    def __init__(self, d_model, d_head, causal):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)
        self.causal, self.d_head = causal, d_head

    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT / math.sqrt(self.d_head)
        if self.causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).tril() == 0, -torch.inf)
        return scores.softmax(-1) @ self.value(x)


class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True):
        super().__init__()
        self.heads = nn.ModuleList([Head(d_model, d_head, causal) for _ in range(n_heads)])
        self.proj = nn.Linear(n_heads * d_head, d_model)
        # more

    def forward(self, x):
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))

LAYOUT = {
    "Attention": {
        "heads.{n_heads}.query.weight": "W_Q: d_head d_model",
        "heads.{n_heads}.key.weight": "W_K: d_head d_model",
        "heads.{n_heads}.value.weight": "W_V: d_head d_model",
        "proj.weight": "W_O: d_model (n_heads d_head)",
        "proj.bias": "b_O: d_model",
    }
}
"""
RIGHT = "nn.ModuleList([Head(d_model, d_head, causal) for _ in range(n_heads)])"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([(RIGHT, "[Head(d_model, d_head, causal) for _ in range(n_heads)]")],
         "heads is a list of Python, into which torch does not look, so that nothing in it is "
         "trained: self.heads = ModuleList(...)"),
        ([(RIGHT, "{i: Head(d_model, d_head, causal) for i in range(n_heads)}"),
          ("in self.heads]", "in self.heads.values()]")],
         "heads is a dict of Python, into which torch does not look, so that nothing in it is "
         "trained: self.heads = ModuleDict(...)"),
        ([(RIGHT, "nn.ModuleList([Head(d_model, d_head, causal)] * n_heads)")],
         "heads.0 and heads.1 are one and the same, as [part] * n has n times the same part: make "
         "each anew, [Part(...) for _ in range(n)]"),
        ([("# more", "self.mask = nn.Parameter(torch.ones(9, 9).tril())")],
         "mask is a Parameter, so that an optimizer changes it, and it should stay as it is: "
         'self.register_buffer("mask", ...)'),
        ([("# more", "self.bias = nn.Parameter(torch.full((1, 1, 9, 9), -1e9).triu(1))")],
         "bias is a Parameter, so that an optimizer changes it"),
        ([("# more", "self.scales = [nn.Parameter(torch.ones(3))]")],
         "scales is a list of Python, into which torch does not look, so that nothing in it is "
         "trained: self.scales = ParameterList(...)"),
        ([("# more", "self.factor = torch.ones(3, requires_grad=True)")],
         "factor is a plain tensor, which neither an optimizer nor .to(device) sees: "
         "self.factor = Parameter(...)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", [True, False])
def test_what_torch_does_not_see_is_told_with_its_mend(
    changes: list[tuple[str, str]], told: str, declared: bool, tmp_path: Path
) -> None:
    source = changed(LECTURE, changes)
    if not declared:
        source = source.partition("LAYOUT")[0]
    verdict = verdict_on("attention", source, tmp_path)
    assert verdict.status == "layout"
    assert told in verdict.headline
    assert "LAYOUT" not in verdict.headline


@pytest.mark.parametrize(
    "more",
    [
        "self.mask = nn.Parameter(torch.ones(9, 9).tril(), requires_grad=False)",
        'self.register_buffer("mask", torch.ones(9, 9).tril())',
        "self.mask = torch.ones(9, 9).tril()",
        "self.parts = [self.heads, self.proj]",
        "self.activations = [nn.ReLU()]",
    ],
)
def test_tables_that_are_not_trained_and_second_names_are_right(more: str, tmp_path: Path) -> None:
    found = diagnosed("attention", changed(LECTURE, [("# more", more)]), tmp_path)
    assert found.right
    assert not found.wrong


OWN_NAMES = """
class MLP(nn.Module):
    def __init__(self, d_model, d_mlp, activation=torch.relu, bias=True):
        super().__init__()
        self.activation = activation
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) * 0.02)
        self.W_out = torch.randn(d_mlp, d_model) * 0.02
        self.b_in = nn.Parameter(torch.zeros(d_mlp)) if bias else 0.0
        self.b_out = nn.Parameter(torch.zeros(d_model)) if bias else 0.0

    def forward(self, x):
        return self.activation(x @ self.W_in + self.b_in) @ self.W_out + self.b_out
"""


def test_a_matrix_under_our_name_that_is_no_parameter_is_told_so(tmp_path: Path) -> None:
    verdict = verdict_on("mlp", OWN_NAMES, tmp_path)
    assert "W_out is a plain tensor, which neither an optimizer" in verdict.headline


SINUSOIDS = """
class SinusoidalPosition(nn.Module):
    def __init__(self, d_model, base=10000.0):
        super().__init__()
        rate = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
        angle = torch.arange(100)[:, None] * rate
        self.table = nn.Parameter(torch.stack([angle.sin(), angle.cos()], -1).flatten(1))

    def forward(self, positions):
        return self.table[positions]
"""


def test_a_table_of_sinusoids_is_no_parameter_unless_it_is_not_trained(tmp_path: Path) -> None:
    verdict = verdict_on("position", SINUSOIDS, tmp_path)
    assert 'self.register_buffer("table", ...)' in verdict.headline
    kept = changed(SINUSOIDS, [(".flatten(1))", ".flatten(1), requires_grad=False)")])
    found = diagnosed("position", kept, tmp_path)
    assert not found.wrong, said(verdict)
    assert found.right
