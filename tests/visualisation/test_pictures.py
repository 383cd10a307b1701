"""Pictures: what they say can be read in their SVG, and what they draw in their figure."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from transformer.components.position import sinusoidal
from transformer.visualisation.attention_maps import attention_maps
from transformer.visualisation.attribution import attribution_picture
from transformer.visualisation.curves import training_curves
from transformer.visualisation.logit_lens import logit_lens_picture
from transformer.visualisation.picture import Picture, readable
from transformer.visualisation.positions import learned_picture, rotary_picture, sinusoid_picture
from transformer.visualisation.residual_norms import residual_norms

TOKENS = ["R", " a", "\n", "$x$", "<b>"]
RUNS = {
    "first": [
        {"step": 1, "tokens": 10, "loss": 2.5, "learning_rate": 0.1, "gradient_norm": 3.0},
        {"step": 2, "tokens": 20, "loss": 1.5, "learning_rate": 0.2, "gradient_norm": 1.0},
        {"step": 2, "tokens": 20, "validation_loss": 1.625},
    ],
    "second": [{"step": 1, "tokens": 15, "loss": 2.25, "learning_rate": 0.3, "gradient_norm": 7.0}],
    "empty": [],
}


def patterns() -> torch.Tensor:
    return torch.randn(2, 3, 5, 5).softmax(-1)


DRAWN: list[tuple[Callable[[], Picture], tuple[str, ...]]] = [
    (
        lambda: attention_maps(patterns(), TOKENS),
        ("0.0", "1.2", "R", "␣a", "⏎", "$x$", "&lt;b&gt;"),
    ),
    (lambda: attention_maps(patterns()[..., :2], TOKENS, ["u", "v"]), ("u", "v", "query", "key")),
    (
        lambda: residual_norms(
            torch.tensor([[1.0] * 5, [3.0] * 5]), ["embedding", "0.mid"], TOKENS
        ),
        ("embedding   1.0", "0.mid   3.0", "norm"),
    ),
    (sinusoid_picture, ("sinusoidal, base 10,000", "position")),
    (lambda: learned_picture(torch.randn(7, 5)), ("learned, W_pos",)),
    (rotary_picture, ("rotary, base 10,000", "distance of query and key")),
    (lambda: training_curves(RUNS), ("first: 1.625", "second", "gradient norm", "learning rate")),
    (
        lambda: logit_lens_picture(torch.eye(5)[None] * 9, TOKENS, TOKENS),
        ("embedding", "␣a", "probability"),
    ),
    (
        lambda: attribution_picture(torch.tensor([1.0, -2.5]), ["0.0", "1.mlp"], title="of a"),
        ("of a", "+1.00", "-2.50", "the logit", "-1.50"),
    ),
]


@pytest.mark.parametrize(("draw", "texts"), DRAWN)
def test_a_picture_says_what_it_shows(
    tmp_path: Path, draw: Callable[[], Picture], texts: tuple[str, ...]
) -> None:
    picture = draw()
    svg = (
        picture.save(tmp_path / "picture.svg")
        .read_text(encoding="utf-8")
        .replace("\N{MINUS SIGN}", "-")
    )
    for text in texts:
        assert text in svg, text


def test_a_picture_displays_itself_in_a_notebook_and_is_written_whole(tmp_path: Path) -> None:
    picture = training_curves(RUNS)
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_letter_that_no_font_has_is_named_and_where_it_is_to_be_seen(
    tmp_path: Path, ending: str
) -> None:
    labels = ["a", "\N{WATCH}", "\U0010fffd"]  # of two fonts, and of none
    picture = residual_norms(torch.ones(1, 3), ["embedding"], labels)
    with pytest.warns(UserWarning, match=r"no font .* has .*U\+10FFFD.*save .* as \.svg") as said:
        picture.save(tmp_path / f"a.{ending}")
    assert len(said) == 1
    assert "U+231A" not in str(said[0].message), "a font of matplotlib's has it"


def test_a_letter_is_drawn_in_the_font_that_has_it() -> None:
    picture = residual_norms(torch.ones(1, 2), ["embedding"], ["a", "\N{WATCH}"])
    drawn = picture._repr_png_()  # any warning would be an error
    families = {name for text in picture.figure.findobj(Text) for name in text.get_fontfamily()}
    assert "STIXGeneral" in families
    assert picture._repr_png_() == drawn, "the second time it is another picture"


def test_an_svg_needs_no_glyphs_of_matplotlibs_own_font(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    labels = ["\N{SLICE OF PIZZA}", "\N{CJK UNIFIED IDEOGRAPH-672C}"]
    picture = residual_norms(torch.ones(1, 2), ["embedding"], labels)
    drawn = picture.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(label in drawn for label in labels)
    assert [str(warning.message) for warning in recwarn] == []


def test_stream_and_terms_are_drawn_with_a_name_for_each_or_not_at_all() -> None:
    norms = torch.ones(2, 5)
    with pytest.raises(ValueError, match=r"2 states and 5 positions .* got 3 and 5"):
        residual_norms(norms, ["embedding", "0.mid", "0.post"], TOKENS)
    with pytest.raises(ValueError, match=r"2 states and 5 positions .* got 2 and 4"):
        residual_norms(norms, ["embedding", "0.mid"], TOKENS[:4])
    terms = torch.tensor([1.0, 2.0, 5.0])
    with pytest.raises(ValueError, match="3 terms need as many names, all different, got 2, 2"):
        attribution_picture(terms, ["0.0", "0.1"], title="")
    with pytest.raises(ValueError, match="3 terms need as many names, all different, got 3, 2"):
        attribution_picture(terms, ["0.0", "0.1", "0.0"], title="")


def test_the_logit_lens_says_which_labels_lack() -> None:
    logits = torch.randn(2, 3, 7)
    with pytest.raises(ValueError, match="3 positions need as many labels, got 2"):
        logit_lens_picture(logits, list("ab"), list("abcdefg"))
    said = r"logits of 7 tokens and names of 5: .* pass logits\[\.\.\., :5\]"
    with pytest.raises(ValueError, match=said):
        logit_lens_picture(logits, list("abc"), list("abcde"))


def test_a_forecast_from_no_numbers_is_no_token() -> None:
    logits = torch.eye(5)[None] * 9
    logits[0, 2] = torch.nan
    axes = logit_lens_picture(logits, TOKENS, TOKENS).figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["R", "␣a", "NaN", r"\$x\$", "<b>"]


def test_an_ending_that_is_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in .svg, .png, .pdf; got curves.doc"):
        training_curves(RUNS).save(tmp_path / "curves.doc")
    assert [*tmp_path.iterdir()] == []


def test_labels_are_cut_and_what_does_not_show_is_shown() -> None:
    assert readable([" a\t", "$", "x" * 12, "y" * 13]) == ["␣a⇥", r"\$", "x" * 12, "y" * 11 + "…"]


def test_maps_are_drawn_head_by_head_on_one_scale() -> None:
    drawn = patterns()
    figure = attention_maps(drawn, TOKENS).figure
    maps = [axes.images[0] for axes in figure.axes if axes.images and axes.get_title()]
    assert len(maps) == 6
    np.testing.assert_allclose(maps[4].get_array(), drawn[1, 1])  # type: ignore[arg-type]
    assert {image.get_clim() for image in maps} == {(0, 1)}


@pytest.mark.parametrize(("n_queries", "n_keys"), [(61, 1), (1, 61), (61, 61), (61, 7)])
def test_a_map_has_a_bounded_size_however_few_keys_there_are(n_queries: int, n_keys: int) -> None:
    patterns = torch.rand(2, 3, n_queries, n_keys)
    picture = attention_maps(patterns, ["q"] * n_queries, ["k"] * n_keys)
    width, height = (picture.figure.get_size_inches() - (1.3, 0.9)) / (3, 2)  # of one map
    assert 0.59 < width < 2.61
    assert 0.59 < height < 2.61


def test_maps_need_a_label_for_every_token() -> None:
    with pytest.raises(ValueError, match="5 queries and 5 keys need as many labels, got 4 and 4"):
        attention_maps(patterns(), TOKENS[1:])


def test_many_parts_are_drawn_as_the_largest_and_one_for_the_rest() -> None:
    terms = torch.arange(1.0, 31.0)
    figure = attribution_picture(terms, [str(i) for i in range(30)], title="").figure
    widths = [bar.get_width() for bar in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert widths == [*map(float, range(7, 31)), float(sum(range(7))), float(terms.sum())]


@pytest.mark.parametrize("rounding", [1e-8, -1e-8])
def test_a_rest_that_is_rounding_is_nothing(rounding: float) -> None:
    """Else its bar could end left of 0, and its number stand on its name."""
    terms = torch.tensor([1.0, 2.0, rounding, rounding], dtype=torch.float64)
    figure = attribution_picture(terms, ["0.0", "0.1", "a", "b"], title="").figure
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars][:3] == [1.0, 2.0, 0.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [5, 17])
def test_the_names_of_many_runs_cover_no_line(n: int) -> None:
    figure = training_curves({f"run {i}": RUNS["first"] for i in range(n)}).figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    inside, frame = legend.get_window_extent(), axes.get_window_extent()
    assert (inside.x0 >= frame.x1) == (n > 6)
    assert figure.bbox.x0 <= inside.x0 < inside.x1 <= figure.bbox.x1, "it leaves the picture"


def test_the_few_pairs_of_a_small_head_are_counted_in_whole_numbers() -> None:
    axes = rotary_picture(n_ctx=7, d_head=8, base=100.0).figure.axes[0]
    assert all(tick == round(tick) for tick in axes.get_yticks())


def test_runs_are_drawn_over_one_another_by_the_tokens_seen() -> None:
    loss, rate, norm = training_curves(RUNS).figure.axes
    assert loss.lines[0].get_xydata().tolist() == [[10, 2.5], [20, 1.5]]  # type: ignore[union-attr]
    assert loss.lines[2].get_xydata().tolist() == [[15, 2.25]]  # type: ignore[union-attr]
    assert rate.lines[1].get_xydata().tolist() == [[15, 0.3]]  # type: ignore[union-attr]
    assert norm.lines[0].get_xydata().tolist() == [[10, 3.0], [20, 1.0]]  # type: ignore[union-attr]
    assert loss.lines[0].get_color() != loss.lines[2].get_color()


def test_each_of_24_runs_has_a_look_of_its_own_in_every_part() -> None:
    figure = training_curves({str(i): RUNS["first"] for i in range(24)}).figure
    for axes, lines_a_run in zip(figure.axes, (2, 1, 1), strict=True):
        looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
        assert len(looks) == 24 * lines_a_run
        assert len(set(looks)) == 24, "two runs look alike"


def test_a_run_of_one_record_is_drawn_as_points() -> None:
    figure = training_curves({"one": RUNS["second"], "more": RUNS["first"]}).figure
    for axes, of_more in zip(figure.axes, (2, 1, 1), strict=True):
        assert axes.lines[0].get_marker() == "o", "one point makes no line"
        assert axes.lines[of_more].get_marker() == "None"


@pytest.mark.parametrize("name", ["_mine", "$a$", "cost $x^$"])
def test_a_run_is_named_as_its_folder_is_whatever_that_means_elsewhere(
    tmp_path: Path, name: str
) -> None:
    svg = training_curves({name: RUNS["first"]}).save(tmp_path / "a.svg")
    assert f">{name}: 1.625<" in svg.read_text(encoding="utf-8")


def test_positions_are_drawn_as_they_are_and_alike_as_their_cosine() -> None:
    encoding, alike = (
        axes.images[0].get_array()
        for axes in sinusoid_picture(n_ctx=7, d_model=10, base=100.0).figure.axes[:2]
    )
    expected = sinusoidal(torch.arange(7)[None], 10, 100.0, torch.float32)[0]
    np.testing.assert_allclose(encoding, expected)  # type: ignore[arg-type]
    cosines = torch.nn.functional.cosine_similarity(expected[:, None], expected[None], dim=-1)
    np.testing.assert_allclose(alike, cosines, rtol=1e-5)  # type: ignore[arg-type]


def test_the_rotary_picture_has_the_cosines_and_the_mean_of_them_by_distance() -> None:
    """Ones in both coordinates of a pair have the score 2 cos(angle): over pairs, their mean."""
    cosines, score = rotary_picture(n_ctx=7, d_head=6, base=100.0).figure.axes[:2]
    angles = torch.arange(7)[:, None] * 100.0 ** (-torch.arange(3) / 3)
    np.testing.assert_allclose(cosines.images[0].get_array(), angles.cos().T, atol=1e-6)  # type: ignore[arg-type]
    drawn = np.asarray(score.lines[0].get_ydata())
    np.testing.assert_allclose(drawn, angles.cos().mean(1), atol=1e-6)
