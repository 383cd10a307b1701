"""Objectives: what is read, what counts, how wrong it is; and the step and evaluation on each."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy

from tests.support import gradient, randomise
from transformer.data.labelled_rows import LabelledBatch, LabelledRows
from transformer.data.masked_language import MaskedBatch, mask_tokens
from transformer.data.masked_windows import EncoderTokens, MaskedWindows
from transformer.data.rows import split_batch
from transformer.models.bert import BERTConfig, ClassifierBERT, MaskedLanguageBERT
from transformer.training.figures import validation_figures
from transformer.training.objective import (
    NEXT_TOKEN,
    OBJECTIVES,
    NextTokenInPlace,
    Objective,
    hidden_places,
)
from transformer.training.step import accumulate_gradients

CONFIG = BERTConfig(
    d_vocab=13, n_ctx=11, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=17, dropout=0.0
)
MASK, N_CLASSES = 4, 3
SPECIAL = EncoderTokens(pad=0, start=2, end=3, mask=MASK)


def a_case(name: str) -> tuple[Module, Objective[Any], Any]:
    """A random model in float64, its objective, and a batch of 7 rows."""
    if name == "masked-language":
        model: Module = MaskedLanguageBERT(CONFIG)
        tokens = torch.randint(5, 13, (7, 11))
        batch: Any = mask_tokens(tokens, mask_token=MASK, d_vocab=13, p_chosen=0.3)
    else:
        model = ClassifierBERT(CONFIG, n_classes=N_CLASSES)
        real = torch.arange(11) < torch.tensor([11, 3, 5, 11, 2, 7, 1])[:, None]
        tokens = torch.randint(5, 13, (7, 11)).masked_fill(~real, SPECIAL.pad)
        batch = LabelledBatch(tokens, real, torch.tensor([2, 0, 1, 1, 0, 2, 2]))
    model.double()
    randomise(model)
    return model, OBJECTIVES[name], batch  # type: ignore[index]


def surprises(model: Module, batch: Any) -> Tensor:
    """Slowly: the surprise at each target of a batch, row by row."""
    if isinstance(batch, MaskedBatch):
        found = []
        for read, answer, chosen in zip(*batch, strict=True):
            logits = model(read[None])[0]
            found += [cross_entropy(logits[t], answer[t]) for t in chosen.nonzero()[:, 0]]
        return torch.stack(found)
    return torch.stack(
        [  # without its padding, alone
            cross_entropy(model(tokens[real][None])[0], label)
            for tokens, real, label in zip(*batch, strict=True)
        ]
    )


# Contract


def test_a_next_token_is_asked_of_every_token_but_the_last() -> None:
    tokens = torch.tensor([[5, 1, 4], [2, 0, 3]])
    assert [read.tolist() for read in NEXT_TOKEN.inputs(tokens)] == [[[5, 1], [2, 0]]]
    assert NEXT_TOKEN.n_targets(tokens) == 4
    logits = torch.eye(6)[torch.tensor([[1, 4], [3, 3]])]  # the second row's first is wrong
    assert NEXT_TOKEN.n_right(logits, tokens) == 3


@pytest.mark.parametrize("name", ["masked-language", "classification"])
def test_what_is_right_is_counted_where_it_counts(name: str) -> None:
    _, objective, batch = a_case(name)
    if name == "classification":
        answers = batch.labels
    else:
        answers = batch.targets.flatten()[hidden_places(batch.chosen)]
    sure = torch.eye(13)[answers]
    n = int(objective.n_targets(batch))
    assert n == (7 if name == "classification" else int(batch.chosen.sum()))
    assert objective.n_right(sure, batch) == n
    wrong = torch.eye(13)[(answers + 1) % 13]
    assert objective.n_right(wrong, batch) == 0


@given(n_rows=st.integers(1, 5), n_pos=st.integers(1, 17), p=st.floats(0, 1))
def test_the_places_are_those_hidden_and_then_others_up_to_a_quarter_of_all(
    n_rows: int, n_pos: int, p: float
) -> None:
    chosen = torch.rand(n_rows, n_pos) < p
    places = hidden_places(chosen)
    hidden = chosen.flatten().nonzero()[:, 0]
    assert places[: len(hidden)].tolist() == hidden.tolist()
    assert len(set(places.tolist())) == len(places) <= chosen.numel()
    assert len(places) - len(hidden) < (chosen.numel() + 3) // 4


@pytest.mark.house
def test_of_the_places_that_are_asked_for_the_logits_are_those_of_all() -> None:
    model, objective, batch = a_case("masked-language")
    everywhere = model(batch.inputs)
    asked = model(*objective.inputs(batch))
    assert 0 < int(batch.chosen.sum()) <= len(asked) < everywhere[..., 0].numel()
    expected = everywhere.flatten(0, 1)[hidden_places(batch.chosen)]
    torch.testing.assert_close(asked, expected)


@pytest.mark.house
def test_the_loss_in_place_is_the_same_loss() -> None:
    tokens = torch.randint(13, (3, 8))
    logits = torch.randn(3, 7, 13, dtype=torch.float64)
    expected = NEXT_TOKEN.loss(logits, tokens)
    torch.testing.assert_close(NextTokenInPlace().loss(logits.clone(), tokens), expected)


# Oracle


@pytest.mark.parametrize("name", ["masked-language", "classification"])
def test_parts_of_an_update_count_by_their_targets(name: str) -> None:
    model, objective, batch = a_case(name)
    expected = surprises(model, batch).mean()
    expected.backward()  # type: ignore[no-untyped-call]
    by_hand = {n: gradient(p).clone() for n, p in model.named_parameters() if p.grad is not None}
    for size in (7, 3):
        model.zero_grad()
        loss = accumulate_gradients(model, split_batch(batch, size), objective=objective)
        torch.testing.assert_close(loss, expected.detach())
        for parameter, value in by_hand.items():
            torch.testing.assert_close(gradient(model.get_parameter(parameter)), value)


@pytest.mark.parametrize("batch_size", [2, 7])
@pytest.mark.parametrize("name", ["masked-language", "classification"])
def test_an_evaluation_is_the_mean_over_all_targets_however_they_are_batched(
    name: str, batch_size: int
) -> None:
    model, objective, _ = a_case(name)
    rows: MaskedWindows | LabelledRows
    if name == "masked-language":
        text = torch.randint(5, 13, (40,))  # four rows of 9 tokens, and a rest of 4
        rows = MaskedWindows(text, n_ctx=11, special=SPECIAL, d_vocab=13)
    else:
        texts = [torch.randint(5, 13, (length,)).tolist() for length in (9, 2, 5, 1, 7)]
        rows = LabelledRows.of(texts, [0, 2, 1, 1, 0], n_ctx=11, special=SPECIAL, d_vocab=13)
    all_of, right, n = [], 0, 0
    for batch in rows.in_order(1):
        all_of.append(surprises(model, batch))
        right += int(objective.n_right(model(*objective.inputs(batch)), batch))
        n += int(objective.n_targets(batch))
    figures = validation_figures(
        model,
        rows,
        objective=objective,
        batch_size=batch_size,
        device=torch.device("cpu"),
        precision=torch.float32,
    )
    loss = torch.cat(all_of).mean().item()
    assert figures["validation_loss"] == pytest.approx(loss, rel=1e-9)
    assert figures["validation_accuracy"] == right / n
