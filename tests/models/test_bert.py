"""BERT: equal to torch's encoder around our embeddings; it reads both ways, and never padding."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support import in_our_layout, randomise
from transformer.models.bert import (
    BERT,
    BERT_PRESETS,
    BERTConfig,
    ClassifierBERT,
    MaskedLanguageBERT,
)

CONFIG = BERTConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=2, d_mlp=7, n_segments=3
)
BATCH, POS = 3, 11


def make(config: BERTConfig = CONFIG, *, pooler: bool = False) -> BERT:
    model = BERT(config, pooler=pooler).double().eval()
    randomise(model)
    return model


def random_tokens() -> Tensor:
    return torch.randint(CONFIG.d_vocab, (BATCH, POS))


def some_real() -> Tensor:
    return torch.arange(POS) < torch.tensor([[POS], [7], [2]])


# Contract


def test_every_token_sees_every_other_in_both_directions() -> None:
    model, tokens = make(), random_tokens()
    before = model(tokens)
    for changed in (0, POS - 1):
        other = tokens.clone()
        other[:, changed] = (other[:, changed] + 1) % CONFIG.d_vocab
        assert ((model(other) - before).abs().amax(-1) > 0).all()


def test_padding_of_any_content_changes_nothing_real() -> None:
    model, tokens, real = make(), random_tokens(), some_real()
    refilled = torch.where(real, tokens, random_tokens())
    assert torch.equal(model(refilled, real)[real], model(tokens, real)[real])
    alone = model(tokens[1:2, :7])
    torch.testing.assert_close(model(tokens, real)[1, :7], alone[0])


def test_segments_are_0_and_positions_count_from_0_unless_given() -> None:
    model, tokens = make(), random_tokens()
    positions = torch.arange(POS).expand(BATCH, POS)
    given = model(tokens, None, torch.zeros_like(tokens), positions)
    assert torch.equal(model(tokens), given)
    assert not torch.allclose(model(tokens, None, torch.ones_like(tokens)), given)
    assert not torch.allclose(model(tokens, None, None, positions.flip(1)), given)


def test_the_position_offset_is_where_the_table_is_read() -> None:
    """RoBERTa's first token reads row 2; the rows before it are padding's."""
    plain, offset = make(), make(replace(CONFIG, position_offset=2))
    assert offset.position.W_pos.shape == (15, 10)
    state = offset.state_dict()
    state |= {name: value for name, value in plain.state_dict().items() if "W_pos" not in name}
    state["position.W_pos"] = torch.cat(
        [torch.full((2, 10), 9.0), plain.get_parameter("position.W_pos")]
    )
    offset.load_state_dict(state)
    tokens = random_tokens()
    assert torch.equal(offset(tokens), plain(tokens))


@pytest.mark.parametrize("n_pos", [0, 14])
def test_as_many_positions_as_n_ctx_and_no_more(n_pos: int) -> None:
    make()(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(ValueError, match=f"1 to n_ctx = 13 positions, got {n_pos}"):
        make()(torch.zeros(1, n_pos, dtype=torch.long))


def test_the_unembedding_is_tied_and_has_a_bias_and_each_weight_counts() -> None:
    model = MaskedLanguageBERT(CONFIG).double()
    randomise(model)
    assert model.unembedding.W_E is model.bert.embedding.W_E
    model(random_tokens(), None, torch.randint(3, (BATCH, POS))).square().sum().backward()
    for name, parameter in model.named_parameters():
        if not name.endswith("attention.b_K"):  # it shifts a row of scores by one number
            assert parameter.grad is not None, f"{name} is not used"
            assert (parameter.grad != 0).any(), f"{name} changes nothing"


def test_the_classifier_reads_the_first_token_and_no_padding() -> None:
    model = ClassifierBERT(CONFIG, n_classes=4).double().eval()
    randomise(model)
    tokens, real = random_tokens(), some_real()
    logits = model(tokens, real)
    assert logits.shape == (BATCH, 4)
    pooled = model.bert.pool(model.bert(tokens, real))
    assert pooled.abs().max() < 1
    W, b = (model.get_parameter(f"classifier.{name}") for name in "Wb")
    torch.testing.assert_close(logits, pooled @ W + b)
    refilled = torch.where(real, tokens, random_tokens())
    assert torch.equal(model(refilled, real), logits)


def test_without_a_pooler_it_is_said_how_to_get_one() -> None:
    with pytest.raises(ValueError, match="pooler=True"):
        make().pool(torch.zeros(1, 1, 10, dtype=torch.float64))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_segments": 0}, "n_segments must be at least 1; got 0"),
        ({"position_offset": -1}, "position_offset must be at least 0; got -1"),
        ({"position": "rotary"}, "position must be learned in BERT; got 'rotary'"),
        ({"d_model": 0}, "d_model must be an integer of at least 1; got 0"),
    ],
    ids=str,
)
def test_an_impossible_config_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]


# Parameters of the published models, as their files hold them: with the pooler.
PUBLISHED = {
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "roberta-base": 124_645_632,
    "roberta-large": 355_359_744,
}


@pytest.mark.parametrize("name", BERT_PRESETS)
def test_a_preset_has_as_many_parameters_as_the_published_model(name: str) -> None:
    with torch.device("meta"):
        model = BERT(BERT_PRESETS[name], pooler=True)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name]


# Oracle


def test_the_encoder_is_torchs_around_the_normalised_sum_of_embeddings() -> None:
    layer = torch.nn.TransformerEncoderLayer(
        CONFIG.d_model,
        CONFIG.n_heads,
        CONFIG.d_mlp,
        dropout=0.0,
        activation=torch.nn.functional.gelu,
        layer_norm_eps=CONFIG.norm_eps,
        batch_first=True,
        norm_first=False,
        dtype=torch.float64,
    )
    theirs = torch.nn.TransformerEncoder(layer, CONFIG.n_layers, enable_nested_tensor=False)
    randomise(theirs)
    ours = make()
    state = ours.state_dict()
    for i, one in enumerate(theirs.layers):
        for name, value in in_our_layout(one, Tensor.detach).items():
            state[f"blocks.{i}.{name}"] = value
    ours.load_state_dict(state)

    tokens, real, segments = random_tokens(), some_real(), torch.randint(3, (BATCH, POS))
    total = state["embedding.W_E"][tokens] + state["segment.W_E"][segments]
    total = total + state["position.W_pos"][:POS]
    scale, bias = state["norm_embedding.scale"], state["norm_embedding.bias"]
    total = torch.nn.functional.layer_norm(total, (10,), scale, bias, CONFIG.norm_eps)
    expected = theirs(total, src_key_padding_mask=~real)
    torch.testing.assert_close(ours(tokens, real, segments)[real], expected[real])
