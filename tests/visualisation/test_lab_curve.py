from pathlib import Path

import matplotlib as mpl

from transformer.visualisation.lab_curve import plot_lab_curve


def test_the_picture_names_both_runs_and_both_bounds(tmp_path: Path) -> None:
    losses = {"right": [2.0] * 15 + [1.0] * 15, "lab": [2.0] * 30}
    with mpl.rc_context({"svg.fonttype": "none"}):
        plot_lab_curve(losses, tmp_path / "loss.svg", name="lab-7", d_vocab=17, floor=1.3)
    svg = (tmp_path / "loss.svg").read_text()
    for text in ("lab-7", "right", "ln(17)", "earlier tokens", "updates", "loss (nats per token)"):
        assert text in svg


def test_a_run_that_ended_early_is_drawn(tmp_path: Path) -> None:
    losses = {"right": [2.0] * 30, "lab": [2.0, float("nan")]}
    plot_lab_curve(losses, tmp_path / "loss.png", name="lab-7", d_vocab=17, floor=1.3)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
