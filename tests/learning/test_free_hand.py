"""Wrong files as a learner writes them from scratch, each with the name or the words it must get.

The bank's own entries are edits of our source, one deviation each. Who begins with an empty file
writes no validation, heeds no optional argument, and may be wrong twice.
"""

from pathlib import Path

import pytest

from tests.learning.by_hand import changed, checked, diagnosed, pasted, said, verdict_on
from transformer.components.attention import Attention
from transformer.learning.checking.worker import check
from transformer.learning.diagnosing import matching
from transformer.learning.exercises import exercise
from transformer.learning.own.arrangement import guessed, shapes_of


@pytest.fixture
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    # The search for pairs has an end, which on a busy machine may come too soon.
    monkeypatch.setattr(matching, "PAIRS_SECONDS", 60.0)


# Attention

ATTENTION = """
class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True, bias=True, dropout=0.0):
        super().__init__()
        self.d_model, self.n_heads, self.d_head = d_model, n_heads, d_head
        self.causal = causal
        self.W_Q = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_K = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_V = nn.Parameter(torch.randn(n_heads, d_model, d_head) * 0.02)
        self.W_O = nn.Parameter(torch.randn(n_heads, d_head, d_model) * 0.02)
        self.b_Q = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_K = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_V = nn.Parameter(torch.zeros(n_heads, d_head)) if bias else None
        self.b_O = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.dropout = nn.Dropout(dropout)

    def heads(self, x, W, b):
        y = torch.stack([x @ W[i] for i in range(self.n_heads)], dim=1)
        return y if b is None else y + b[:, None]

    def forward(self, x, mask=None):
        batch, n, _ = x.shape
        q = self.heads(x, self.W_Q, self.b_Q)
        k = self.heads(x, self.W_K, self.b_K)
        v = self.heads(x, self.W_V, self.b_V)
        scores = q @ k.transpose(2, 3) / math.sqrt(self.d_head)
        if self.causal:
            earlier = torch.tril(torch.ones(n, n))
            scores = scores.masked_fill(earlier == 0, float("-inf"))
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        pattern = torch.softmax(scores, dim=-1)
        z = self.dropout(pattern) @ v
        z = z.transpose(1, 2).reshape(batch, n, -1)
        out = z @ self.W_O.reshape(-1, self.d_model)
        if self.b_O is not None:
            out = out + self.b_O
        return out
"""
SWAPPED = [("(x, self.W_Q", "(x, other"), ("(x, self.W_K", "(x, self.W_Q"),
           ("(x, other", "(x, self.W_K")]  # fmt: skip


SWAPPED_WITH_BIASES = [*SWAPPED, ("self.b_Q)\n", "other)\n"), ("self.b_K)\n", "self.b_Q)\n"),
                       ("other)\n", "self.b_K)\n")]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ([("torch.tril", "torch.triu")], "causal-upside-down"),
        ([("earlier == 0", "earlier == 1")], "causal-inverted"),
        ([("torch.ones(n, n))", "torch.ones(n, n), -1)"), ('float("-inf")', "-1e9")],
         "causal-hides-itself"),
        ([('float("-inf")', "0.0")], "mask-zeroes-scores"),
        ([("math.sqrt(self.d_head)", "math.sqrt(self.d_model)")], "scale-of-d-model"),
        ([(" / math.sqrt(self.d_head)", ""),
          ("scores, dim=-1)", "scores, dim=-1) / math.sqrt(self.d_head)")],
         "scale-after-the-softmax"),
        ([("self.dropout(pattern)", "pattern"), ("return out", "return self.dropout(out)")],
         "dropout-on-the-output"),
        (SWAPPED, "query-and-key-matrices-exchanged"),
        (SWAPPED_WITH_BIASES, "queries-and-keys-exchanged"),
        ([("z.transpose(1, 2).reshape", "z.reshape")], "heads-merged-by-reshape"),
        ([("return out", "return out + x")], "residual-inside"),
        ([("self.W_V, self.b_V", "self.W_V, None")], "value-bias-dropped"),
        ([("self.dropout(pattern) @ v", "self.dropout(pattern).sum(-1, keepdim=True) * v")],
         "values-of-the-query-itself"),
        ([('earlier == 0, float("-inf")', "earlier == 0, 0.0")], "causal-mask-zeroes-scores"),
        ([('scores.masked_fill(earlier == 0, float("-inf"))', "scores * earlier")],
         "causal-mask-zeroes-scores"),
        ([('scores = scores.masked_fill(earlier == 0, float("-inf"))', "pass"),
          ("z = self.d", "if self.causal: pattern = pattern * earlier\n        z = self.d")],
         "causal-mask-after-softmax"),
        ([('float("-inf")', "-1e4")], "mask-minus-ten-thousand"),
        ([('float("-inf")', "-1e5")], "mask-minus-hundred-thousand"),
        ([("(~mask, float", "(~mask.transpose(2, 3), float")], "given-mask-hides-queries"),
        ([('scores.masked_fill(~mask, float("-inf"))', "scores + mask")], "given-mask-added"),
        ([("(pattern) @ v", "(pattern) @ v / n")], "mean-over-keys"),
        ([("torch.softmax", "torch.log_softmax")], "log-softmax"),
    ],
)  # fmt: skip
def test_an_attention_of_ones_own_is_told_its_mistake(
    changes: list[tuple[str, str]], name: str, tmp_path: Path
) -> None:
    wrong = changed(ATTENTION, changes)
    assert verdict_on("attention", wrong, tmp_path).named == (f"attention-{name}",)


def test_the_attention_that_the_wrong_ones_are_made_of_is_right(tmp_path: Path) -> None:
    found = diagnosed("attention", ATTENTION, tmp_path)
    assert not found.wrong
    assert found.right


def test_an_inverted_mask_is_named_and_shown_by_what_is_read_through_it(tmp_path: Path) -> None:
    verdict = verdict_on("attention", changed(ATTENTION, [("(~mask", "(mask")]), tmp_path)
    assert verdict.named == ("attention-given-mask-inverted",)
    assert "the last two 1.00, 1.00, 1.00, 1.00, 1.00: True means may look" in said(verdict)


# Layer norm

LAYER_NORM = """
class LayerNorm(nn.Module):
    def __init__(self, d_model, bias=True, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        y = (x - mean) / torch.sqrt(var + self.eps)
        return y * self.scale if self.bias is None else y * self.scale + self.bias
"""
RMS_NORM = """
class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return x / torch.sqrt(x.pow(2).mean(1, keepdim=True) + self.eps) * self.scale
"""


@pytest.mark.usefixtures("_no_hurry")
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ([("(-1,", "(1,")], {"layer-norm-over-the-second-axis"}),
        ([("torch.sqrt(var + self.eps)", "(var + self.eps)")], {"layer-norm-divides-by-variance"}),
        ([("return y * self.scale if", "return y if"), ("y * self.scale + self.bias", "y")],
         {"layer-norm-scale-and-bias-dropped"}),
        ([("torch.sqrt(var + self.eps)", "(torch.sqrt(var) + self.eps)"), (", unbiased=False", "")],
         {"layer-norm-epsilon-outside-the-root", "layer-norm-unbiased-variance"}),
        ([("(-1,", "(1,"), (", unbiased=False", "")],
         {"layer-norm-over-the-second-axis", "layer-norm-unbiased-variance"}),
        ([("/ torch.sqrt(var + self.eps)", "* (torch.rsqrt(var) + self.eps)")],
         {"layer-norm-epsilon-added-to-the-inverse-root"}),
        ([("mean = x.mean(-1, keepdim=True)", "mean = x.mean()")],
         {"layer-norm-mean-over-everything"}),
        ([("var = x.var(-1, keepdim=True, unbiased=False)", "var = x.var(unbiased=False)")],
         {"layer-norm-variance-of-everything"}),
        ([("mean = x.mean(-1, keepdim=True)", "mean = x.mean()"),
          ("x.var(-1, keepdim=True, unbiased=False)", "((x - mean) ** 2).mean(-1, keepdim=True)")],
         {"layer-norm-squares-about-the-mean-of-everything"}),
        ([("x.var(-1, keepdim=True, unbiased=False)", "((x - mean) ** 2).mean()")],
         {"layer-norm-one-mean-of-the-squares"}),
        ([("x.var(-1, keepdim=True, unbiased=False)", "x.var(-1, unbiased=False)")],
         {"layer-norm-axis-of-the-variance-not-kept"}),
        ([("x.var(-1, keepdim=True, unbiased=False)", "((x - mean) ** 2).mean(-1)")],
         {"layer-norm-axis-of-the-variance-not-kept"}),
        ([("x.var(-1, keepdim=True, unbiased=False)", "x.var(-1)")],
         {"layer-norm-axis-of-the-variance-not-kept", "layer-norm-unbiased-variance"}),
        ([("x.mean(-1, keepdim=True)", "x.mean(-1)")], {"layer-norm-axis-of-the-mean-not-kept"}),
    ],
)  # fmt: skip
def test_a_layer_norm_of_ones_own_is_told_its_mistakes(
    changes: list[tuple[str, str]], named: set[str], tmp_path: Path
) -> None:
    assert set(verdict_on("norm", changed(LAYER_NORM, changes), tmp_path).named) == named


def test_an_rms_norm_along_axis_1_is_told_it(tmp_path: Path) -> None:
    assert verdict_on("norm", RMS_NORM, tmp_path).named == ("rms-norm-over-the-second-axis",)


@pytest.mark.parametrize(("back", "named"), [(".to(before)", ()), ("", ("rms-norm-dtype-lost",))])
def test_a_norm_in_float32_is_to_return_what_it_was_given(
    back: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    changes = [
        ("return x /", "before, x = x.dtype, x.float()\n        return (x /"),
        ("(1, keepdim", "(-1, keepdim"),
        ("* self.scale", f"* self.scale){back}"),
    ]
    assert diagnosed("norm", changed(RMS_NORM, changes), tmp_path).wrong == (
        ("RMSNorm in bfloat16 keeps the dtype",) if named else ()
    )
    assert verdict_on("norm", changed(RMS_NORM, changes), tmp_path).named == named


@pytest.mark.usefixtures("_no_hurry")
def test_of_two_wrong_classes_the_two_mistakes_of_the_first_are_named(tmp_path: Path) -> None:
    both = [
        (", unbiased=False", ""),
        ("y * self.scale if", "y if"),
        ("y * self.scale + self.bias", "y"),
    ]
    verdict = verdict_on("norm", changed(LAYER_NORM, both) + RMS_NORM, tmp_path)
    assert set(verdict.named) == {
        "layer-norm-scale-and-bias-dropped",
        "layer-norm-unbiased-variance",
    }
    assert "as with these two; mend them, and ask again" in said(verdict)


@pytest.mark.usefixtures("_no_hurry")
def test_two_mistakes_are_told_one_after_the_other_each_with_its_hint(tmp_path: Path) -> None:
    wrong = LAYER_NORM.replace("torch.sqrt(var + self.eps)", "(torch.sqrt(var) + self.eps)")
    verdict = verdict_on("norm", wrong.replace(", unbiased=False", ""), tmp_path)
    assert verdict.headline == "2 mistakes at once"
    first, second, *rest = verdict.explanation
    assert first.startswith("1. LayerNorm adds epsilon to the standard deviation")
    assert first.endswith(
        "Try: Take a vector of variance 1 and epsilon 3. What should the divisor be?"
    )
    assert second.startswith("2. LayerNorm's variance divides by n - 1 and not by n.")
    assert second.endswith("Try: Take (1, 5). The variance should be 4; is yours 8?")
    assert "all as with these two" in rest[-1]


# Loss

LOSS = """
def next_token_loss(logits, tokens, real=None):
    V = logits.shape[-1]
    return F.cross_entropy({logits}.reshape(-1, V), {tokens}.reshape(-1))
"""


@pytest.mark.parametrize(
    ("logits", "tokens", "name"),
    [
        ("logits", "tokens", "loss-not-shifted"),
        ("logits[:, :-1]", "tokens[:, :-1]", "loss-not-shifted-without-the-last"),
        ("logits[:, 1:]", "tokens[:, :-1]", "loss-shifted-backwards"),
        ("logits[:, :-2]", "tokens[:, 2:]", "loss-shifted-twice"),
        ("logits", "tokens.roll(-1, 1)", "loss-rolled"),
    ],
)
def test_a_shift_is_named_though_padding_and_shorter_logits_are_not_heeded(
    logits: str, tokens: str, name: str, tmp_path: Path
) -> None:
    verdict = verdict_on("loss", LOSS.format(logits=logits, tokens=tokens), tmp_path)
    assert verdict.named == (name,)
    assert "Wrong as well, for another reason: next_token_loss with padding;" in said(verdict)


def test_a_loss_that_is_right_but_for_padding_is_told_just_that(tmp_path: Path) -> None:
    right = LOSS.format(logits="logits[:, : tokens.shape[1] - 1]", tokens="tokens[:, 1:]")
    odd = changed(right, [("return ", "return (1.0 if real is None else 1.37) * ")])
    verdict = verdict_on("loss", odd, tmp_path)
    assert not verdict.named
    assert verdict.headline == (
        "next_token_loss is right as far as it goes, but for: next_token_loss with padding; "
        "next_token_loss padded on the left"
    )
    assert verdict.hint.startswith("Take it step by step: begin with the first experiment")


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("logits.shape", "loss-softmax-over-the-batch"),
        ("(-1, logits.shape[-1])", "loss-softmax-over-all-places"),
    ],
)
def test_a_logsumexp_along_axis_0_is_told(shape: str, name: str, tmp_path: Path) -> None:
    source = f"""
def cross_entropy(logits, targets, counted=None):
    flat = logits.reshape({shape})
    log_probs = (flat - flat.logsumexp(0, keepdim=True)).reshape(logits.shape)
    surprise = -log_probs.gather(-1, targets[..., None])[..., 0]
    return surprise.mean() if counted is None else surprise[counted].mean()
"""
    assert verdict_on("loss", source, tmp_path).named == (name,)


@pytest.mark.parametrize(
    ("log_sum", "name"),
    [
        ("(logits - most).exp().sum(-1).log()", "loss-largest-logit-not-added-back"),
        ("most[..., 0] + (logits - most).exp().mean(-1).log()", "loss-mean-of-exponentials"),
    ],
)
def test_a_logsumexp_of_ones_own_is_told_its_mistake(
    log_sum: str, name: str, tmp_path: Path
) -> None:
    source = f"""
def cross_entropy(logits, targets, counted=None):
    most = logits.max(-1, keepdim=True).values
    surprise = {log_sum} - logits.gather(-1, targets[..., None])[..., 0]
    return surprise.mean() if counted is None else surprise[counted].mean()
"""
    assert verdict_on("loss", source, tmp_path).named == (name,)


def test_an_argument_that_is_not_taken_is_not_written_yet(tmp_path: Path) -> None:
    right = LOSS.format(logits="logits[:, : tokens.shape[1] - 1]", tokens="tokens[:, 1:]")
    found = diagnosed("loss", right.replace(", real=None", ""), tmp_path)
    assert "next_token_loss with real: not written yet" in "; ".join(found.missing)
    assert found.right
    assert not found.wrong


def test_a_softmax_too_many_is_named_though_nothing_else_is_heeded(tmp_path: Path) -> None:
    source = """
def cross_entropy(logits, targets, counted=None):
    p = torch.softmax(logits, dim=-1)
    return F.cross_entropy(p.flatten(0, -2), targets.flatten())

def next_token_loss(logits, tokens, real=None):
    return cross_entropy(logits[:, :-1], tokens[:, 1:])
"""
    assert verdict_on("loss", source, tmp_path).named == ("loss-softmax-twice",)


# Filters: functions only, and no validation

FILTERS = """
def apply_temperature(logits, temperature):
    if temperature == 0:
        raise ValueError("the temperature is 0")
    return logits * temperature

def keep_top_k(logits, k):
    values, _ = torch.topk(logits, k)
    return logits.masked_fill(logits < values[:, -1:], 0.0)

def keep_top_p(logits, p):
    ordered, order = torch.sort(logits, descending=True)
    dropped = torch.softmax(ordered, -1).cumsum(-1) > p
    return logits.masked_fill(dropped, 0.0)
"""


def test_of_three_wrong_functions_the_first_is_named_and_what_it_takes_besides(
    tmp_path: Path,
) -> None:
    verdict = verdict_on("filters", FILTERS, tmp_path)
    assert verdict.named == ("temperature-multiplies",)
    assert "Wrong as well, for another reason: temperature -1.0 is refused\n" in said(verdict)
    assert "those of the first wrong function as with this mistake; mend it" in said(verdict)


@pytest.mark.usefixtures("_no_hurry")
def test_what_is_not_refused_is_named_and_so_is_what_is_wrong_besides(tmp_path: Path) -> None:
    source = "def apply_temperature(logits, temperature):\n    return logits / temperature\n"
    assert verdict_on("filters", source, tmp_path).named == ("temperature-negative-taken",)
    verdict = verdict_on("filters", source.replace("/", "*"), tmp_path)
    assert verdict.named == ("temperature-multiplies", "temperature-negative-taken")


TOP_K = """
def keep_top_k(logits, k):
    smallest = torch.topk(logits, min(k, logits.shape[-1])).values[:, -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))
"""


FILTERS_OF_TORCH = """
def apply_temperature(logits, temperature):
    if temperature <= 0:
        raise ValueError("the temperature must be above 0")
    return logits / temperature

def keep_top_k(logits, k):
    if k < 1:
        raise ValueError("k must be at least 1")
    values = torch.topk(logits, min(k, logits.shape[-1])).values
    return logits.masked_fill(logits < values[:, -1:], -torch.inf)

def keep_top_p(logits, p):
    if not 0 < p <= 1:
        raise ValueError("p must be above 0 and at most 1")
    ordered, order = torch.sort(logits, descending=True)
    dropped = (torch.softmax(ordered, -1).cumsum(-1) > p).roll(1, -1)
    dropped[:, 0] = False
    return logits.masked_fill(dropped.gather(-1, order.argsort(-1)), -torch.inf)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("logits / temperature", "F.softmax(logits / temperature, -1)",
         "temperature-gives-probabilities"),
        ("values[:, -1:]", "values[:, :1]", "top-k-threshold-of-the-largest"),
        ("    dropped[:, 0] = False\n", "", "top-p-flags-rolled"),
    ],
)  # fmt: skip
def test_a_filter_of_torchs_is_told_its_mistake(
    right: str, wrong: str, name: str, tmp_path: Path
) -> None:
    source = changed(FILTERS_OF_TORCH, [(right, wrong)])
    assert verdict_on("filters", source, tmp_path).named == (name,)


def test_an_embedding_times_its_width_is_one_mistake_and_not_two(tmp_path: Path) -> None:
    source = """
class Embedding(nn.Module):
    def __init__(self, d_vocab, d_model):
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(d_vocab, d_model))

    def forward(self, tokens):
        return self.W_E[tokens] * self.W_E.shape[1]
"""
    assert verdict_on("embedding", source, tmp_path).named == ("embedding-scaled-by-d-model",)


def test_what_is_right_without_validation_is_told_only_that(tmp_path: Path) -> None:
    verdict = verdict_on("filters", TOP_K, tmp_path)
    assert (
        verdict.headline == "keep_top_k is right as far as it goes, but for: top-k of 0 is refused"
    )


def test_what_is_plainly_wrong_comes_before_what_is_not_refused(tmp_path: Path) -> None:
    source = (
        TOP_K
        + """
def keep_top_p(logits, p):
    return 1.37 * logits
"""
    )
    verdict = verdict_on("filters", source, tmp_path)
    assert verdict.headline == "keep_top_p is wrong; it is none of the known mistakes"
    assert "top-k of 0" not in verdict.explanation[0] + verdict.hint
    assert "top-k of 0 is refused" in said(verdict)


def test_ties_are_named_though_no_k_is_refused(tmp_path: Path) -> None:
    source = """
def keep_top_k(logits, k):
    values, ids = torch.topk(logits, k)
    return torch.full_like(logits, float("-inf")).scatter(-1, ids, values)
"""
    assert verdict_on("filters", source, tmp_path).named == ("top-k-ties-dropped",)


# Adam, positions, the MLP: a mistake each

ADAMW = """
def adamw_update(parameter, gradient, first_moment, second_moment, *,
                 step, lr, beta1, beta2, eps, weight_decay):
    {before}
    m = beta1 * first_moment + (1 - beta1) * gradient
    v = beta2 * second_moment + (1 - beta2) * gradient**2
    m_hat, v_hat = {corrected}
    p = parameter * (1 - {decay}) - lr * m_hat / (v_hat.sqrt() + eps)
    return p, m, v
"""
CORRECTED = "m / (1 - beta1**step), v / (1 - beta2**step)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "corrected", "decay", "name"),
    [
        ("gradient = gradient + weight_decay * parameter", CORRECTED, "0",
         "adam-l2-for-decoupled-decay"),
        ("", "m, v", "lr * weight_decay", "adam-no-bias-correction"),
        ("", CORRECTED, "weight_decay", "adam-decay-without-learning-rate"),
    ],
)  # fmt: skip
def test_an_update_of_ones_own_is_told_its_mistake(
    before: str, corrected: str, decay: str, name: str, tmp_path: Path
) -> None:
    source = ADAMW.format(before=before, corrected=corrected, decay=decay)
    assert verdict_on("adamw", source, tmp_path).named == (name,)


@pytest.mark.parametrize(
    ("last", "name"),
    [
        ("parameter * (1 - lr * weight_decay) + lr * u", "adam-uphill"),
        ("parameter + lr * (u + weight_decay * parameter)", "adam-uphill-with-its-decay"),
    ],
)
def test_a_step_uphill_is_told_with_what_becomes_of_the_decay(
    last: str, name: str, tmp_path: Path
) -> None:
    source = ADAMW.format(before="", corrected=CORRECTED, decay="0")
    after = f"\n    u = m_hat / (v_hat.sqrt() + eps)\n    p = {last}\n    return p, m, v"
    wrong = changed(source, [("\n    return p, m, v", after)])
    assert verdict_on("adamw", wrong, tmp_path).named == (name,)


@pytest.mark.usefixtures("_no_hurry")
@pytest.mark.parametrize(
    ("divisor", "name"),
    [
        ("(v_hat + eps).sqrt()", "adam-epsilon-inside-the-root"),
        ("v_hat.sqrt()", "adam-no-epsilon"),
        ("(v_hat + eps)", "adam-no-root"),
    ],
)
def test_an_epsilon_and_a_decay_that_are_both_wrong_are_both_named(
    divisor: str, name: str, tmp_path: Path
) -> None:
    source = ADAMW.format(before="", corrected=CORRECTED, decay="0")
    after = "\n    p = p * (1 - lr * weight_decay)\n    return p, m, v"
    wrong = changed(source, [("(v_hat.sqrt() + eps)", divisor), ("\n    return p, m, v", after)])
    named = verdict_on("adamw", wrong, tmp_path).named
    assert set(named) == {name, "adam-decay-of-the-updated-parameter"}


CLIPPING = """
def clip_gradients(parameters, max_norm):
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(sum((g**2).sum() for g in grads))
    if norm > max_norm:
        for g in grads:
            g.mul_(max_norm / (norm + 1e-6))
"""


@pytest.mark.usefixtures("_no_hurry")
@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([], set()),
        ([("torch.sqrt(sum((g**2).sum() for g in grads))", "sum((g**2).sum() for g in grads)")],
         {"clipping-norm-without-root"}),
    ],
    ids=["alone", "with another"],
)  # fmt: skip
def test_clipping_that_returns_nothing_is_told_that(
    changes: list[tuple[str, str]], names: set[str], tmp_path: Path
) -> None:
    verdict = verdict_on("optimizer", changed(CLIPPING, changes), tmp_path)
    assert set(verdict.named) == {"clipping-norm-not-returned", *names}


def test_sines_beside_cosines_are_told_apart_from_halves(tmp_path: Path) -> None:
    source = """
class SinusoidalPosition(nn.Module):
    def __init__(self, d_model, base=10000.0):
        super().__init__()
        self.d_model, self.base = d_model, base

    def forward(self, positions):
        i = torch.arange(0, self.d_model, 2, dtype=torch.float64)
        angle = positions[..., None] / self.base ** (i / self.d_model)
        return torch.cat([angle.sin(), angle.cos()], -1)
"""
    assert verdict_on("position", source, tmp_path).named == ("sinusoid-halves",)


OWN_MLP = """
class MLP(nn.Module):
    def __init__(self, d_model, d_mlp, bias=True):
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) * 0.02)
        self.W_out = nn.Parameter(torch.randn(d_mlp, d_model) * 0.02)
        self.b_in = nn.Parameter(torch.zeros(d_mlp)) if bias else 0
        self.b_out = nn.Parameter(torch.zeros(d_model)) if bias else 0

    def forward(self, x):
        pre = torch.einsum("bpd,dm->bpm", x, self.W_in) + self.b_in
        return torch.einsum("bpm,md->bpd", {hidden}, self.W_out) + self.b_out
"""
OWN_GATED_MLP = """
class GatedMLP(nn.Module):
    def __init__(self, d_model, d_mlp):
        super().__init__()
        self.w1 = nn.Linear(d_model, d_mlp, bias=False)
        self.w2 = nn.Linear(d_mlp, d_model, bias=False)
        self.w3 = nn.Linear(d_model, d_mlp, bias=False)

    def forward(self, x):
        pre = self.w1(x)
        return self.w2({hidden} * self.w3(x))

LAYOUT = {{"GatedMLP": {{"w1.weight": "W_gate: d_mlp d_model", "w3.weight": "W_in: d_mlp d_model",
                       "w2.weight": "W_out: d_model d_mlp"}}}}
"""


@pytest.mark.parametrize(
    ("source", "hidden", "name"),
    [
        (OWN_MLP, "F.silu(pre)", "mlp-activation-always-silu"),
        (OWN_MLP, "pre * torch.sigmoid(1.702 * pre)", "mlp-activation-always-quick-gelu"),
        (OWN_MLP, "torch.sigmoid(pre)", "mlp-activation-always-sigmoid"),
        (OWN_MLP, "torch.tanh(pre)", "mlp-activation-always-tanh"),
        (OWN_GATED_MLP, "F.gelu(pre)", "gated-mlp-activation-always-gelu"),
    ],
)
def test_another_activation_in_the_mlp_is_told(
    source: str, hidden: str, name: str, tmp_path: Path
) -> None:
    assert verdict_on("mlp", source.format(hidden=hidden), tmp_path).named == (name,)


ROTATE = """
def rotate(x, positions, base=10000.0):
    half = x.shape[-1] // 2
    pair = torch.arange(half, dtype=torch.float64)
    angle = torch.outer(positions.flatten().double(), base ** (-pair / half))
    angle = torch.cat([angle, angle], -1).view(*positions.shape, 1, -1)
    x1, x2 = x.chunk(2, -1)
    return (x * angle.cos() + torch.cat([-x2, x1], -1) * angle.sin()).to(x.dtype)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("[-x2, x1]", "[x2, x1]", "rotary-adds-in-both-halves"),
        ("[-x2, x1]", "[-x1, x2]", "rotary-each-half-with-itself"),
        ("x1, x2 = x.chunk(2, -1)", "x2, x1 = x.chunk(2, -1); x = torch.cat([x1, x2], -1)",
         "rotary-halves-taken-in-the-other-order"),
        ("return (", "return torch.roll(", "rotary-halves-put-back-in-the-other-order"),
    ],
)  # fmt: skip
def test_halves_that_are_exchanged_are_told(
    right: str, wrong: str, name: str, tmp_path: Path
) -> None:
    source = changed(ROTATE, [(right, wrong)])
    if "roll" in wrong:
        source = changed(source, [("* angle.sin())", "* angle.sin(), half, -1)")])
    assert verdict_on("position", source, tmp_path).named == (name,)


def test_a_softmax_without_dim_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    source = "def log_softmax(x):\n    return x - x.logsumexp(-1, True)\n"
    found = diagnosed("softmax", source, tmp_path)
    assert found.right
    assert not found.wrong
    assert any("log_softmax with dim: not written yet" in line for line in found.missing)


# Parameters in another way than ours


def test_a_copy_of_a_tied_matrix_is_told_that_it_is_one(tmp_path: Path) -> None:
    source = """
class TiedUnembedding(nn.Module):
    def __init__(self, W_E, bias=False):
        super().__init__()
        self.W_U = nn.Parameter(W_E.T.clone())
        self.b_U = nn.Parameter(torch.zeros(len(W_E))) if bias else None

    def forward(self, x):
        y = x @ self.W_U
        return y if self.b_U is None else y + self.b_U
"""
    verdict = verdict_on("embedding", source, tmp_path)
    assert "TiedUnembedding must hold the very Parameter W_E that it is given" in verdict.headline
    layout = 'LAYOUT = {"TiedUnembedding": {"W_U": "W_E: d_model d_vocab", "b_U": "b_U: d_vocab"}}'
    declared = verdict_on("embedding", source + layout, tmp_path)
    assert declared.headline == verdict.headline


def test_the_tied_matrix_itself_may_have_another_name(tmp_path: Path) -> None:
    source = """
LAYOUT = {"TiedUnembedding": {"weight": "W_E: d_vocab d_model", "b_U": "b_U: d_vocab"}}

class TiedUnembedding(nn.Module):
    def __init__(self, W_E, bias=False):
        super().__init__()
        self.weight = W_E
        self.b_U = nn.Parameter(torch.zeros(len(W_E))) if bias else None

    def forward(self, x):
        y = x @ self.weight.T
        return y if self.b_U is None else y + self.b_U
"""
    found = diagnosed("embedding", source, tmp_path)
    assert found.right
    assert not found.wrong


UNASKED = """
class Unembedding(nn.Module):
    def __init__(self, d_model, d_vocab, bias=True):
        super().__init__()
        self.W_U = nn.Parameter(torch.randn(d_model, d_vocab) * 0.02)
        self.b_U = nn.Parameter(torch.zeros(d_vocab))

    def forward(self, x):
        return x @ self.W_U + self.b_U
"""


def test_a_bias_that_was_declined_is_told_so(tmp_path: Path) -> None:
    said = "Unembedding has {0} even with bias=False; made so it should have none: self.{0} = "
    assert verdict_on("embedding", UNASKED, tmp_path).headline.startswith(said.format("b_U"))
    layout = 'LAYOUT = {"Unembedding": {"W_U": "W_U: d_model d_vocab", "offset": "b_U: d_vocab"}}'
    declared = verdict_on("embedding", UNASKED.replace("b_U", "offset") + layout, tmp_path)
    assert declared.headline.startswith(said.format("offset"))


def test_gamma_and_beta_are_told_a_layout_that_can_be_pasted(tmp_path: Path) -> None:
    source = LAYER_NORM.replace("self.scale", "self.gamma").replace("self.bias", "self.beta")
    gamma = "        self.gamma = nn.Parameter(torch.ones(d_model))\n"
    beta = "        self.beta = nn.Parameter(torch.zeros(d_model)) if bias else None\n"
    source = changed(source, [(gamma + beta, beta + gamma)])  # the name decides, not the place
    verdict = verdict_on("norm", source, tmp_path)
    assert 'beta (10,) is not one of ours; it may be "bias: d_model"' in verdict.headline
    found = diagnosed("norm", pasted("norm", source, tmp_path), tmp_path)
    assert found.right
    assert not found.wrong


def test_a_gated_mlp_of_torchs_layers_is_told_a_layout_and_passes_with_it(tmp_path: Path) -> None:
    source = """
class GatedMLP(nn.Module):
    def __init__(self, d_model, d_mlp, activation=F.silu, bias=False):
        super().__init__()
        self.activation = activation
        self.gate = nn.Linear(d_model, d_mlp, bias=bias)
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)

    def forward(self, x):
        return self.down(self.activation(self.gate(x)) * self.up(x))
"""
    source = pasted("mlp", source, tmp_path)
    assert '"gate.bias": "b_gate: d_mlp"' in source
    assert '"up.weight": "W_in: d_mlp d_model"' in source
    found = diagnosed("mlp", source, tmp_path)
    assert found.right
    assert not found.wrong


TORCHS_ATTENTION = """
class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head, causal=True, bias=True):
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.q, self.k, self.v = (nn.Linear(d_model, n_heads * d_head, bias) for _ in range(3))
        self.o = nn.Linear(n_heads * d_head, d_model, bias)

    def forward(self, x, mask=None):
        q, k, v = (one(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
                   for one in (self.q, self.k, self.v))
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        z = scores.softmax(-1).nan_to_num() @ v
        return self.o(z.transpose(1, 2).flatten(2))
"""


def test_attention_of_torchs_layers_is_told_a_layout_and_passes_with_it(tmp_path: Path) -> None:
    source = pasted("attention", TORCHS_ATTENTION, tmp_path)
    assert '"o.weight": "W_O: d_model (n_heads d_head)"' in source
    assert '"q.bias": "b_Q: (n_heads d_head)"' in source
    found = diagnosed("attention", source, tmp_path)
    assert found.right
    assert not found.wrong


@pytest.mark.parametrize("name", ["out_proj", "c_proj", "proj", "wo", "o_proj", "to_out.0", "fc"])
def test_what_others_call_the_output_is_known_wherever_it_stands(name: str) -> None:
    wanted = shapes_of(Attention(d_model=11, n_heads=5, d_head=7))
    others = {f"linears.{i}.weight": (35, 11) for i in range(3)}
    sizes = {"d_model": 11, "n_heads": 5, "d_head": 7}
    found = {f"{name}.weight": (11, 35), **others, f"{name}.bias": (11,)}
    guesses = guessed(wanted, found, sizes)
    assert guesses[f"{name}.weight"] == "W_O: d_model (n_heads d_head)"
    assert guesses["linears.0.weight"] == "W_Q: (n_heads d_head) d_model"
    fused = guessed(wanted, {f"{name}.weight": (11, 35), "in_proj_weight": (105, 11)}, sizes)
    assert fused["in_proj_weight"] == "W_Q W_K W_V: (qkv n_heads d_head) d_model"


def test_a_projection_that_says_of_what_is_that(tmp_path: Path) -> None:
    llamas = [("self.q", "self.q_proj"), ("self.k", "self.k_proj"), ("self.v", "self.v_proj")]
    source = changed(TORCHS_ATTENTION, [*llamas, ("self.o", "self.o_proj")])
    source = pasted("attention", source, tmp_path)
    assert '"v_proj.weight": "W_V: (n_heads d_head) d_model"' in source
    assert '"o_proj.weight": "W_O: d_model (n_heads d_head)"' in source


def test_names_as_long_as_they_come_are_not_broken_in_two(tmp_path: Path) -> None:
    source = TORCHS_ATTENTION.replace(
        "self.o", "self.projection_of_all_the_heads_back_to_the_stream"
    )
    assert diagnosed("attention", pasted("attention", source, tmp_path), tmp_path).right


def test_a_second_layout_keeps_the_first(tmp_path: Path) -> None:
    source = """
class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5, bias=True):
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.beta = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta, self.eps)


class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.gamma, self.eps)
"""
    source = pasted("norm", pasted("norm", source, tmp_path), tmp_path)
    found = diagnosed("norm", source, tmp_path)
    assert found.right
    assert not found.wrong


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ('[("Linear", "W: d_out d_in")]', "LAYOUT must be"),
        ('{"Linear": "W: d_out d_in"}', "got 'W: d_out d_in' for Linear"),
        ('{"Linear": {"weight": ["W", "d_out d_in"]}}', "'weight': ['W', 'd_out d_in'] for Linear"),
        ('{"Linear": {"weight": "X: d_out d_in"}}', "makes weight of X"),
        ('{"Linear": {"weight": "W: d_out d_model"}}', "those of W are d_in d_out"),
        ('{"Linear": {"bias": "b: d_out"}}', "says nothing of weight"),
    ],
)
def test_a_declaration_that_is_none_is_told_what_is_wrong_with_it(
    layout: str, told: str, tmp_path: Path
) -> None:
    source = f"""
class Linear(nn.Module):
    def __init__(self, d_in, d_out, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in) * 0.02)
        self.bias = nn.Parameter(torch.zeros(d_out)) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

LAYOUT = {layout}
"""
    verdict = verdict_on("linear", source, tmp_path)
    assert verdict.status == "layout"
    assert told in verdict.headline


def test_a_layout_is_declared_for_our_name_of_a_class_that_has_two(tmp_path: Path) -> None:
    source = TORCHS_ATTENTION.replace("class Attention", "class MultiHeadAttention")
    source = pasted("attention", source + "\nAttention = MultiHeadAttention\n", tmp_path)
    assert '\n    "Attention": {' in source
    assert diagnosed("attention", source, tmp_path).right


# Another name than the one that is looked for


def test_a_class_of_another_name_is_told_which_is_looked_for(tmp_path: Path) -> None:
    source = ATTENTION.replace("class Attention", "class MultiHeadAttention")
    verdict = verdict_on("attention", source, tmp_path)
    assert verdict.status == "not written"
    assert "what is there is MultiHeadAttention; looked for is project, " in verdict.headline
    assert verdict.headline.endswith(
        "Is MultiHeadAttention meant to be Attention? Then give it that name"
    )


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("norm", "def layernorm(): ...", "layernorm meant to be layer_norm"),
        ("norm", "class Layernorm: ...", "Layernorm meant to be LayerNorm"),
        ("softmax", "def my_log_softmax(): ...", "my_log_softmax meant to be log_softmax"),
        ("attention", "def attention_score(): ...", "attention_score meant to be attention_scores"),
        ("embedding", "class Embed: ...", "Embed meant to be Embedding"),
        ("position", "class PosEmbed: ...", "PosEmbed meant to be LearnedPosition"),
        ("loss", "def smoothed_cross_entropy(): ...", None),
        ("decoder_block", "class PreNormBlock: ...", None),
    ],
)
def test_a_function_is_not_taken_for_a_class_nor_what_is_right_elsewhere_for_this(
    name: str, written: str, meant: str | None, tmp_path: Path
) -> None:
    headline = verdict_on(name, written, tmp_path).headline
    assert headline.startswith("not found: what is there is ")
    if meant is None:
        assert "meant to be" not in headline
    else:
        assert headline.endswith(f"Is {meant}? Then give it that name")


def test_of_a_module_that_python_finds_it_is_said_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "by_another_name.py").write_text("class MultiHeadAttention: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    verdict = check(exercise("attention"), "by_another_name", lambda *_, **__: None)
    assert "what is there is MultiHeadAttention" in verdict.headline


def test_in_a_folder_the_file_of_the_exercise_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "linear.py").write_text("class Linear: pass\n")
    (tmp_path / "norm.py").write_text("class Layernorm: pass\ndef _helper(): pass\n")
    assert "exercise start softmax" in checked("softmax", tmp_path).headline
    headline = checked("norm", tmp_path).headline
    assert headline.startswith("not found: what is there is Layernorm; looked for is layer_norm, ")
    assert headline.endswith("Is Layernorm meant to be LayerNorm? Then give it that name")


# Names and classes


def test_a_class_made_with_other_names_is_told_ours(tmp_path: Path) -> None:
    source = """
class LayerNorm(nn.Module):
    def __init__(self, ndim, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(ndim))
        self.bias = nn.Parameter(torch.zeros(ndim)) if bias else None
    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)
"""
    told = said(verdict_on("norm", source, tmp_path))
    assert "LayerNorm is made by name, with d_model=" in told
    assert "yours takes ndim, bias" in told


def test_a_forward_without_a_mask_is_told_by_its_name(tmp_path: Path) -> None:
    without = [
        ("def forward(self, x, mask=None)", "def forward(self, x)"),
        ("mask is not", "None is not"),
    ]
    source = changed(ATTENTION, without)
    missing = diagnosed("attention", source, tmp_path).missing
    assert any("Attention with mask" in line for line in missing), missing


def test_an_axis_that_theirs_requires_is_given(tmp_path: Path) -> None:
    source = """
def softmax(x, dim):
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)
"""
    told = said(verdict_on("softmax", source, tmp_path))
    assert "minus infinity" in told
    assert "required positional argument" not in told


@pytest.mark.parametrize(
    "body",
    [
        "e = torch.exp(x - x.max())\n    return e / e.sum(dim, keepdim=True)",
        "x = x - torch.max(x)\n    return x.exp() / torch.sum(x.exp(), dim=dim, keepdim=True)",
    ],
)
def test_a_softmax_with_one_maximum_for_all_rows_is_told_it(body: str, tmp_path: Path) -> None:
    verdict = verdict_on("softmax", f"def softmax(x, dim=-1):\n    {body}\n", tmp_path)
    assert verdict.named == ("softmax-one-maximum-with-a-gradient",)


def test_a_log_softmax_with_one_maximum_for_all_rows_is_told_it(tmp_path: Path) -> None:
    source = """
def log_softmax(x, dim=-1):
    shifted = x - x.max()
    return shifted - shifted.exp().sum(dim, keepdim=True).log()
"""
    verdict = verdict_on("softmax", source, tmp_path)
    assert verdict.named == ("log-softmax-one-maximum-for-all",)


# The loss of a lecture: a softmax, and then the logarithm

OF_A_LECTURE = """
def cross_entropy(logits, targets, counted=None):
    counts = logits.exp()
    probs = counts / counts.sum(-1, keepdim=True)
    surprise = -probs.gather(-1, targets[..., None])[..., 0].log()
    return surprise.mean() if counted is None else surprise[counted].mean()

def next_token_loss(logits, tokens, real=None):
    n = tokens.shape[1] - 1
    return cross_entropy(logits[:, :n], tokens[:, 1:], None if real is None else real[:, 1:])
"""
SHIFTED = ("logits.exp()", "(logits - logits.amax(-1, keepdim=True)).exp()")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ([], {"loss-overflow-in-a-quotient"}),
        ([SHIFTED], {"loss-logarithm-of-a-softmax"}),
        ([SHIFTED, ("return surprise.mean()", "return surprise.sum(-1).mean()")],
         {"loss-logarithm-of-a-softmax", "loss-summed-over-positions"}),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("_no_hurry")
def test_a_loss_by_way_of_a_softmax_is_told_where_it_breaks(
    changes: list[tuple[str, str]], named: set[str], tmp_path: Path
) -> None:
    assert set(verdict_on("loss", changed(OF_A_LECTURE, changes), tmp_path).named) == named
