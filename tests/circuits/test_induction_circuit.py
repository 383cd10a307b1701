"""An induction circuit, learned and then found: by its scores, its weights, and by ablation.

Rows repeat a random stretch of tokens, of a length that differs from row to row, so that
neither the distance nor what is left of the vocabulary tells what comes next: only what
followed last time does.
"""

import math

import pytest
import torch
from torch import Tensor

from transformer.activations.interventions import ablated_heads
from transformer.activations.watching import Edit, edit, watch
from transformer.circuits.heads import head_scores, repeated_tokens, strongest
from transformer.circuits.scores import composition_scores, copying_score
from transformer.circuits.weights import circuits_of
from transformer.components.attention import project
from transformer.components.loss import cross_entropy
from transformer.config import TransformerConfig
from transformer.models.attention_only import attention_only
from transformer.models.gpt import GPT
from transformer.training.optimizer import make_adamw
from transformer.training.step import train_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.learning,
    pytest.mark.house,
]

D_VOCAB, N_CTX, D_MODEL, BATCH = 23, 48, 64, 32
STEPS, LEARNING_RATE = 700, 0.01
UNIFORM = math.log(D_VOCAB)  # nats: what a first half costs at least
UNRELATED = 1 / math.sqrt(D_MODEL)  # the composition score of two matrices that have nothing to do


def rows() -> Tensor:
    period = torch.randint(N_CTX // 4, N_CTX // 2 + 1, (BATCH, 1))
    stretch = torch.randint(D_VOCAB, (BATCH, N_CTX // 2))
    return stretch.gather(1, torch.arange(N_CTX).expand(BATCH, N_CTX) % period)


def trained(n_layers: int) -> GPT:
    torch.manual_seed(0)
    model = attention_only(
        TransformerConfig(
            d_vocab=D_VOCAB, n_ctx=N_CTX, d_model=D_MODEL, n_layers=n_layers, n_heads=2,
            d_head=16, d_mlp=1, bias=False, tied=False, init_std=1 / math.sqrt(D_MODEL),
        )
    )  # fmt: skip
    with torch.no_grad():  # tokens of length 8, positions of half that: learning begins at once
        model.get_parameter("embedding.W_E").normal_(std=1.0)
        model.get_parameter("position.W_pos").normal_(std=0.5)
    # The decay takes away what the circuit does not use, so that its weights stand out.
    optimizer = make_adamw(model, learning_rate=LEARNING_RATE, weight_decay=0.3, betas=(0.9, 0.99))
    for _ in range(STEPS):
        train_step(model, optimizer, rows(), clip_norm=1.0)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> GPT:
    return trained(n_layers=2)


TOKENS = repeated_tokens(d_vocab=D_VOCAB, half=N_CTX // 2, batch=64, seed=1)


@torch.no_grad()
def losses_of_halves(model: GPT, edits: dict[str, Edit] | None = None) -> tuple[float, float]:
    """Return the loss on the first half, and on what of the second the first determines."""
    half = N_CTX // 2
    if edits is None:
        logits = model(TOKENS)
    else:
        with edit(model, edits):
            logits = model(TOKENS)
    first = cross_entropy(logits[:, : half - 1], TOKENS[:, 1:half])
    second = cross_entropy(logits[:, half:-1], TOKENS[:, half + 1 :])
    return first.item(), second.item()


def instead(new: Tensor) -> Edit:
    return lambda _: new


def test_the_model_has_learned_induction_and_one_layer_cannot(model: GPT) -> None:
    """The negative control: one layer has no head of a layer before it to read from."""
    assert losses_of_halves(model)[1] < UNIFORM / 3
    one_layer = trained(n_layers=1)
    assert losses_of_halves(one_layer)[1] > 2 * UNIFORM / 3
    assert head_scores(one_layer, TOKENS).induction.max() < 0.25


def test_the_induction_head_and_the_head_it_builds_on_are_found_by_their_scores(
    model: GPT,
) -> None:
    """In random tokens a head that looks everywhere alike has some 1/20 on any place."""
    found = head_scores(model, TOKENS)
    assert strongest(found.induction)[0] == 1
    assert strongest(found.previous_token)[0] == 0
    assert found.induction[1].max() > 0.5
    assert found.induction[0].max() < 0.2
    assert found.previous_token[0].max() > 0.4
    assert found.previous_token[1].max() < 0.2
    layer, head = strongest(found.induction)
    assert copying_score(circuits_of(model).full_ov)[layer, head] > 0.9, "it copies what it finds"


def test_ablating_the_induction_heads_lifts_the_second_half_to_the_first(model: GPT) -> None:
    found = head_scores(model, TOKENS)
    induction = [(1, head) for head in range(2) if found.induction[1, head] > 0.5]
    first, second = losses_of_halves(model, ablated_heads(induction))
    assert second > 0.9 * UNIFORM
    assert second > 0.9 * first
    previous = strongest(found.previous_token)
    assert losses_of_halves(model, ablated_heads([previous]))[1] > 2 * losses_of_halves(model)[1]


def test_the_induction_head_is_composed_with_the_previous_token_head_through_its_keys(
    model: GPT,
) -> None:
    """By weights: half as much again as unrelated matrices, and more than through Q or V."""
    found, weights = head_scores(model, TOKENS), circuits_of(model)
    before, head = strongest(found.previous_token)[1], strongest(found.induction)[1]
    key, query, value = (
        composition_scores(weights.W_QK, weights.W_OV, side=side)[0, before, 1, head].item()
        for side in ("K", "Q", "V")
    )
    assert key > 1.5 * UNRELATED
    assert key > 1.5 * max(query, value)


@torch.no_grad()
def test_without_the_previous_token_head_in_its_keys_the_induction_head_is_lost(
    model: GPT,
) -> None:
    """By what it does: the head's output is taken from what the keys read, then queries, values."""
    before = strongest(head_scores(model, TOKENS).previous_token)[1]
    with watch(model) as seen:
        model(TOKENS)
    first, second = (model.get_submodule(f"blocks.{layer}.attention") for layer in range(2))
    wrote = seen["blocks.0.attention.z"][:, :, before] @ first.get_parameter("W_O")[before]
    without = seen["blocks.1.attention.x"] - wrote
    loss = {}
    for name in ("q", "k", "v"):
        new = project(without, second.get_parameter(f"W_{name.upper()}"), None)
        _, loss[name] = losses_of_halves(model, {f"blocks.1.attention.{name}": instead(new)})
    whole = losses_of_halves(model)[1]
    assert loss["k"] > 2 * whole
    assert loss["q"] < 1.2 * whole
    assert loss["v"] < 1.2 * whole
