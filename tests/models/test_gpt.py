"""GPT as a whole: its contract, a GPT of torch.nn's modules, and what it can learn."""

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import layer_norm

import transformer
from tests.support import begins_of_its_own, gradient, in_our_layout, minimise, randomise
from transformer.components.attention import Attention
from transformer.components.cache import KeyValueCache
from transformer.components.dropout import Dropout
from transformer.components.loss import next_token_loss
from transformer.config import AttentionPath, NormPosition, PositionKind, TransformerConfig, preset
from transformer.models.gpt import GPT
from transformer.models.parts import Part, Parts

BATCH, POS = 3, 11
CONFIG = TransformerConfig(
    d_vocab=17, n_ctx=13, d_model=10, n_layers=2, n_heads=5, d_head=4, d_mlp=7, norm_eps=0.1
)


def make_gpt(**changes: object) -> GPT:
    """Return a float64 GPT with every parameter random near scale 1."""
    model = GPT(replace(CONFIG, **changes)).double()  # type: ignore[arg-type]
    randomise(model)
    return model


def random_tokens() -> Tensor:
    return torch.randint(CONFIG.d_vocab, (BATCH, POS))


# Contract


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_it_returns_a_logit_for_every_token_of_the_vocabulary_in_the_models_dtype(
    position: PositionKind, dtype: torch.dtype
) -> None:
    logits = make_gpt(position=position).to(dtype)(random_tokens())
    assert (logits.shape, logits.dtype) == ((BATCH, POS, CONFIG.d_vocab), dtype)


@pytest.mark.parametrize("n_pos", [1, CONFIG.n_ctx])
def test_any_length_up_to_n_ctx_is_welcome(n_pos: int) -> None:
    logits = make_gpt()(torch.randint(CONFIG.d_vocab, (BATCH, n_pos)))
    assert logits.shape == (BATCH, n_pos, CONFIG.d_vocab)


@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_more_than_n_ctx_tokens_are_refused_with_both_numbers_and_a_way_out(
    position: PositionKind,
) -> None:
    with pytest.raises(ValueError, match=r"n_ctx = 13 positions, got 14: pass the last 13 tokens"):
        make_gpt(position=position)(torch.zeros(BATCH, 14, dtype=torch.long))


def test_the_logits_of_the_last_positions_can_be_had_alone() -> None:
    model, tokens = make_gpt(), random_tokens()
    positions: list[int] = []
    model.unembedding.register_forward_pre_hook(
        lambda _, given: positions.append(given[0].shape[1])
    )
    whole = model(tokens)
    for n in (1, 3, POS, POS + 2):
        torch.testing.assert_close(model(tokens, n_logits=n), whole[:, -n:])
    assert positions == [POS, 1, 3, POS, POS], "logits are computed that nobody asked for"
    with pytest.raises(ValueError, match="n_logits must be at least 1, or None for all, got 0"):
        model(tokens, n_logits=0)


@pytest.mark.house
def test_a_text_that_is_no_batch_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside of the tests
    with pytest.raises(ValueError, match=r"got the shape \(11,\): tokens\[None\] makes one text a"):
        make_gpt()(random_tokens()[0])


@pytest.mark.parametrize("attention_path", ["explicit", "fused"])
def test_no_token_at_all_is_refused_on_both_paths(attention_path: AttentionPath) -> None:
    with pytest.raises(ValueError, match=r"made for 1 to n_ctx = 13 positions, got 0"):
        make_gpt(attention_path=attention_path)(torch.zeros(BATCH, 0, dtype=torch.long))


@pytest.mark.house
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
def test_in_pieces_with_a_cache_the_logits_are_those_of_the_whole(
    position: PositionKind, padded: bool
) -> None:
    model, tokens = make_gpt(position=position), random_tokens()
    real = torch.arange(POS) >= torch.tensor([0, 2, 5])[:, None] if padded else None
    cache, pieces = [KeyValueCache(), KeyValueCache()], []
    for start, end in ((0, 5), (5, 6), (6, POS)):
        seen = None if real is None else real[:, :end]
        pieces.append(model(tokens[:, start:end], seen, cache=cache))
    at_tokens = slice(None) if real is None else real
    torch.testing.assert_close(torch.cat(pieces, 1)[at_tokens], model(tokens, real)[at_tokens])


@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_past_n_ctx_a_cache_is_refused_with_what_it_holds_and_a_way_out(
    position: PositionKind,
) -> None:
    model, cache = make_gpt(position=position), [KeyValueCache(), KeyValueCache()]
    model(torch.zeros(BATCH, 11, dtype=torch.long), cache=cache)
    too_many = (
        r"n_ctx = 13 positions, got 3 after 11 in the cache: pass the last 13 tokens \(to a new"
    )
    with pytest.raises(ValueError, match=too_many):
        model(torch.zeros(BATCH, 3, dtype=torch.long), cache=cache)
    assert cache[0].length == 11, "what was refused must not be in the cache"
    model(torch.zeros(BATCH, 2, dtype=torch.long), cache=cache)


@pytest.mark.house
@pytest.mark.parametrize(("n_layers", "n_caches"), [(2, 0), (2, 1), (2, 3), (0, 0)])
def test_a_cache_for_another_number_of_blocks_is_refused(n_layers: int, n_caches: int) -> None:
    model, cache = make_gpt(n_layers=n_layers), [KeyValueCache() for _ in range(n_caches)]
    with pytest.raises(ValueError, match=rf"each of the {n_layers} blocks.*got {n_caches}"):
        model(random_tokens(), cache=cache)


def zero_layers_by_hand(model: GPT, tokens: Tensor, positions: Tensor) -> Tensor:
    """Return norm(W_E[token] + W_pos[position]) W_U + b_U."""
    p = dict(model.named_parameters())
    resid = p["embedding.W_E"][tokens]
    if "position.W_pos" in p:
        resid = resid + p["position.W_pos"][positions]
    if model.norm_final is not None:
        scale, bias = p["norm_final.scale"], p["norm_final.bias"]
        resid = layer_norm(resid, resid.shape[-1:], scale, bias, CONFIG.norm_eps)
    return resid @ p["unembedding.W_U"] + p["unembedding.b_U"]


@pytest.mark.parametrize("position", ["learned", "none"])
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_without_layers_it_is_the_bigram_model_of_embedding_and_unembedding(
    position: str, norm_position: str
) -> None:
    model = make_gpt(
        n_layers=0,
        position=position,
        norm_position=norm_position,
        tied=False,
        unembedding_bias=True,
    )
    tokens, positions = random_tokens(), torch.randint(CONFIG.n_ctx, (BATCH, POS))
    torch.testing.assert_close(
        model(tokens, positions=positions), zero_layers_by_hand(model, tokens, positions)
    )


def test_layers_that_add_nothing_leave_embedding_plus_position_once() -> None:
    """Were positions added in every block as well, they would show here."""
    model = make_gpt(tied=False, unembedding_bias=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[2] in ("W_O", "b_O", "W_out", "b_out"):
                parameter.zero_()
    tokens = random_tokens()
    positions = torch.arange(POS).expand(BATCH, POS)
    torch.testing.assert_close(model(tokens), zero_layers_by_hand(model, tokens, positions))


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
def test_positions_count_from_0_by_default_and_matter_where_there_are_any(
    position: PositionKind,
) -> None:
    model, tokens = make_gpt(position=position), random_tokens()
    counted = torch.arange(POS).expand(BATCH, POS)
    assert torch.equal(model(tokens), model(tokens, positions=counted))
    backwards = model(tokens, positions=counted.flip(1))
    assert torch.equal(model(tokens), backwards) == (position == "none")


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
def test_left_padding_with_its_own_positions_changes_no_real_logit(position: PositionKind) -> None:
    model, tokens = make_gpt(position=position), random_tokens()
    lengths = [POS, 7, 1]
    real = torch.stack([torch.arange(POS) >= POS - length for length in lengths])
    positions = (torch.arange(POS) - POS + torch.tensor(lengths)[:, None]).clamp(min=0)
    logits = model(tokens, real, positions)
    for row, length in enumerate(lengths):
        alone = model(tokens[row : row + 1, POS - length :])
        torch.testing.assert_close(logits[row, POS - length :], alone[0])


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_the_fused_path_gives_the_logits_and_gradients_of_the_explicit_one(
    norm_position: str,
) -> None:
    explicit = make_gpt(norm_position=norm_position)
    fused = make_gpt(norm_position=norm_position, attention_path="fused")
    tokens = random_tokens()
    real = torch.arange(POS) < torch.tensor([POS, 7, 1])[:, None]
    for mask in (None, real):
        logits, logits_fused = explicit(tokens, mask), fused(tokens, mask)
        torch.testing.assert_close(logits, logits_fused)
        explicit.zero_grad()
        fused.zero_grad()
        upstream = torch.randn_like(logits)
        logits.backward(upstream)
        logits_fused.backward(upstream)
        for (name, one), other in zip(explicit.named_parameters(), fused.parameters(), strict=True):
            assert torch.allclose(gradient(one), gradient(other)), f"gradient of {name}"


def test_each_layer_has_parameters_of_its_own() -> None:
    model = make_gpt(n_layers=3)
    first, *others = ([id(p) for p in block.parameters()] for block in model.blocks)
    assert len(first) == 16  # attention 8, MLP 4, two norms 2 each
    for other in others:
        assert not set(first) & set(other), "two layers share parameters"
    assert [len(other) for other in others] == [16, 16]


def test_post_norm_has_no_final_norm_because_the_last_block_has_normalised() -> None:
    assert make_gpt(norm_position="post").norm_final is None
    names = dict(make_gpt(norm_position="pre").named_parameters())
    assert {"norm_final.scale", "norm_final.bias"} <= set(names)


def test_a_tied_model_shares_one_parameter_and_counts_it_once() -> None:
    tied, untied = make_gpt(), make_gpt(tied=False)
    assert tied.unembedding.W_E is tied.embedding.W_E
    n_tied, n_untied = (sum(p.numel() for p in m.parameters()) for m in (tied, untied))
    assert n_untied - n_tied == CONFIG.d_model * CONFIG.d_vocab
    next_token_loss(tied(tokens := random_tokens()), tokens).backward()  # type: ignore[no-untyped-call]
    # From both ends: the looked-up rows alone would leave the other rows without gradient.
    assert gradient(tied.get_parameter("embedding.W_E")).all()


@pytest.mark.house
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("llama-7b", 6_738_415_616),
        ("tinyllama-1.1b", 1_100_048_384),
        ("smollm2-135m", 134_515_008),
        ("smollm2-360m", 361_821_120),
    ],
)
def test_the_published_models_have_as_many_parameters_as_their_checkpoints(
    name: str, parameters: int
) -> None:
    with torch.device("meta"):
        model = GPT(preset(name))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_gradient_reaches_every_parameter_in_train_and_in_eval_mode(
    norm_position: str, tied: bool
) -> None:
    model = make_gpt(norm_position=norm_position, tied=tied, unembedding_bias=True, dropout=0.1)
    for mode in (True, False):
        model.train(mode).zero_grad()
        next_token_loss(model(tokens := random_tokens()), tokens).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            # The softmax ignores what all keys share: b_K never matters.
            if not name.endswith("b_K"):
                assert gradient(parameter).any(), f"no gradient reaches {name}"


def test_dropout_acts_on_the_embeddings_too_and_only_in_train_mode() -> None:
    model, tokens = make_gpt(n_layers=0, dropout=0.5, norm_position="post"), random_tokens()
    plain = make_gpt(n_layers=0, norm_position="post")
    assert not torch.allclose(model(tokens), plain(tokens)), "embeddings are not dropped"
    assert torch.equal(model.eval()(tokens), plain(tokens))


def test_dropout_falls_on_the_sum_of_embedding_and_position() -> None:
    # Next to nothing is kept, so next to nothing is left: the logits are those of a zero stream.
    model = make_gpt(n_layers=0, dropout=0.999999, norm_position="post", position="learned")
    logits = model(random_tokens())
    torch.testing.assert_close(logits, logits[:1, :1].expand_as(logits))


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "relu"},
        {"norm": "rms"},
        {"norm_position": "post"},
        {"norm_eps": 0.2},
        {"position": "sinusoidal"},
        {"position": "rotary"},
        {"position": "none"},
        {"mlp": "gated"},
    ],
    ids=str,
)
def test_every_choice_in_the_config_reaches_the_logits(change: dict[str, object]) -> None:
    model, tokens = make_gpt(), random_tokens()
    other = make_gpt(**change)
    shared = other.state_dict() | {
        name: value for name, value in model.state_dict().items() if name in other.state_dict()
    }
    other.load_state_dict(shared)
    assert not torch.allclose(model(tokens), other(tokens)), f"{change} changes nothing"


@pytest.mark.parametrize("position", ["sinusoidal", "rotary"])
def test_the_position_base_reaches_the_positions(position: PositionKind) -> None:
    tokens = random_tokens()
    one, other = (make_gpt(position=position, position_base=base) for base in (10.0, 1000.0))
    assert not torch.allclose(one(tokens), other(tokens))


def test_dropout_reaches_the_embeddings_every_pattern_and_every_addition() -> None:
    given: dict[Module, float] = {}

    def noting(part: type[Module], keyword: str) -> Part:
        def made(**keywords: Any) -> Module:
            module = part(**keywords)
            given[module] = keywords[keyword]
            return module

        return made

    parts = Parts(dropout=noting(Dropout, "p"), attention=noting(Attention, "dropout"))
    model = GPT(replace(CONFIG, n_layers=3, dropout=0.3), parts)
    # A block has one for its pattern, one for both sums.
    assert [given[m] for m in model.modules() if m in given] == [0.3] * (1 + 3 + 3)


def test_initial_weights_have_the_configs_spread_and_shrink_where_layers_add() -> None:
    """Radford et al. 2019, section 2.3: the last weights of a layer by 1/sqrt(2 n_layers)."""
    config = replace(CONFIG, d_model=40, d_mlp=70, n_layers=3, init_std=0.5, tied=False)
    n_weights = 0
    model = GPT(config)
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if last.startswith(("W_", "b_")) and begins_of_its_own(model, name):
            n_weights += last.startswith("W_")
        elif last.startswith("W_"):
            std = 0.5 / math.sqrt(2 * 3) if last in ("W_O", "W_out") else 0.5
            # The spread measured on n draws is off by a share of 1/sqrt(2 n): 5 times that.
            margin = 5 / math.sqrt(2 * parameter.numel())
            assert parameter.std().item() == pytest.approx(std, rel=margin), name
            n_weights += 1
        else:
            assert (parameter == (1.0 if last == "scale" else 0.0)).all(), name
    assert n_weights == 3 + 3 * 6


PACKAGE = Path(transformer.__file__).parent
SOFTMAX = str(PACKAGE / "components" / "softmax.py")


def frames_down_to_the_softmax(model: Module, tokens: Tensor) -> list[list[str]]:
    """Return, for each call of the softmax, our functions on the stack down to it."""
    stacks = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name == "softmax" and code.co_filename == SOFTMAX:
            stack: list[str] = []
            above: FrameType | None = frame
            while above is not None:
                if Path(above.f_code.co_filename).is_relative_to(PACKAGE):
                    stack.append(above.f_code.co_qualname)
                above = above.f_back
            stacks.append(stack[::-1])

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        model(tokens)
    finally:
        sys.setprofile(before)
    return stacks


@pytest.mark.house
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_from_the_models_forward_to_the_softmax_is_at_most_four_frames(norm_position: str) -> None:
    """A learner who steps down from the model is soon at the equation."""
    stacks = frames_down_to_the_softmax(make_gpt(norm_position=norm_position), random_tokens())
    assert len(stacks) == CONFIG.n_layers
    for stack in stacks:
        assert stack[0] == "GPT.forward"
        assert stack[-1] == "softmax"
        assert len(stack) <= 4, " -> ".join(stack)


# Oracle


class TorchGPT(Module):
    """GPT made of torch.nn's own modules."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        pre_norm = config.norm_position == "pre"
        self.embedding = torch.nn.Embedding(config.d_vocab, config.d_model)
        self.position = torch.nn.Embedding(config.n_ctx, config.d_model)
        self.encoder = torch.nn.TransformerEncoder(
            torch.nn.TransformerEncoderLayer(
                config.d_model,
                config.n_heads,
                config.d_mlp,
                dropout=0.0,
                activation=torch.nn.functional.gelu,
                layer_norm_eps=config.norm_eps,
                batch_first=True,
                norm_first=pre_norm,
            ),
            config.n_layers,
            norm=torch.nn.LayerNorm(config.d_model, config.norm_eps) if pre_norm else None,
            enable_nested_tensor=False,
        )
        self.unembedding = torch.nn.Linear(config.d_model, config.d_vocab, bias=False)
        self.unembedding.weight = self.embedding.weight

    def forward(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        n_pos = tokens.shape[1]
        later = torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1)
        resid = self.embedding(tokens) + self.position(torch.arange(n_pos))
        resid = self.encoder(resid, mask=later, src_key_padding_mask=padding)
        logits: Tensor = self.unembedding(resid)
        return logits


def gpt_in_our_layout(theirs: TorchGPT, of: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Return `of` each parameter of torch's GPT, under our names and in our shapes."""
    ours = {
        "embedding.W_E": of(theirs.embedding.weight),
        "unembedding.W_E": of(theirs.embedding.weight),
        "position.W_pos": of(theirs.position.weight),
    }
    if theirs.encoder.norm is not None:
        ours["norm_final.scale"] = of(theirs.get_parameter("encoder.norm.weight"))
        ours["norm_final.bias"] = of(theirs.get_parameter("encoder.norm.bias"))
    for i, layer in enumerate(theirs.encoder.layers):
        for name, value in in_our_layout(layer, of).items():
            ours[f"blocks.{i}.{name}"] = value
    return ours


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_logits_and_gradients_are_those_of_a_gpt_made_of_torchs_modules(
    norm_position: NormPosition, padded: bool
) -> None:
    # torch knows no other head than d_model / n_heads = 2.
    config = replace(CONFIG, d_head=2, activation="gelu", norm_position=norm_position)
    theirs = TorchGPT(config).double()
    randomise(theirs, seed=1)
    ours = GPT(config).double()
    ours.load_state_dict(gpt_in_our_layout(theirs, Tensor.detach))

    tokens = random_tokens()
    lengths = torch.tensor([POS, 7, 1] if padded else [POS, POS, POS])
    real = torch.arange(POS) < lengths[:, None]
    logits = ours(tokens, real if padded else None)
    logits_theirs = theirs(tokens, ~real if padded else None)
    torch.testing.assert_close(logits[real], logits_theirs[real])

    upstream = torch.randn_like(logits) * real[..., None]  # logits at padding mean nothing
    logits.backward(upstream)
    logits_theirs.backward(upstream)
    expected = gpt_in_our_layout(theirs, gradient)
    for name, parameter in ours.named_parameters():
        assert torch.allclose(gradient(parameter), expected[name]), f"gradient of {name}"


# Learning

# Shakespeare, Coriolanus, act 1, scene 1.
EXCERPT = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

First Citizen:
You are all resolved rather to die than to famish?

All:
Resolved. resolved.

First Citizen:
First, you know Caius Marcius is chief enemy to the people.
"""
WINDOW = 29


def excerpt_batch() -> Tensor:
    """Return the excerpt as rows of WINDOW characters, one token each."""
    vocabulary = sorted(set(EXCERPT))
    tokens = torch.tensor([vocabulary.index(character) for character in EXCERPT])
    return tokens[: len(tokens) // WINDOW * WINDOW].view(-1, WINDOW)


def entropy_given(contexts: list[tuple[int, ...]], targets: list[int]) -> float:
    """Return by counting the mean of -ln p(target | context): no loss can be lower."""
    pairs, seen = Counter(zip(contexts, targets, strict=True)), Counter(contexts)
    total = sum(n * math.log(seen[context] / n) for (context, _), n in pairs.items())
    return total / len(targets)


def excerpt_entropy(tokens: Tensor, *, n_seen: int) -> float:
    """Return the entropy of a row's next token, given the last `n_seen` tokens of that row."""
    rows = tokens.tolist()
    places = [(row, t) for row in rows for t in range(1, WINDOW)]
    contexts = [tuple(row[max(0, t - n_seen) : t]) for row, t in places]
    return entropy_given(contexts, [row[t] for row, t in places])


def learner(n_layers: int, *, d_vocab: int, position: PositionKind = "learned") -> GPT:
    return GPT(
        TransformerConfig(
            d_vocab=d_vocab,
            n_ctx=WINDOW,
            d_model=32,
            n_layers=n_layers,
            n_heads=2,
            d_head=16,
            d_mlp=64,
            position=position,
            tied=False,  # tied bigrams are symmetric: "th" would have the logit of "ht"
            init_std=0.1,
        )
    )


def overfit(model: GPT, tokens: Tensor) -> float:
    return minimise(lambda _: next_token_loss(model(tokens), tokens), model.parameters(), steps=150)


@pytest.mark.learning
def test_the_whole_model_overfits_one_batch_of_real_text_to_near_its_floor() -> None:
    """What a causal model cannot know is what the batch leaves open given a row so far.

    Within 0.05 nats of that floor each target gets on (geometric) average at least
    exp(-0.05) = 95% of the probability that it can get.
    """
    tokens = excerpt_batch()
    floor = excerpt_entropy(tokens, n_seen=WINDOW)
    loss = overfit(learner(2, d_vocab=len(set(EXCERPT))), tokens)
    assert floor - 1e-4 < loss < floor + 0.05


@pytest.mark.learning
def test_without_layers_it_learns_the_bigrams_of_the_batch_and_nothing_more() -> None:
    """The negative control: one token is seen, so the floor is the bigrams' entropy."""
    tokens = excerpt_batch()
    bigram = excerpt_entropy(tokens, n_seen=1)
    loss = overfit(learner(0, d_vocab=len(set(EXCERPT)), position="none"), tokens)
    assert bigram - 1e-4 < loss < bigram + 0.05


@pytest.mark.slow
@pytest.mark.learning
def test_random_tokens_cannot_be_forecast() -> None:
    """A loss below ln(d_vocab) would mean that the model sees the answer.

    Every step has fresh tokens, so nothing is learned by heart either. The last tenth of the
    losses is over 12 * 32 * 12 = 4,608 targets, whose surprise spreads by some 0.2 nats about
    ln(17): 0.02 is more than five standard errors of their mean, 0.2 / sqrt(4,608) = 0.003.
    """
    model = learner(2, d_vocab=17)
    loss = minimise(
        lambda _: next_token_loss(model(tokens := torch.randint(17, (32, 13))), tokens),
        model.parameters(),
        steps=120,
    )
    assert loss > math.log(17) - 0.02, "the model sees the token that it should forecast"
