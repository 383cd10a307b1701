"""The decoder's blocks: what is added to the stream, in which order; oracle in the model's test."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Module

from transformer.components.cache import KeyValueCache
from transformer.components.decoder_block import PostNormDecoderBlock, PreNormDecoderBlock
from transformer.components.dropout import Dropout

BATCH, POS, N_SOURCE, D_MODEL = 2, 7, 5, 3


class Part(Module):
    """A part that does one thing to its input, and keeps what it was given besides."""

    def __init__(self, do: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.do = do
        self.given: list[Tensor | None] = []
        self.cache: KeyValueCache | None = None

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        assert positions is None
        self.given, self.cache = [mask, source], cache
        return self.do(x if source is None else x + source.sum(1, keepdim=True))


def parts() -> dict[str, Module]:
    """Parts that do not commute: another order is another result."""
    return {
        "attention": Part(lambda x: x.cumsum(1)),
        "cross_attention": Part(lambda x: x.square()),
        "mlp": Part(lambda x: 3 * x + 1),
        "norm_attention": Part(lambda x: x / 2),
        "norm_cross_attention": Part(lambda x: x - 1),
        "norm_mlp": Part(lambda x: x.flip(-1)),
    }


def streams() -> tuple[Tensor, Tensor]:
    return torch.randn(BATCH, POS, D_MODEL), torch.randn(BATCH, N_SOURCE, D_MODEL)


# Contract


def test_post_norm_normalises_the_stream_after_each_addition() -> None:
    x, source = streams()
    out = PostNormDecoderBlock(**parts(), dropout=Dropout(p=0.0))(x, source)
    x = (x + x.cumsum(1)) / 2
    x = x + (x + source.sum(1, keepdim=True)).square() - 1
    torch.testing.assert_close(out, (x + 3 * x + 1).flip(-1))


def test_pre_norm_normalises_what_each_layer_reads() -> None:
    x, source = streams()
    out = PreNormDecoderBlock(**parts(), dropout=Dropout(p=0.0))(x, source)
    x = x + (x / 2).cumsum(1)
    x = x + (x - 1 + source.sum(1, keepdim=True)).square()
    torch.testing.assert_close(out, x + 3 * x.flip(-1) + 1)


@pytest.mark.parametrize("block_class", [PreNormDecoderBlock, PostNormDecoderBlock])
def test_each_attention_gets_its_own_mask(block_class: type[Module]) -> None:
    given = parts()
    block = block_class(**given, dropout=Dropout(p=0.0))
    mask, source_mask = torch.ones(1, 1, POS, POS).bool(), torch.ones(1, 1, 1, N_SOURCE).bool()
    x, source = streams()
    block(x, source, mask, source_mask)
    attention, cross_attention = given["attention"], given["cross_attention"]
    assert isinstance(attention, Part)
    assert isinstance(cross_attention, Part)
    assert attention.given[0] is mask
    assert attention.given[1] is None
    assert cross_attention.given[0] is source_mask
    assert cross_attention.given[1] is source


@pytest.mark.parametrize("block_class", [PreNormDecoderBlock, PostNormDecoderBlock])
def test_each_attention_gets_its_own_cache_if_there_are_any(block_class: type[Module]) -> None:
    given = parts()
    block = block_class(**given, dropout=Dropout(p=0.0))
    attention, cross_attention = given["attention"], given["cross_attention"]
    assert isinstance(attention, Part)
    assert isinstance(cross_attention, Part)
    block(*streams())
    assert attention.cache is cross_attention.cache is None
    of_target, of_source = KeyValueCache(), KeyValueCache()
    block(*streams(), None, None, of_target, of_source)
    assert attention.cache is of_target
    assert cross_attention.cache is of_source


@pytest.mark.parametrize("block_class", [PreNormDecoderBlock, PostNormDecoderBlock])
def test_dropout_falls_on_each_of_the_three_additions(block_class: type[Module]) -> None:
    dropped = Part(torch.zeros_like)
    calls = []
    dropped.do = lambda x: calls.append(x) or torch.zeros_like(x)  # type: ignore[func-returns-value]
    given = parts() | {name: Part(lambda x: x) for name in parts() if name.startswith("norm")}
    x, source = streams()
    assert torch.equal(block_class(**given, dropout=dropped)(x, source), x)
    assert len(calls) == 3
