"""What is right by the convention of another course is told so, and what is a mistake still is."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.learning.by_hand import changed, checked, said, verdict_on
from transformer.learning.bank import find, whole_bank
from transformer.learning.checking.grade import Grade
from transformer.learning.checking.report import show
from transformer.learning.checking.suite import Failure, Outcome
from transformer.learning.checking.tested import after_tests_of_both
from transformer.learning.diagnosing import matching
from transformer.learning.diagnosing.diagnosed import from_diagnosis
from transformer.learning.diagnosing.diagnosis import Diagnosis
from transformer.learning.diagnosing.other_layout import OTHER_LAYOUT, another_layout
from transformer.learning.exercises import exercise
from transformer.learning.verdict import Verdict


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    # The search for pairs has an end, which on a busy machine may come too soon.
    monkeypatch.setattr(matching, "PAIRS_SECONDS", 60.0)


# The correction in the learning rate, and the decay as the last line
ADAMW = """
class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            rate, (b1, b2) = group["lr"], group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                now = self.state[p]
                now["t"] = t = now.get("t", 0) + 1
                now["m"] = m = b1 * now.get("m", 0.0) + (1 - b1) * p.grad
                now["v"] = v = b2 * now.get("v", 0.0) + (1 - b2) * p.grad**2
                corrected = rate * math.sqrt(1 - b2**t) / (1 - b1**t)
                p -= corrected * m / (v.sqrt() + group["eps"])
                p -= rate * group["weight_decay"] * p
        return loss
"""
BOTH_OF_ADAMW = {"adam-epsilon-before-correction", "adam-decay-of-the-updated-parameter"}


def test_the_adamw_of_a_course_is_right_by_its_conventions(tmp_path: Path) -> None:
    verdict = verdict_on("adamw", ADAMW, tmp_path)
    assert set(verdict.named) == BOTH_OF_ADAMW
    assert verdict.status == "convention"
    assert verdict.good
    assert verdict.headline.startswith("2 differences, and none of them a mistake.")
    assert "mistakes" not in said(verdict)
    assert said(verdict).count("For ours,") == 2
    assert said(verdict).count("trains alike") == 2
    assert "not as ours, all as with these two" in said(verdict)
    assert verdict.explanation[-1].startswith("Of its tests 6 pass and 2 fail, as they do on our")
    assert "its steps equal torchs" in verdict.explanation[-1]


def test_what_only_a_test_sees_is_not_excused_by_a_convention(tmp_path: Path) -> None:
    verdict = verdict_on("adamw", changed(ADAMW, [("return loss", "")]), tmp_path)
    assert verdict.status == "wrong"
    assert verdict.named == ()
    closure = "a closure is called with gradients on and its loss returned"
    assert verdict.headline == f"a test fails: {closure}"
    assert "Besides: 2 differences, and none of them a mistake." in said(verdict)


def test_a_mistake_beside_a_convention_is_a_mistake(tmp_path: Path) -> None:
    rate_forgotten = [('rate * group["weight_decay"] * p', 'group["weight_decay"] * p')]
    verdict = verdict_on("adamw", changed(ADAMW, rate_forgotten), tmp_path)
    assert not verdict.good
    wrong = [
        ('(v.sqrt() + group["eps"])', "v.sqrt()"),
        ("math.sqrt(1 - b2**t) / (1 - b1**t)", "1 / (1 - b1**t)"),
        ("corrected = ", "v, corrected = v / (1 - b2**t), "),
    ]
    verdict = verdict_on("adamw", changed(ADAMW, wrong), tmp_path)
    assert verdict.status == "wrong"
    assert set(verdict.named) == {"adam-no-epsilon", "adam-decay-of-the-updated-parameter"}
    assert verdict.headline == "There is no epsilon. Besides, another convention than ours."


def test_a_decay_with_the_corrected_rate_is_named_beside_the_convention(tmp_path: Path) -> None:
    first = [
        ("                p -= rate * group", "                # p -= rate * group"),
        ("p -= corrected * m", 'p *= 1 - corrected * group["weight_decay"]\n'
         "                p -= corrected * m"),
    ]  # fmt: skip
    verdict = verdict_on("adamw", changed(ADAMW, first), tmp_path)
    assert verdict.status == "wrong"
    assert set(verdict.named) == {
        "adam-decay-with-the-corrected-rate", "adam-epsilon-before-correction",
    }  # fmt: skip


def test_a_decay_that_comes_last_with_the_corrected_rate_is_a_mistake(tmp_path: Path) -> None:
    last = [('p -= rate * group["weight_decay"]', 'p -= corrected * group["weight_decay"]')]
    verdict = verdict_on("adamw", changed(ADAMW, last), tmp_path)
    assert verdict.status == "wrong"
    assert set(verdict.named) == {
        "adam-decay-of-the-updated-parameter-with-the-corrected-rate",
        "adam-epsilon-before-correction",
    }


SCHEDULE = """
def warmup_cosine(step, *, highest, steps, warmup_steps, min_factor):
    lowest = min_factor * highest
    if step < warmup_steps:
        return step / warmup_steps * highest
    if step <= steps:
        part = (step - warmup_steps) / (steps - warmup_steps)
        return lowest + (1 + math.cos(math.pi * part)) / 2 * (highest - lowest)
    return lowest
"""


def test_the_schedule_of_a_course_is_right_by_its_conventions(tmp_path: Path) -> None:
    verdict = verdict_on("schedule", SCHEDULE, tmp_path)
    assert set(verdict.named) == {"schedule-first-step-zero", "schedule-ends-one-late"}
    assert verdict.status == "convention"


def test_a_minimum_as_a_floor_is_a_mistake_beside_the_schedule_of_a_course(tmp_path: Path) -> None:
    floor = [("lowest + (1 +", "max(lowest, (1 +"), ("(highest - lowest)", "highest)")]
    verdict = verdict_on("schedule", changed(SCHEDULE, floor), tmp_path)
    assert verdict.status == "wrong"
    assert set(verdict.named) == {"schedule-first-step-zero", "schedule-minimum-as-floor-one-late"}


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("math.pi * part", "2 * math.pi * part", "schedule-whole-cosine"),
        ("1 + math.cos", "1 - math.cos", "schedule-upside-down"),
        ("math.pi * part", "part", "schedule-cosine-without-pi"),
        ("(step - warmup_steps) / (", "step / (",
         "schedule-fall-counts-the-warm-up-over-its-own-length"),
        ("(steps - warmup_steps)", "steps", "schedule-length-without-warm-up-and-one-more"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_schedule_of_a_course_is_named(
    right: str, wrong: str, name: str, tmp_path: Path
) -> None:
    warmed = [("return step / warmup_steps", "return (step + 1) / warmup_steps")]
    verdict = verdict_on("schedule", changed(SCHEDULE, [*warmed, (right, wrong)]), tmp_path)
    assert verdict.status == "wrong"
    assert {name} <= set(verdict.named) <= {name, "schedule-ends-one-late"}


POS_EMBED = """
class LearnedPosition(nn.Module):
    def __init__(self, *, n_ctx, d_model, init_std=0.02):
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty((n_ctx, d_model)))
        nn.init.normal_(self.W_pos, std=init_std)

    def forward(self, tokens):
        batch, seq_len = tokens.shape
        return self.W_pos[:seq_len].unsqueeze(0).expand(batch, -1, -1)
"""


def test_a_position_that_counts_by_itself_is_right_by_arenas_convention(tmp_path: Path) -> None:
    verdict = verdict_on("position", POS_EMBED, tmp_path)
    assert verdict.named == ("learned-position-counts-by-itself",)
    assert verdict.status == "convention"
    assert "ARENA" in said(verdict)
    assert "For ours, take the positions" in said(verdict)
    of_each_row = [("self.W_pos[:seq_len]", "self.W_pos[:batch]")]
    assert verdict_on("position", changed(POS_EMBED, of_each_row), tmp_path).status == "wrong"


LECTURE = """
class LearnedPosition(nn.Module):
    def __init__(self, n_ctx, d_model):
        super().__init__()
        self.wpe = nn.Embedding(n_ctx, d_model)

    def forward(self, idx):
        return self.wpe(torch.arange(idx.shape[1]))

LAYOUT = {"LearnedPosition": {"wpe.weight": "W_pos: n_ctx d_model"}}
"""


def test_positions_of_one_row_for_all_are_right_by_nanogpts_convention(tmp_path: Path) -> None:
    verdict = verdict_on("position", LECTURE, tmp_path)
    assert verdict.named == ("learned-position-of-one-row-for-all",)
    assert verdict.status == "convention"
    assert "nanoGPT" in said(verdict)
    of_each_row = [("idx.shape[1]", "idx.shape[0]")]
    assert verdict_on("position", changed(LECTURE, of_each_row), tmp_path).status == "wrong"


SMOOTHING = """
def smoothed_cross_entropy(logits, targets, counted=None, *, smoothing):
    if not 0 <= smoothing < 1:
        raise ValueError("smoothing must be in [0, 1)")
    if logits.dtype != torch.float64:
        logits = logits.float()
    size = logits.shape[-1]
    q = torch.full_like(logits, {share}).detach()
    q.scatter_(-1, targets[..., None], {target})
    {padding}
    {loss}
    places = places.sum(-1)
    return places.mean() if counted is None else places[counted].sum() / counted.sum()
"""
KL = "places = nn.KLDivLoss(reduction='none')(torch.log_softmax(logits, -1), q)"
CROSS_ENTROPY = "places = -q * torch.log_softmax(logits, -1)"
WITHOUT_PADDING = "q[..., 0] = 0; q[targets == 0] = 0"


@pytest.mark.parametrize(
    ("share", "target", "padding", "loss", "name", "status"),
    [
        ("smoothing / size", "1 - smoothing + smoothing / size", "", KL,
         "as-divergence", "convention"),
        ("smoothing / (size - 1)", "1 - smoothing", "", CROSS_ENTROPY,
         "among-the-others-only", "convention"),
        ("smoothing / (size - 1)", "1 - smoothing", "", KL,
         "among-the-others-as-divergence", "convention"),
        ("smoothing / (size - 2)", "1 - smoothing", WITHOUT_PADDING, KL,
         "without-the-padding-token", "wrong"),
        ("smoothing / (size - 2)", "1 - smoothing", "", CROSS_ENTROPY,
         "two-tokens-too-few", "wrong"),
        ("smoothing / (size - 2)", "1 - smoothing", "", KL,
         "two-tokens-too-few-as-divergence", "wrong"),
    ],
)  # fmt: skip
def test_a_smoothing_of_another_share_or_value_is_named(
    share: str, target: str, padding: str, loss: str, name: str, status: str, tmp_path: Path
) -> None:
    source = SMOOTHING.format(share=share, target=target, padding=padding, loss=loss)
    verdict = verdict_on("label_smoothing", source, tmp_path)
    assert verdict.named == (f"smoothing-{name}",)
    assert verdict.status == status


MLP = """
class MLP(nn.Module):
    def __init__(self, d_model, d_mlp, bias=True):
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) * 0.02)
        self.W_out = nn.Parameter(torch.randn(d_mlp, d_model) * 0.02)
        self.b_in = nn.Parameter(torch.zeros(d_mlp)) if bias else 0
        self.b_out = nn.Parameter(torch.zeros(d_model)) if bias else 0

    def forward(self, x):
        x = x @ self.W_in + self.b_in
        x = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return x @ self.W_out + self.b_out
"""


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("0.044715", "0.44715", "mlp-gelu-constant"),
        ("math.sqrt(2 / math.pi)", "math.sqrt(2 * math.pi)", "mlp-gelu-root-of-two-pi"),
        ("math.sqrt(2 / math.pi)", "2 / math.pi", "mlp-gelu-root-missing"),
        ("torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))",
         "torch.erf(x / math.sqrt(2))", "mlp-activation-always-gelu"),
    ],
)  # fmt: skip
def test_a_gelu_within_the_mlp_is_told_its_mistake(
    right: str, wrong: str, name: str, tmp_path: Path
) -> None:
    verdict = verdict_on("mlp", changed(MLP, [(right, wrong)]), tmp_path)
    assert verdict.named == (name,)


FOUND = Diagnosis(right=("one",), wrong=("two",), named=(find("rotary-interleaved"),), whole=True)


def test_a_convention_that_leaves_something_unexplained_is_no_verdict_of_right() -> None:
    position = exercise("position")
    assert from_diagnosis(position, FOUND).status == "convention"
    partly = from_diagnosis(position, replace(FOUND, whole=False))
    assert partly.status == "wrong"
    assert partly.headline.endswith("than ours; but not all is explained by it.")


def test_what_may_as_well_be_a_mistake_is_no_convention() -> None:
    alike = replace(FOUND, indistinguishable=(find("rotary-not-a-rotation"),))
    verdict = from_diagnosis(exercise("position"), alike)
    assert verdict.status == "wrong"
    assert "right" not in verdict.headline.lower()
    also = replace(FOUND, indistinguishable=(find("rotary-other-direction"),))
    assert from_diagnosis(exercise("position"), also).status == "convention"


OURS = Outcome(3, [Failure("it is so (1)", "assert 2 == 3"), Failure("it ends", "KeyError: 5")])


@pytest.mark.parametrize(
    ("ours", "theirs", "fails"),
    [
        (OURS, Outcome(3, [Failure("it is so (1)", "AssertionError: far off")]), ""),
        (OURS, Outcome(3, [Failure("it ends", "KeyError: 7")]), ""),
        (OURS, Outcome(3, []), ""),
        (OURS, Outcome(3, [*OURS.failures, Failure("it is so (2)", "assert 2 == 3")]),
         "it is so (2)"),
        (OURS, Outcome(3, [Failure("it is so (1)", "ZeroDivisionError: by 0")]), "it is so (1)"),
        (OURS, Outcome(3, [Failure("it ends", "assert 5")]), "it ends"),
        (Outcome(0, OURS.failures), OURS, "it is so (1)"),
    ],
)  # fmt: skip
def test_a_test_may_fail_as_with_our_own_code_in_the_convention_and_not_otherwise(
    ours: Outcome, theirs: Outcome, fails: str
) -> None:
    verdict = from_diagnosis(exercise("position"), FOUND)
    after = after_tests_of_both(verdict, theirs, ours)
    assert after.status == ("wrong" if fails else "convention")
    assert after.headline == (f"a test fails: {fails}" if fails else verdict.headline)


def test_a_test_of_many_cases_is_listed_once() -> None:
    cases = Outcome(1, [Failure(f"it is so ({i})", "assert 0") for i in range(40)])
    after = after_tests_of_both(from_diagnosis(exercise("position"), FOUND), cases, cases)
    assert after.explanation[-1].endswith("was not checked: it is so")
    assert "1 pass and 40 fail" in after.explanation[-1]


def test_a_convention_under_another_layout_is_told_beside_it() -> None:
    verdict = another_layout(from_diagnosis(exercise("position"), FOUND), ["Yours is so."])
    assert verdict.status == "wrong"
    assert verdict.headline == f"{OTHER_LAYOUT}, but for one thing more"
    assert any("Rotary pairs coordinate 2i" in line for line in verdict.explanation)


def test_a_convention_is_shown_with_how_to_get_ours_and_what_is_missing() -> None:
    verdict = from_diagnosis(exercise("position"), replace(FOUND, missing=("Sinusoid: not there",)))
    screen = Console(width=200, file=io.StringIO())
    show(screen, verdict)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert shown.startswith("≈ position")
    for part in ("than ours.", "Coordinate i turns with i + d_head/2.", "Sinusoid: not there"):
        assert part in shown


def test_a_whole_exercise_by_another_convention_counts_as_right() -> None:
    whole = from_diagnosis(exercise("position"), FOUND)
    part = replace(whole, missing=("Sinusoid: not there",))
    wrong = Verdict("position", "wrong", "it is")
    assert Grade("one", (whole, part, wrong)).right == 1


# Who has it so. A difference that nobody teaches is none, however little it may matter.
FROM = {
    "adam-epsilon-before-correction": "CS336",
    "adam-decay-of-the-updated-parameter": "CS336",
    "schedule-first-step-zero": "CS336",
    "schedule-ends-one-late": "CS336",
    "smoothing-among-the-others-only": "fairseq",
    "smoothing-as-divergence": "annotated transformer",
    "smoothing-among-the-others-as-divergence": "tensor2tensor",
    "sinusoid-halves": "tensor2tensor",
    "learned-position-counts-by-itself": "ARENA",
    "learned-position-of-one-row-for-all": "nanoGPT",
    "top-k-in-place": "nanoGPT",
    "rotary-interleaved": "RoFormer",
    "rotary-other-direction": "nanochat",
    "rotary-neighbours-put-back-as-halves": "DeepSeek",
}


def test_a_convention_is_marked_as_one_and_says_who_has_it_so() -> None:
    marked = {entry.name: entry.why for entry in whole_bank() if entry.convention}
    assert marked.keys() == FROM.keys()
    for name, why in marked.items():
        assert FROM[name] in why
    for entry in whole_bank():
        assert entry.convention or not entry.why.startswith("A convention"), entry.name


@pytest.mark.slow
@pytest.mark.parametrize("name", FROM)
def test_our_own_code_in_a_convention_is_right_by_it(name: str, tmp_path: Path) -> None:
    entry = find(name)
    file = tmp_path / f"{entry.exercise.name}.py"
    file.write_text(entry.source, encoding="utf-8")
    verdict = checked(entry.exercise.name, file)
    assert verdict.status == "convention"
    assert verdict.named == (name,)
    assert " fail, as they do on our own code" in verdict.explanation[-1]
