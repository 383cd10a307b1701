"""The shape of the package, read from its source: who imports whom, and what is not used.

Imports go down only:

    cli -> learning, pretrained, training, visualisation -> sampling, circuits -> activations
        -> models -> components
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import transformer

PACKAGE = Path(transformer.__file__).parent
FILES = {str(file.relative_to(PACKAGE)): file for file in sorted(PACKAGE.rglob("*.py"))}
COMPUTES = ("components/", "models/", "activations/", "circuits/")
MATHS = {name: file for name, file in FILES.items() if name.startswith(COMPUTES)}

FIRST = {"whole", "yaml_file", "config", "components", "tokenizers"}
MIDDLE = FIRST | {"models", "activations", "circuits", "sampling"}
MAY_IMPORT: dict[str, set[str]] = {
    "components": set(),
    "whole": set(),
    "yaml_file": set(),
    "config": {"whole", "yaml_file"},
    "tokenizers": {"whole"},
    "data": {"tokenizers", "whole"},
    "models": {"components", "config"},
    "activations": {"components", "config", "models"},
    "circuits": {"components", "config", "models", "activations"},
    "sampling": {"components", "config", "tokenizers", "models", "circuits"},
    "training": MIDDLE | {"data"},
    "visualisation": MIDDLE,
    "learning": MIDDLE | {"data", "training"},  # its probes try every part, training's too
    "pretrained": MIDDLE | {"data", "training"},  # a run of ours is one of the models it loads
    "cli": MIDDLE | {"data", "training", "visualisation", "learning", "pretrained"},
    "__main__": {"cli"},
    "__init__": set(),
}

# Large packages from the bottom up: each part imports only those before it.
INSIDE = {
    "data": (
        "base", "permutation", "randomness", "device", "rows", "padding", "packing", "token_file",
        "sources", "batches", "masked_language", "windows", "masked_windows", "splits", "prepare",
        "corpus", "labelled_rows",
    ),
    "training": (
        "config", "schedule", "trained", "objective", "machine", "plan", "optimizer", "evaluate",
        "step", "meter", "scaled_step", "update", "resume", "state", "figures", "loop", "saved",
        "run",
    ),
    "learning": (
        "words", "verdict", "outcome", "exercises", "source", "files", "own", "probes", "bank",
        "diagnosing", "checking", "lab",
    ),
}  # fmt: skip
APART = {"adamw", "scaling_law", "recipes", "doctor", "__init__"}  # import none of these

# What computes may import no more than this from outside: no files, no logs, no plots.
PURE = {
    "abc", "collections", "contextlib", "copy", "dataclasses", "functools", "itertools", "math",
    "typing",
}  # fmt: skip
OUTSIDE = {
    "components": PURE | {"torch", "einops", "jaxtyping"},
    "models": PURE | {"torch", "einops", "jaxtyping"},
    "circuits": PURE | {"torch", "einops", "jaxtyping"},
}

FROM_TORCH_NN = {"Module", "Parameter", "ModuleList", "ModuleDict"}
# What may be used in one place: the fused kernel beside its equation, and the engine that
# keeps copies of a model in step.
IN_ONE_PLACE = {
    "components/attention.py": {"torch.nn.functional.scaled_dot_product_attention"},
    "training/machine/distributed.py": {"torch.nn.parallel.DistributedDataParallel"},
}
# Also of torch: the whole equation of one of our components under one name.
READY_MADE = {"softmax", "log_softmax", "relu", "gelu", "silu", "layer_norm", "rms_norm"}
SHAPED = {"Float", "BFloat16", "Int", "Int8", "UInt8", "Bool", "Complex", "Shaped"}


def package_of(name: str) -> str:
    """Return the first part of a file's path: a package, or a module's own name."""
    return Path(name).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full dotted name of everything imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from (f"{start}.{alias.name}" for alias in node.names)


def wrong_imports(name: str, source: str) -> list[str]:
    """Return what the file `name` imports against the rules above, and why it may not."""
    package, wrong = package_of(name), []
    for full in imported(ast.parse(source)):
        root, _, rest = full.partition(".")
        target = rest.partition(".")[0]
        if root == "":
            wrong.append(f"{full}: imports are written in full")
        elif root != "transformer":
            if root not in OUTSIDE.get(package, {root}):
                wrong.append(f"{full}: {package} computes, and imports no {root}")
            if package == "tokenizers" and root == "torch":
                wrong.append(f"{full}: tokenizers import no torch")
        elif target not in MAY_IMPORT:
            wrong.append(f"{full}: import from its own module, not from the front door")
        elif target not in MAY_IMPORT[package] | {package}:
            wrong.append(f"{full}: {package} may not import {target}")
    return wrong


def upward_inside(name: str, source: str) -> list[str]:
    """Return what a file imports of its own package that does not stand below its part of it."""
    package = package_of(name)
    own = package_of(str(Path(name).relative_to(package)))
    order = INSIDE[package]
    allowed = {own} if own in APART else {own, *order[: order.index(own)]}
    start = f"transformer.{package}."
    inside = (full for full in imported(ast.parse(source)) if full.startswith(start))
    return [full for full in inside if full.removeprefix(start).partition(".")[0] not in allowed]


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for such a chain of names, and the empty string for all else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def ready_made(name: str, source: str) -> list[str]:
    """Return the names of torch that do what the learner should see done."""
    tree, wrong = ast.parse(source), []
    used = set(imported(tree))
    used |= {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for full in used:
        if full in IN_ONE_PLACE.get(name, set()):
            continue
        # `torch.nn` by itself, imported as a whole, would open the door to all of it.
        if (
            f"{full}.".startswith("torch.nn.")
            and full.removeprefix("torch.nn.") not in FROM_TORCH_NN
        ):
            wrong.append(full)
    if name.startswith("components/"):
        attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        wrong += [ast.unparse(node) for node in attributes if node.attr in READY_MADE]
    return sorted(wrong)


def unshaped(source: str) -> list[str]:
    """Return the functions that have a tensor without a shape in their signature."""
    wrong = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = function.args
            given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            given += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
            annotations = [argument.annotation for argument in given] + [function.returns]
            if any(annotation and bare_tensor(annotation) for annotation in annotations):
                wrong.append(function.name)
    return wrong


def bare_tensor(annotation: ast.AST) -> bool:
    """Whether `annotation` names a tensor outside of a jaxtyping shape."""
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value) in SHAPED:
        return False
    if isinstance(annotation, ast.Name | ast.Attribute):
        return dotted(annotation).rpartition(".")[2] in ("Tensor", "Parameter")
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return bare_tensor(ast.parse(annotation.value, mode="eval").body)
    return any(bare_tensor(part) for part in ast.iter_child_nodes(annotation))


# The package


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down_only(name: str) -> None:
    assert package_of(name) in MAY_IMPORT, f"say in MAY_IMPORT where {name} stands"
    assert wrong_imports(name, FILES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", [name for name in FILES if package_of(name) in INSIDE])
def test_inside_a_package_too(name: str) -> None:
    assert upward_inside(name, FILES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_a_learner_should_see_is_taken_ready_made_from_torch(name: str) -> None:
    assert ready_made(name, FILES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", MATHS)
def test_every_tensor_in_a_signature_has_a_shape(name: str) -> None:
    assert unshaped(MATHS[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", MATHS)
def test_what_computes_opens_no_file_and_prints_nothing(name: str) -> None:
    calls = (n for n in ast.walk(ast.parse(MATHS[name].read_text())) if isinstance(n, ast.Call))
    forbidden = {"open", "print", "torch.save", "torch.load"}
    assert not forbidden & {dotted(call.func) for call in calls}


@pytest.mark.parametrize("name", [name for name in MATHS if not name.endswith("__init__.py")])
def test_every_component_and_model_has_its_mirrored_test_file(name: str) -> None:
    module = Path(name)
    mirror = module.parent / f"test_{module.name}"
    assert (Path(__file__).parent / mirror).is_file(), f"tests/{mirror} is missing"


@pytest.mark.parametrize("module", ["transformer", "transformer.config", "transformer.tokenizers"])
def test_importing_it_loads_no_torch(module: str) -> None:
    heavy = {"torch", "numpy", "matplotlib", "jsonargparse"}
    report = f"import sys, {module}; print(*sorted({heavy} & sys.modules.keys()))"
    run = subprocess.run(
        [sys.executable, "-c", report],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []


def test_every_public_name_can_be_imported() -> None:
    names = vars(transformer)["__all__"]
    assert "GPT" in names
    for name in names:
        getattr(transformer, name)


# The reader above sees what it should: each source breaks one rule.


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("components/norm.py", "from transformer.config import TransformerConfig"),
        ("components/norm.py", "import transformer.models.gpt"),
        ("components/norm.py", "from transformer import GPT"),
        ("components/norm.py", "from transformer import config"),
        ("components/norm.py", "from .softmax import softmax"),
        ("components/norm.py", "def f():\n    import logging"),
        ("models/gpt.py", "from pathlib import Path"),
        ("models/gpt.py", "import matplotlib.pyplot as plt"),
        ("models/gpt.py", "import yaml"),
        ("models/gpt.py", "from transformer.sampling.generate import generate"),
        ("circuits.py", "from transformer.sampling.generate import generate"),
        ("sampling/generate.py", "from transformer.training.loop import train"),
        ("sampling/generate.py", "from transformer.data.windows import TokenWindows"),
        ("visualisation/loss_curve.py", "from transformer.cli import main"),
        ("tokenizers/character.py", "import torch"),
        ("tokenizers/character.py", "from torch import Tensor"),
        ("tokenizers/character.py", "from transformer.config import preset"),
        ("config.py", "from transformer.models.gpt import GPT"),
    ],
)
def test_an_arrow_that_runs_up_is_seen(name: str, source: str) -> None:
    assert len(wrong_imports(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("learning/own/line.py", "from transformer.learning.probes import PROBES"),
        ("learning/words.py", "import transformer.learning.exercises"),
        ("learning/bank/__init__.py", "from transformer.learning import lab"),
        ("learning/doctor/flow.py", "from transformer.learning.verdict import Verdict"),
        ("data/sources/text.py", "from transformer.data.corpus import Corpus"),
        ("training/step.py", "from transformer.training.saved.checkpoint import save"),
        ("training/machine/device.py", "from transformer.training import step"),
    ],
)
def test_an_arrow_that_runs_up_inside_a_package_is_seen(name: str, source: str) -> None:
    assert len(upward_inside(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("models/gpt.py", "from torch.nn import LayerNorm"),
        ("models/gpt.py", "from torch import nn"),
        ("models/gpt.py", "import torch.nn as nn"),
        ("models/gpt.py", "import torch\ntorch.nn.Linear(3, 5)"),
        ("models/gpt.py", "import torch.nn.functional as F"),
        ("models/gpt.py", "from torch.nn.functional import scaled_dot_product_attention"),
        ("components/attention.py", "from torch.nn.functional import softmax"),
        ("components/softmax.py", "import torch\ny = torch.softmax(x, -1)"),
        ("components/softmax.py", "y = (x + 1).softmax(-1)"),
        ("training/loop.py", "from torch.nn.utils import clip_grad_norm_"),
    ],
)
def test_a_ready_made_layer_is_seen(name: str, source: str) -> None:
    assert ready_made(name, source) != []


@pytest.mark.parametrize(
    "signature",
    [
        "(x: Tensor) -> None",
        "(self, *, x: torch.Tensor) -> None",
        '(x: Float[Tensor, "pos"]) -> Tensor',
        "(x: Tensor | None = None) -> None",
        "(*x: Tensor) -> None",
        "() -> tuple[Tensor, int]",
        "(W_E: Parameter) -> None",
        '(x: "Tensor") -> None',
    ],
)
def test_a_tensor_without_a_shape_is_seen(signature: str) -> None:
    assert unshaped(f"def f{signature}: ...") == ["f"]


def test_shapes_and_what_is_no_tensor_pass() -> None:
    signature = '(x: Float[Tensor, "pos"] | None, f: Activation) -> tuple[Int[Tensor, "pos"], int]'
    assert unshaped(f"def f{signature}: ...") == []
