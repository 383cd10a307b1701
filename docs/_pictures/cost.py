"""What a token costs in training, over the context and over the size of the model.

`cost.json` is what `python -m tests.benchmarks.cost --json docs/_pictures/cost.json` wrote.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

ORANGE, BLUE = "#b5460f", "#3b82c4"


def draw() -> Figure:
    """Return the two panels, both with logarithmic axes."""
    rows = json.loads((Path(__file__).parent / "cost.json").read_text(encoding="utf-8"))
    contexts = [row for row in rows if "nanoseconds" in row]
    sizes = [row for row in rows if "nanoseconds" not in row]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    first = contexts[0]
    for key, label, colour, style in (
        ("formula", "FLOPs", BLUE, "-"),
        ("nanoseconds", "CPU time", ORANGE, "o--"),
    ):
        relative = [row[key] / first[key] for row in contexts]
        left.loglog(
            [row["n_ctx"] for row in contexts], relative, style, color=colour, label=label, base=2
        )
    left.set(xlabel="context, tokens", ylabel="cost of a token, 256 = 1")
    left.legend()
    parameters = [row["parameters"] for row in sizes]
    right.loglog(parameters, [row["formula"] for row in sizes], color=BLUE, label="6 N + 12 L d T")
    right.loglog(
        parameters, [row["counted"] for row in sizes], "o", color=ORANGE, label="products counted"
    )
    right.set(xlabel="parameters", ylabel="FLOPs a token")
    right.legend()
    plt.close(figure)
    return figure
