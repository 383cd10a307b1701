"""Ablation, patching and the logit lens do what their definitions say."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import randomise
from transformer.activations.interventions import ablated_heads, logit_lens, patched
from transformer.activations.watching import edit, watch
from transformer.config import NormPosition, TransformerConfig
from transformer.models.gpt import GPT

pytestmark = pytest.mark.house
BATCH, POS = 3, 11


def make(norm_position: NormPosition = "pre") -> Any:
    model = GPT(
        TransformerConfig(
            d_vocab=17, n_ctx=13, d_model=10, n_layers=3, n_heads=5, d_head=4, d_mlp=7,
            norm_position=norm_position,
        )
    ).double()  # fmt: skip
    randomise(model)
    return model.eval()


def random_tokens() -> Tensor:
    return torch.randint(17, (BATCH, POS))


def test_an_ablated_head_is_one_whose_output_matrix_is_zero() -> None:
    model, tokens = make(), random_tokens()
    with edit(model, ablated_heads([(0, 1), (2, 4), (0, 3)])):
        ablated = model(tokens)
    with torch.no_grad():
        for layer, head in ((0, 1), (2, 4), (0, 3)):
            model.blocks[layer].attention.W_O[head] = 0.0
    torch.testing.assert_close(ablated, model(tokens))


def test_with_the_whole_stream_patched_in_the_rest_is_the_other_run() -> None:
    model, clean, corrupted = make(), random_tokens(), random_tokens()
    with watch(model) as seen:
        expected = model(clean)
    with edit(model, patched(seen, "blocks.1.resid_post")):
        torch.testing.assert_close(model(corrupted), expected)
    assert not torch.allclose(model(corrupted), expected)


def test_patched_positions_alone_are_those_of_the_other_run() -> None:
    model, clean, corrupted = make(), random_tokens(), random_tokens()
    name = "blocks.1.resid_post"
    with watch(model) as seen:
        model(clean)
    with watch(model, name) as other:
        model(corrupted)
    with edit(model, patched(seen, name, positions=[2, 5])), watch(model, name) as mixed:
        model(corrupted)
    for position in range(POS):
        source = seen if position in (2, 5) else other
        assert torch.equal(mixed[name][:, position], source[name][:, position])


@pytest.mark.parametrize("positions", [[2, 7], slice(3, 5)])
@pytest.mark.parametrize("kind", ["scores", "pattern"])
def test_the_positions_of_a_pattern_are_those_of_its_queries(
    kind: str, positions: slice | list[int]
) -> None:
    model, clean, corrupted = make(), random_tokens(), random_tokens()
    name = f"blocks.1.attention.{kind}"
    with watch(model) as seen:
        model(clean)
    with watch(model, name) as other:
        model(corrupted)
    with edit(model, patched(seen, name, positions=positions)), watch(model, name) as mixed:
        model(corrupted)
    for position in range(POS):
        source = seen if position in (*torch.arange(POS)[positions],) else other
        assert torch.equal(mixed[name][:, :, position], source[name][:, :, position])


def test_one_row_is_patched_into_every_row() -> None:
    model, one, several = make(), random_tokens()[:1], random_tokens()
    name = "blocks.1.resid_post"
    with watch(model, name) as seen:
        expected = model(one)
    with edit(model, patched(seen, name)):
        torch.testing.assert_close(model(several), expected.expand(BATCH, -1, -1))


def test_what_the_model_has_computed_is_left_as_it_was_where_it_is_patched() -> None:
    """What block 1 reads is the tensor that block 0 has returned: patched is a copy of it."""
    model, clean, corrupted = make(), random_tokens(), random_tokens()
    with watch(model, "blocks.0", "blocks.1.resid_pre") as seen:
        model(clean)
    with watch(model, "blocks.0") as other:
        model(corrupted)
    put = patched(seen, "blocks.1.resid_pre", positions=[2, 5])
    with edit(model, put), watch(model, "blocks.0") as kept:
        model(corrupted)
    assert torch.equal(kept["blocks.0"], other["blocks.0"])


@pytest.mark.parametrize(("rows", "columns"), [(BATCH, 1), (1, 1), (2, POS), (BATCH, 7)])
def test_a_run_of_another_shape_is_not_patched_in(rows: int, columns: int) -> None:
    model, tokens = make(), random_tokens()
    name = "blocks.1.resid_post"
    with watch(model, name) as seen:
        model(tokens[:rows, :columns])
    said = rf"resid_post is \({rows}, {columns}, 10\) in the run to take from and \(3, 11, 10\)"
    with pytest.raises(ValueError, match=said), edit(model, patched(seen, name)):
        model(tokens)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_the_lens_begins_with_the_bigrams_and_ends_with_the_model(
    norm_position: NormPosition,
) -> None:
    model, tokens = make(norm_position), random_tokens()
    lens = logit_lens(model, tokens)
    assert lens.shape == (4, BATCH, POS, 17)
    torch.testing.assert_close(lens[-1], model(tokens))
    first = model.embedding(tokens) + model.position(torch.arange(POS)[None])
    if model.norm_final is not None:
        first = model.norm_final(first)
    torch.testing.assert_close(lens[0], first @ model.embedding.W_E.T)


@pytest.mark.parametrize("layer", [1, 2])
def test_the_lens_is_the_model_with_the_blocks_after_it_left_out(layer: int) -> None:
    model, tokens = make(), random_tokens()
    lens = logit_lens(model, tokens)
    del model.blocks[layer:]
    torch.testing.assert_close(model(tokens), lens[layer])
