"""BERT: equal to torch's encoder around our embeddings; it reads both ways, and never padding."""

import math
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support import in_our_layout, minimise, randomise
from transformer.components.attention import Attention
from transformer.components.loss import cross_entropy
from transformer.data.sources.markov import random_chain
from transformer.models.bert import (
    BERT,
    BERT_PRESETS,
    BERTConfig,
    ClassifierBERT,
    MaskedLanguageBERT,
)
from transformer.models.parts import Parts

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


def test_a_text_that_is_no_batch_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of the tests
    with pytest.raises(ValueError, match=r"got the shape \(11,\): tokens\[None\] makes one text a"):
        make()(random_tokens()[0])


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


def dropped(out: Tensor, whole: Tensor, p: float) -> None:
    """Assert that of `whole` about a part p was zeroed, and the rest scaled to make up for it."""
    kept = out != 0
    assert abs((~kept).double().mean() - p) < 5 * math.sqrt(p * (1 - p) / out.numel())
    torch.testing.assert_close(out[kept], whole[kept] / (1 - p))


def test_in_training_dropout_is_on_the_embeddings() -> None:
    model, tokens = make(replace(CONFIG, n_layers=0, dropout=0.3)), random_tokens()
    whole = model(tokens)
    dropped(model.train()(tokens), whole, 0.3)


def test_in_training_dropout_is_on_what_the_classifier_reads() -> None:
    config = replace(CONFIG, dropout=0.3)
    model = ClassifierBERT(config, n_classes=10).double().eval()
    randomise(model)
    with torch.no_grad():  # the logits are then what the classifier reads
        model.get_parameter("classifier.W").copy_(torch.eye(10))
        model.get_parameter("classifier.b").zero_()
    tokens = torch.randint(CONFIG.d_vocab, (31, POS))
    whole = model(tokens)
    model.dropout.train()
    dropped(model(tokens), whole, 0.3)


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


# Learning

N_STATES, LENGTH = 5, 7
MASK = N_STATES  # hides a token; CLS below, in front of a row
CHAIN = random_chain(N_STATES, n_ctx=LENGTH, seed=3)


def entropy_between() -> float:
    """Return the entropy of a token of the chain given the two beside it, in nats."""
    share = torch.from_numpy(CHAIN.stationary)[:, None] * torch.from_numpy(CHAIN.next_token)
    three = share[:, :, None] * torch.from_numpy(CHAIN.next_token)  # before, hidden, after
    given = three / three.sum(1, keepdim=True)
    return -(three * given.log()).sum().item()


def learn_hidden_tokens(parts: Parts = Parts()) -> float:
    """Train to name one hidden token a row, the rest being seen; return the loss in nats."""
    config = replace(
        CONFIG, d_vocab=N_STATES + 1, n_ctx=LENGTH, d_model=32, n_layers=1, n_heads=2, d_head=16,
        d_mlp=32, init_std=0.1,
    )  # fmt: skip
    model, rows = MaskedLanguageBERT(config, parts), torch.arange(128)
    source = np.random.default_rng(0)
    texts = torch.from_numpy(np.stack([CHAIN.draw(source) for _ in range(20_000)]))

    def loss_of_step(_: int) -> Tensor:
        tokens = texts[torch.randint(len(texts), (128,))]
        place = torch.randint(1, LENGTH - 1, (128,))
        hidden = tokens.clone()
        hidden[rows, place] = MASK
        return cross_entropy(model(hidden)[rows, place], tokens[rows, place])

    return minimise(loss_of_step, model.parameters(), steps=400, lr=0.005)


@pytest.mark.learning
@pytest.mark.slow
def test_a_hidden_token_is_named_as_well_as_its_two_neighbours_allow() -> None:
    """In a Markov chain all that a row tells of a token stands beside it.

    The last 40 steps have 5,120 hidden tokens, whose surprise spreads by some 0.7 nats: the
    standard error of their mean is 0.01. Four of them, and 0.04 for what is not learned yet.
    """
    floor = entropy_between()
    assert floor - 0.04 < learn_hidden_tokens() < floor + 0.08


@pytest.mark.learning
@pytest.mark.slow
def test_with_causal_attention_a_hidden_token_is_known_from_the_one_before_it_alone() -> None:
    """The negative control: what remains is the chain's entropy rate."""
    rate = float(CHAIN.floors[-1])
    assert rate > entropy_between() + 0.2
    causal = Parts(attention=lambda **given: Attention(**given | {"causal": True}))
    assert learn_hidden_tokens(causal) > rate - 0.04


def learn_order(*, positions: bool) -> float:
    """Train to say whether token 1 comes before token 2 in a row; return the loss in nats."""
    config = replace(
        CONFIG, d_vocab=6, n_ctx=LENGTH, d_model=32, n_layers=1, n_heads=2, d_head=16, d_mlp=32,
        init_std=0.1,
    )  # fmt: skip
    model = ClassifierBERT(config, n_classes=2)
    same_place = None if positions else torch.zeros(64, LENGTH, dtype=torch.long)

    def loss_of_step(_: int) -> Tensor:
        tokens = torch.randint(3, 6, (64, LENGTH))
        places = 1 + torch.rand(64, LENGTH - 1).argsort(dim=1)[:, :2]  # two different ones
        tokens.scatter_(1, places, torch.tensor([1, 2]).expand(64, 2))
        tokens[:, 0] = 0  # the place that the pooler reads
        return cross_entropy(
            model(tokens, None, None, same_place), (places[:, 0] < places[:, 1]).long()
        )

    return minimise(loss_of_step, model.parameters(), steps=250, lr=0.01)


@pytest.mark.learning
@pytest.mark.slow
def test_a_class_that_depends_on_the_order_of_words_is_learned() -> None:
    """The order is in the row: the floor is 0. 0.1 nats leave the class 90% sure."""
    assert learn_order(positions=True) < 0.1


@pytest.mark.learning
@pytest.mark.slow
def test_where_all_words_stand_at_one_place_their_order_is_a_coin() -> None:
    """1,600 guesses at ln 2; a loss below would mean that the order is seen."""
    assert learn_order(positions=False) > math.log(2) - 0.02
