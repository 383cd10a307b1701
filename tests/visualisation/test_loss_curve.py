from pathlib import Path

import pytest
from matplotlib.figure import Figure

from transformer.visualisation.loss_curve import plot_loss_curve

RECORDS = [
    {"step": 1, "tokens": 10, "loss": 2.0},
    {"step": 2, "tokens": 20, "loss": 1.5},
    {"step": 2, "tokens": 20, "validation_loss": 1.625},
]


@pytest.mark.parametrize("records", [RECORDS, RECORDS[:2], RECORDS[:1], []])
def test_a_picture_is_drawn_of_a_run_of_any_length(
    tmp_path: Path, records: list[dict[str, float]]
) -> None:
    plot_loss_curve(records, tmp_path / "loss.png", n_answers=7)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("n", "markers"), [(1, 1), (2, 0)])
def test_one_record_is_a_point(
    n: int, markers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: kept.append(figure))
    plot_loss_curve(RECORDS[:n], tmp_path / "loss.png", n_answers=7)
    [figure] = kept
    assert [line.get_marker() for line in figure.axes[0].lines].count("o") == markers


def test_the_picture_says_the_final_loss_the_axes_and_the_uniform_guess(tmp_path: Path) -> None:
    # An SVG whose text is kept as text can be read.
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        for name, target in (("loss", {}), ("texts", {"target": "text"})):
            plot_loss_curve(RECORDS, tmp_path / f"{name}.svg", n_answers=7, **target)
    svg = (tmp_path / "loss.svg").read_text()
    for text in ("1.625", "ln(7)", "tokens seen", "loss (nats per token)", "validation"):
        assert text in svg
    svg = (tmp_path / "texts.svg").read_text()
    assert "loss (nats per text)" in svg
    assert "per token" not in svg
