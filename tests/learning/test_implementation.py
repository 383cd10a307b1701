"""Whose code is under test: found, matched by name and shape, or told what does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Module, Parameter

from transformer.components.attention import Attention
from transformer.components.linear import Linear
from transformer.components.loss import next_token_loss
from transformer.components.softmax import softmax
from transformer.learning.checking.score import exercise_of, right_implementations
from transformer.learning.diagnosing.diagnosis import diagnose
from transformer.learning.exercises import exercise
from transformer.learning.own.adapting import adapted, class_without
from transformer.learning.own.biases import biases_lacking
from transformer.learning.own.calling import NotWrittenError
from transformer.learning.own.implementation import (
    Namespace,
    for_exercise,
    load,
    load_or_say,
)
from transformer.learning.own.layout import LayoutError

LINEAR = """
import torch
from transformer.components.linear import linear as helper

class Linear(torch.nn.Module):
    pass

def softmax(x, dim=-1):
    return x
"""


def test_a_file_gives_what_it_defines_and_not_what_it_imports_from_us(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(LINEAR + "from transformer.components.norm import LayerNorm\n")
    assert load(str(file)).keys() == {"Linear", "softmax"}


def test_a_file_that_was_just_changed_is_read_anew(tmp_path: Path) -> None:
    # As long as before and within the same second: bytecode would be taken for up to date.
    file = tmp_path / "mine.py"
    for value in (1, 2, 3):
        file.write_text(f"def relu(x): return {value}\n")
        assert load(str(file))["relu"](0) == value
    assert [one.name for one in tmp_path.iterdir()] == ["mine.py"], "something was left there"


def test_a_folder_gives_what_its_files_define(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("def relu(x): return x\nLAYOUT = {'Linear': {}}\n")
    (tmp_path / "two.py").write_text("def gelu(x): return x\nLAYOUT = {'MLP': {}}\n")
    (tmp_path / "test_three.py").write_text("raise RuntimeError('a test is not loaded')\n")
    names = load(str(tmp_path))
    assert names.keys() == {"relu", "gelu", "LAYOUT"}
    assert names["LAYOUT"] == {"Linear": {}, "MLP": {}}


def test_what_stands_in_the_file_of_an_exercise_is_what_counts(tmp_path: Path) -> None:
    for name in ("softmax", "softmax_old", "another"):
        (tmp_path / f"{name}.py").write_text(f"def softmax(x): return {name!r}\n")
    assert load(str(tmp_path))["softmax"](0) == "softmax"


def test_a_file_with_a_byte_order_mark_is_python(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbf" + b"def relu(x): return 7\n")
    assert load(str(tmp_path / "mine.py"))["relu"](0) == 7


def test_a_file_that_ends_the_process_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(ValueError, match=r"stops with SystemExit: 0 \(mine.py, line 2: sys.exit"):
        load_or_say(str(tmp_path / "mine.py"))


def test_a_module_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_parts.py").write_text("def silu(x): return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("my_parts").keys() == {"silu"}


def test_a_file_that_stops_or_is_no_text_is_said_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for source, said in (
        (b"def relu(x:\n", r"mine\.py stops with SyntaxError: .* \(mine\.py, line 1\)"),
        (b"\nrelu = no_such\n", r"mine\.py stops with NameError: .*\(mine\.py, line 2: relu = no"),
        (b"# \xe9\n", r"mine\.py is not UTF-8 text \(byte 2 is 0xe9\): save it as UTF-8"),
    ):
        file.write_bytes(source)
        with pytest.raises(ValueError, match=said):
            load_or_say(str(file))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file or folder at nowhere\.py"):
        load("nowhere.py")
    with pytest.raises(ValueError, match="neither a file, a folder nor a module"):
        load("no_such_module_anywhere")
    with pytest.raises(ValueError, match="no Python file"):
        load(str(tmp_path))


def test_a_name_that_is_missing_is_not_written_yet() -> None:
    with pytest.raises(NotWrittenError, match="Attention: not written yet"):
        _ = Namespace({}).Attention


class Bare(Module):
    """A learner's Linear that knows no bias."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.W = Parameter(torch.zeros(d_in, d_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W


def test_a_keyword_that_is_not_taken_is_left_out_at_its_default_and_not_written_else() -> None:
    class Plain(Bare):
        def __init__(self, d_in: int, d_out: int) -> None:
            super().__init__(d_in, d_out)
            self.b = Parameter(torch.zeros(d_out))

    made = adapted(Linear, Plain, {})
    assert made(d_in=3, d_out=5, init_std=7.0).W.shape == (3, 5)
    with pytest.raises(NotWrittenError, match="Plain with bias=False: not written yet"):
        made(d_in=3, d_out=5, bias=False)


def test_an_argument_of_another_name_or_that_goes_by_name_alone_is_passed() -> None:
    def softmax_by_axis(x: Tensor, axis: int = -1) -> Tensor:
        return x.softmax(axis)

    def keeping(logits: Tensor, tokens: Tensor, *, real: Tensor | None = None) -> Any:
        return real

    x, real = torch.randn(2, 3), torch.ones(2, 3, dtype=torch.bool)
    by_axis = adapted(softmax, softmax_by_axis, {})
    torch.testing.assert_close(by_axis(x, dim=0), x.softmax(0))
    torch.testing.assert_close(by_axis(x, 0), x.softmax(0))
    by_name_alone = adapted(next_token_loss, keeping, {})
    assert by_name_alone(x, x, real) is real
    assert by_name_alone(x, x, real=real) is real
    assert by_name_alone(x, x) is None


def complaint(theirs: type[Module], ours: type[Module], **sizes: Any) -> str:
    with pytest.raises(LayoutError) as error:
        adapted(ours, theirs, {})(**sizes)
    return str(error.value)


def test_a_missing_parameter_is_named() -> None:
    class Promising(Bare):
        def __init__(self, d_in: int, d_out: int, bias: bool = True) -> None:
            super().__init__(d_in, d_out)

    assert "b (d_out) is missing" in complaint(Promising, Linear, d_in=3, d_out=5)


def test_a_bias_that_is_never_there_is_not_written_yet_or_left_out_of_ours_too() -> None:
    with pytest.raises(NotWrittenError, match=r"^Bare with b: not written yet$"):
        adapted(Linear, Bare, {})(d_in=3, d_out=5)
    assert adapted(Linear, Bare, {})(d_in=3, d_out=5, bias=False).W.shape == (3, 5)
    made = adapted(Linear, Bare, {}, lacking=biases_lacking(Linear, Bare, {}))(d_in=3, d_out=5)
    assert made.b is None
    plain = class_without(Linear, ["b"])(d_in=3, d_out=5)
    assert [*plain.state_dict()] == ["W", "b"]
    assert [name for name, _ in plain.named_parameters()] == ["W"]
    assert not plain.b.any()


def test_a_transposed_one_is_named_as_what_it_is() -> None:
    class Transposed(Module):
        def __init__(self, d_in: int, d_out: int) -> None:
            super().__init__()
            self.W = Parameter(torch.zeros(d_out, d_in))
            self.b = Parameter(torch.zeros(d_out))

    said = complaint(Transposed, Linear, d_in=3, d_out=5)
    assert "W has the shape (5, 3), expected (3, 5) (d_in d_out)" in said
    assert 'it may be "W: d_out d_in"' in said


def test_a_fused_projection_is_named_as_what_it_is() -> None:
    class Fused(Module):
        def __init__(self, *, d_model: int, n_heads: int, d_head: int) -> None:
            super().__init__()
            self.c_attn = nn.Linear(d_model, 3 * n_heads * d_head)
            self.c_proj = nn.Linear(n_heads * d_head, d_model)

    said = complaint(Fused, Attention, d_model=11, n_heads=3, d_head=7)
    assert "W_Q (n_heads d_model d_head) is missing" in said
    assert 'c_attn.weight (105, 10) is not one of ours; it may be "W_Q W_K W_V: (' in said
    assert "c_proj.weight (10, 35) is not one of ours; it may be " in said


def test_a_declared_layout_that_does_not_fit_is_refused() -> None:
    class Torchs(Module):
        def __init__(self, d_in: int, d_out: int) -> None:
            super().__init__()
            self.inner = nn.Linear(d_in, d_out)

    wrong = {"inner.weight": "W: d_in d_out", "inner.bias": "b: d_out"}
    made = adapted(Linear, Torchs, {"Linear": wrong})
    with pytest.raises(LayoutError, match=r"inner.weight the shape \(3, 5\), it has \(5, 3\)"):
        made(d_in=3, d_out=5)


def test_biases_of_a_list_of_heads_that_were_declined_are_told_so() -> None:
    class Head(Module):
        def __init__(self, d_model: int, d_head: int) -> None:
            super().__init__()
            self.W_Q = Parameter(torch.zeros(d_model, d_head))
            self.b_Q = Parameter(torch.zeros(d_head))

    class Heads(Module):
        def __init__(self, d_model: int, n_heads: int, d_head: int, bias: bool = True) -> None:
            super().__init__()
            self.heads = nn.ModuleList(Head(d_model, d_head) for _ in range(n_heads))

    layout = {
        "heads.{n_heads}.W_Q": "W_Q: d_model d_head",
        "heads.{n_heads}.b_Q": "b_Q: d_head",
    }
    made = adapted(Attention, Heads, {"Attention": layout})
    with pytest.raises(LayoutError, match=r"Attention has heads.0.b_Q; heads.1.b_Q even with bias"):
        made(d_model=11, n_heads=2, d_head=7, bias=False)


def test_behind_a_declared_layout_gradients_and_modes_are_the_learners() -> None:
    class Torchs(Module):
        def __init__(self, d_in: int, d_out: int) -> None:
            super().__init__()
            self.inner = nn.Linear(d_in, d_out)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x)
            return out * (2.0 if self.training else 1.0)

    layout = {"inner.weight": "W: d_out d_in", "inner.bias": "b: d_out"}
    module = adapted(Linear, Torchs, {"Linear": layout})(d_in=3, d_out=5).double()
    x = torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(module.eval()(x), x @ module.W + module.b)
    torch.testing.assert_close(module.train()(x), 2 * (x @ module.W + module.b))
    module(x).sum().backward()
    torch.testing.assert_close(module.W.grad, 2 * x.sum(0)[:, None].expand(3, 5))


@pytest.mark.parametrize("file", right_implementations(), ids=lambda file: file.stem)
def test_right_in_another_way_is_right(file: Path) -> None:
    found = diagnose(exercise_of(file), for_exercise(exercise_of(file), load(str(file))))
    assert found.right
    assert not found.wrong


def test_there_are_at_least_12_of_them() -> None:
    assert len(right_implementations()) >= 12
    assert {"attention", "norm"} <= {exercise_of(file).name for file in right_implementations()}
    assert exercise("attention").required == ("Attention",)
