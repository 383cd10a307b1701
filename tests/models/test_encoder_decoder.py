"""The encoder-decoder: torch's own stacks around scaled embeddings; it reverses and sorts."""

import math
from collections.abc import Callable
from dataclasses import replace

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

from tests.support import in_our_layout, minimise, randomise
from transformer.components.loss import next_token_loss
from transformer.components.position import sinusoidal
from transformer.config import NormPosition, TransformerConfig
from transformer.models.encoder_decoder import ENCODER_DECODER_PRESETS, EncoderDecoder
from transformer.models.parts import Parts

CONFIG = TransformerConfig(
    d_vocab=17,
    n_ctx=13,
    d_model=10,
    n_layers=2,
    n_heads=5,
    d_head=2,
    d_mlp=7,
    activation="relu",
    norm_position="post",
    position="sinusoidal",
)
BATCH, N_SOURCE, N_TARGET = 3, 11, 7


def make(config: TransformerConfig = CONFIG) -> EncoderDecoder:
    model = EncoderDecoder(config).double().eval()
    randomise(model)
    return model


def some_tokens() -> tuple[Tensor, Tensor]:
    return torch.randint(17, (BATCH, N_SOURCE)), torch.randint(17, (BATCH, N_TARGET))


def changed_at(tokens: Tensor, place: int) -> Tensor:
    other = tokens.clone()
    other[:, place] = (other[:, place] + 1) % 17
    return other


# Contract


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_the_target_is_read_backwards_only_and_the_source_everywhere(
    norm_position: NormPosition,
) -> None:
    model = make(replace(CONFIG, norm_position=norm_position))
    source, target = some_tokens()
    logits = model(source, target)
    for place in range(N_TARGET):
        same = (model(source, changed_at(target, place)) == logits).all(dim=-1)
        assert same[:, :place].all(), f"position {place} is seen by an earlier one"
        assert not same[:, place:].any(), f"position {place} is not seen by a later one"
    for place in (0, N_SOURCE - 1):
        assert (model(changed_at(source, place), target) != logits).any(dim=-1).all()


@pytest.mark.house
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_dropout_falls_on_both_embeddings_and_on_all_that_layers_add(
    norm_position: NormPosition,
) -> None:
    used = []

    class Recorded(nn.Module):
        def __init__(self, *, p: float) -> None:
            super().__init__()
            self.p = p

        def forward(self, x: Tensor) -> Tensor:
            used.append((self.p, x.shape[1]))
            return x

    config = replace(CONFIG, dropout=0.3, norm_position=norm_position)
    model = EncoderDecoder(config, Parts(dropout=Recorded))
    model(*some_tokens())
    of_source, of_target = [(0.3, N_SOURCE)], [(0.3, N_TARGET)]
    # An embedding each; two additions in a block of the encoder, three in one of the decoder.
    assert used == of_source * (1 + 2 * 2) + of_target * (1 + 2 * 3)


def test_padding_of_the_source_is_never_read() -> None:
    model, (source, target) = make(), some_tokens()
    real = torch.arange(N_SOURCE) < torch.tensor([[N_SOURCE], [7], [2]])
    refilled = torch.where(real, source, torch.randint(17, source.shape))
    logits = model(source, target, real)
    assert torch.equal(model(refilled, target, real), logits)
    torch.testing.assert_close(model(source[1:2, :7], target[1:2]), logits[1:2])


def test_an_encoded_source_can_be_decoded_again_and_again() -> None:
    model, (source, target) = make(), some_tokens()
    encoded = model.encode(source)
    assert torch.equal(model.decode(target, encoded), model(source, target))
    torch.testing.assert_close(model.decode(target[:, :3], encoded), model(source, target)[:, :3])


def test_one_matrix_embeds_source_and_target_and_unembeds() -> None:
    model = make()
    names = [name for name, _ in model.named_parameters() if name.endswith(("W_E", "W_U"))]
    assert names == ["embedding.W_E"]
    assert model.unembedding.W_E is model.embedding.W_E


def test_every_parameter_counts() -> None:
    model, (source, target) = make(), some_tokens()
    model(source, target).square().sum().backward()
    for name, parameter in model.named_parameters():
        if not name.endswith("attention.b_K"):  # it shifts a row of scores by one number
            assert parameter.grad is not None, f"{name} is not used"
            assert (parameter.grad != 0).any(), f"{name} changes nothing"


def test_too_many_positions_and_rotary_ones_are_refused() -> None:
    model, (source, target) = make(), some_tokens()
    with pytest.raises(ValueError, match="1 to n_ctx = 13 positions, got 14"):
        model(torch.zeros(1, 14, dtype=torch.long), target[:1])
    with pytest.raises(ValueError, match="1 to n_ctx = 13 positions, got 0"):
        model(source, target[:, :0])
    with pytest.raises(ValueError, match="take sinusoidal"):
        EncoderDecoder(replace(CONFIG, position="rotary"))


def test_a_text_that_is_no_batch_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, (source, target) = make(), some_tokens()
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of the tests
    with pytest.raises(ValueError, match=r"got the shape \(11,\): tokens\[None\] makes one text a"):
        model.encode(source[0])
    with pytest.raises(ValueError, match=r"got the shape \(7,\): tokens"):
        model.decode(target[0], model.encode(source))


# Vaswani et al. 2017, table 3, last column: in millions, rounded.
@pytest.mark.parametrize(("name", "millions"), [("transformer-base", 65), ("transformer-big", 213)])
def test_a_preset_has_as_many_parameters_as_the_paper_says(name: str, millions: int) -> None:
    with torch.device("meta"):
        model = EncoderDecoder(ENCODER_DECODER_PRESETS[name])
    n_parameters = sum(p.numel() for p in model.parameters())
    # The paper's vocabulary is "about 37000" tokens: its matrix may be off by a hundredth.
    assert n_parameters / 1e6 == pytest.approx(millions, rel=0.03)


# Oracle


def decoder_layer_in_our_layout(theirs: nn.TransformerDecoderLayer) -> dict[str, Tensor]:
    """Return torch's parameters under our names: self-attention as in its encoder's layer."""
    ours: dict[str, Tensor] = {}
    for name, attention in (
        ("attention", theirs.self_attn),
        ("cross_attention", theirs.multihead_attn),
    ):
        stand_in = nn.TransformerEncoderLayer(10, 5, 7, dtype=torch.float64)
        stand_in.self_attn.load_state_dict(attention.state_dict())
        layer = in_our_layout(stand_in, Tensor.detach)
        ours |= {
            key.replace("attention.", f"{name}.", 1): value
            for key, value in layer.items()
            if key.startswith("attention.")
        }
    for name, norm in (
        ("norm_attention", theirs.norm1),
        ("norm_cross_attention", theirs.norm2),
        ("norm_mlp", theirs.norm3),
    ):
        ours |= {f"{name}.scale": norm.weight.detach(), f"{name}.bias": norm.bias.detach()}
    ours |= {
        "mlp.W_in": theirs.linear1.weight.detach().T,
        "mlp.b_in": theirs.linear1.bias.detach(),
        "mlp.W_out": theirs.linear2.weight.detach().T,
        "mlp.b_out": theirs.linear2.bias.detach(),
    }
    return ours


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_logits_are_those_of_torchs_transformer(norm_position: NormPosition) -> None:
    pre_norm = norm_position == "pre"
    layer = nn.TransformerEncoderLayer(
        10, 5, 7, dropout=0.0, norm_first=pre_norm, batch_first=True, dtype=torch.float64
    )
    norm = nn.LayerNorm(10, dtype=torch.float64)
    theirs = nn.Transformer(
        10,
        5,
        num_decoder_layers=2,
        dim_feedforward=7,
        dropout=0.0,
        norm_first=pre_norm,
        batch_first=True,
        dtype=torch.float64,
        custom_encoder=nn.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False),
    )
    if not pre_norm:  # torch normalises once more at each end, the paper does not
        theirs.encoder.norm = theirs.decoder.norm = None
    randomise(theirs)
    ours = make(replace(CONFIG, norm_position=norm_position))
    state = ours.state_dict()
    for i, one in enumerate(theirs.encoder.layers):
        assert isinstance(one, nn.TransformerEncoderLayer)
        state |= {f"encoder.{i}.{k}": v for k, v in in_our_layout(one, Tensor.detach).items()}
    for i, decoder_layer in enumerate(theirs.decoder.layers):
        assert isinstance(decoder_layer, nn.TransformerDecoderLayer)
        layer_state = decoder_layer_in_our_layout(decoder_layer)
        state |= {f"decoder.{i}.{k}": v for k, v in layer_state.items()}
    if pre_norm:
        for name in ("encoder", "decoder"):
            final = theirs.get_submodule(f"{name}.norm").state_dict()
            state |= {f"norm_{name}.scale": final["weight"], f"norm_{name}.bias": final["bias"]}
    ours.load_state_dict(state)

    source, target = some_tokens()
    real = torch.arange(N_SOURCE) < torch.tensor([[N_SOURCE], [7], [2]])

    W_E = ours.get_parameter("embedding.W_E")

    def enter(tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1])[None]
        return W_E[tokens] * math.sqrt(10) + sinusoidal(positions, 10, 10_000.0, torch.float64)

    later = torch.ones(N_TARGET, N_TARGET, dtype=torch.bool).triu(1)
    out = theirs(
        enter(source),
        enter(target),
        tgt_mask=later,
        src_key_padding_mask=~real,
        memory_key_padding_mask=~real,
    )
    torch.testing.assert_close(ours(source, target, real), out @ W_E.T)


# Learning

N_LETTERS, LENGTH = 7, 5
START = N_LETTERS  # the token that begins every target


def learn(
    answer: Callable[[Tensor], Tensor], *, blind: bool = False, positions: bool = True
) -> float:
    """Train to write `answer(source)`; return the loss in nats a letter.

    With `blind` the decoder reads a source of another row: as if it had no cross-attention.
    """
    model = EncoderDecoder(
        TransformerConfig(
            d_vocab=N_LETTERS + 1,
            n_ctx=LENGTH + 1,
            d_model=32,
            n_layers=1,
            n_heads=2,
            d_head=16,
            d_mlp=64,
            activation="relu",
            norm_position="post",
            position="sinusoidal" if positions else "none",
            init_std=32**-0.5,
        )
    )

    def loss_of_step(_: int) -> Tensor:
        source = torch.randint(N_LETTERS, (64, LENGTH))
        target = torch.cat([torch.full((64, 1), START), answer(source)], dim=1)
        seen = torch.randint(N_LETTERS, (64, LENGTH)) if blind else source
        return next_token_loss(model(seen, target), target)

    return minimise(loss_of_step, model.parameters(), steps=300, lr=0.006)


def reversed_row(source: Tensor) -> Tensor:
    return source.flip(1)


def sorted_row(source: Tensor) -> Tensor:
    return source.sort(dim=1).values


def order_entropy() -> float:
    """Return the entropy of a row given which letters it has, in nats a letter.

    It is the mean over all rows of ln(how many orders its letters have) / LENGTH. What is left
    of ln(N_LETTERS) is the entropy of which letters there are, and so that of the sorted row.
    """
    rows = torch.cartesian_prod(*[torch.arange(N_LETTERS)] * LENGTH)
    counts = nn.functional.one_hot(rows, N_LETTERS).sum(1)
    n_orders = math.lgamma(LENGTH + 1) - torch.lgamma(counts + 1.0).sum(1)
    return n_orders.mean().item() / LENGTH


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("answer", [reversed_row, sorted_row])
def test_it_learns_to_reverse_and_to_sort(answer: Callable[[Tensor], Tensor]) -> None:
    """The source determines the target: the floor is 0. 0.05 nats leave a letter 95% sure."""
    assert learn(answer) < 0.05


# A loss that is the mean of 30 steps of 64 rows is off by some 0.01 nats.


@pytest.mark.learning
@pytest.mark.slow
def test_without_its_source_it_writes_letters_that_cannot_be_known() -> None:
    # Of a sorted row the letters before tell something of the next; the rest is the entropy of
    # which letters there are.
    loss = learn(sorted_row, blind=True)
    assert loss > math.log(N_LETTERS) - order_entropy() - 0.02


@pytest.mark.learning
@pytest.mark.slow
def test_without_positions_it_knows_the_letters_and_not_their_order() -> None:
    """An encoder without positions sees a set of letters: enough to sort, not to reverse."""
    assert learn(reversed_row, positions=False) > order_entropy() - 0.02
