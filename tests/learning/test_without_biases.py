"""Classes that never have a bias, as in LLaMA and in lectures: checked as far as they go."""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, diagnosed, pasted, right_one, verdict_on
from tests.learning.test_free_hand import ATTENTION
from transformer.learning.diagnosing.diagnosis import Diagnosis

LLAMAS_ATTENTION = right_one("attention_llama")
LIST_OF_HEADS = right_one("attention_lecture")
LLAMAS_MLP = right_one("mlp_llama")
LAYER_NORM = right_one("norm_without_bias")
WHOLE = {
    "llama's attention": ("attention", LLAMAS_ATTENTION, "Attention with b_Q, b_K, b_V, b_O"),
    "a list of heads": ("attention", LIST_OF_HEADS, "Attention with b_Q, b_K, b_V"),
    "llama's mlp": ("mlp", LLAMAS_MLP, "GatedMLP with b_in, b_gate, b_out"),
    "a matrix": ("linear", right_one("linear_without_bias"), "Linear with b"),
}


@pytest.mark.parametrize(("name", "source", "lacking"), WHOLE.values(), ids=WHOLE)
def test_it_is_told_a_layout_and_is_right_with_it_but_for_its_biases(
    name: str, source: str, lacking: str, tmp_path: Path
) -> None:
    found = diagnosed(name, pasted(name, source, tmp_path), tmp_path)
    assert found.right
    assert not found.wrong
    assert f"{lacking}: not written yet" in found.missing


def test_its_tests_are_said_to_wait_where_all_of_them_have_biases(tmp_path: Path) -> None:
    no_output_bias = changed(
        ATTENTION,
        [
            ("causal=True, bias=True,", "causal=True,"),
            (" if bias else None", ""),
            ("        self.b_O = nn.Parameter(torch.zeros(d_model))\n", ""),
            ("        if self.b_O is not None:\n            out = out + self.b_O\n", ""),
        ],
    )
    verdict = verdict_on("attention", no_output_bias, tmp_path)
    assert verdict.status == "unfinished"
    assert "Attention with b_O: not written yet" in verdict.missing
    assert verdict.headline.endswith("as they should; its tests wait for what is not written yet")


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
        ("attention", LIST_OF_HEADS, [(" * self.key.out_features**-0.5", "")], "scale-missing"),
        ("mlp", LLAMAS_MLP, [("silu(self.w1(x)) *", "silu(self.w1(x)) +")], "gated-mlp-added"),
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


def test_keys_without_a_bias_beside_others_with_one_are_told_a_layout_too(tmp_path: Path) -> None:
    whispers = changed(
        LLAMAS_ATTENTION,
        [
            ("causal: bool = True)", "causal: bool = True, bias: bool = True)"),
            ("q_proj = nn.Linear(d_model, n_heads * d_head, bias=False)",
             "q_proj = nn.Linear(d_model, n_heads * d_head, bias=bias)"),
            ("v_proj = nn.Linear(d_model, n_heads * d_head, bias=False)",
             "v_proj = nn.Linear(d_model, n_heads * d_head, bias=bias)"),
            ("(n_heads * d_head, d_model, bias=False)", "(n_heads * d_head, d_model, bias=bias)"),
        ],
    )  # fmt: skip
    found = diagnosed("attention", pasted("attention", whispers, tmp_path), tmp_path)
    assert "causal, one head, no biases" in found.right
    assert not found.wrong, "a bias of the keys moves every score of a query alike"


def test_a_class_that_takes_any_keyword_is_no_other(tmp_path: Path) -> None:
    source = changed(
        LLAMAS_MLP, [("d_mlp: int) -> None", "d_mlp: int, **ignored: object) -> None")]
    )
    found = diagnosed("mlp", pasted("mlp", source, tmp_path), tmp_path)
    assert "GatedMLP with b_in, b_gate, b_out: not written yet" in found.missing
    assert "GatedMLP without biases" in found.right


def test_a_forgotten_matrix_is_no_missing_bias(tmp_path: Path) -> None:
    wrong = changed(
        LLAMAS_ATTENTION,
        [("        self.o_proj = nn.Linear(n_heads * d_head, d_model, bias=False)\n", "")],
    )
    verdict = verdict_on("attention", wrong, tmp_path)
    assert verdict.status == "layout"
    assert "W_O (n_heads d_head d_model) is missing" in verdict.headline
