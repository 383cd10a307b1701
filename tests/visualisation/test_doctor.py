from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from transformer.visualisation.doctor import plot_doctor

REPORT: dict[str, Any] = {
    "d_vocab": 7,
    "learning_rate": 0.003,
    "sizes": [
        {"name": "W_E", "parameter": 0.02, "gradient": 0.01, "update": 0.003},
        {"name": "b_dead", "parameter": 0.0, "gradient": 0.0, "update": 0.0},
        {"name": "unused", "parameter": 1.0, "gradient": None, "update": 0.0},
        {"name": "endless", "parameter": 1.0, "gradient": None, "update": None},
    ],
    "overfit": [1.9, 1.0, 0.1],
    "rates": {"first": 1.9, "after": [[0.001, 1.5], [0.01, 1.2], [1.0, None]]},
}
EMPTY = {"d_vocab": 0, "learning_rate": 0.003, "sizes": [], "overfit": [], "rates": None}


@pytest.mark.parametrize("report", [REPORT, EMPTY])
def test_a_picture_is_drawn_of_any_report(tmp_path: Path, report: dict[str, Any]) -> None:
    plot_doctor(report, tmp_path / "doctor.png")
    assert (tmp_path / "doctor.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_names_the_parameters_the_axes_and_the_uniform_guess(tmp_path: Path) -> None:
    with mpl.rc_context({"svg.fonttype": "none"}):
        plot_doctor(REPORT, tmp_path / "doctor.svg")
    svg = (tmp_path / "doctor.svg").read_text()
    for text in ("W_E", "b_dead", "gradient", "one update", "learning rate", "ln(7)", "updates"):
        assert text in svg
