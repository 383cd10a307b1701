"""The evaluation reads every token once and weighs each the same."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.data.windows import TokenWindows
from transformer.models.gpt import GPT
from transformer.training.evaluate import evaluate

CPU = torch.device("cpu")
CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=1, n_heads=3, d_head=2, d_mlp=11, dropout=0.5
)


@pytest.mark.parametrize("n_tokens", [8, 9, 15, 31, 59])
def test_it_is_the_mean_over_every_target_however_the_last_batch_comes_out(n_tokens: int) -> None:
    model = GPT(CONFIG).double().eval()
    randomise(model)
    text = torch.randint(CONFIG.d_vocab, (n_tokens,))

    # Slowly: each target from the tokens of its window, which begin at multiples of n_ctx.
    losses = []
    for target in range(1, n_tokens):
        start = (target - 1) // CONFIG.n_ctx * CONFIG.n_ctx
        logits = model(text[None, start:target])[0, -1]
        losses.append(cross_entropy(logits, text[target]))
    expected = torch.stack(losses).mean().item()

    windows = TokenWindows(text, n_ctx=CONFIG.n_ctx)
    got = evaluate(model.train(), windows, batch_size=3, device=CPU)
    assert got == pytest.approx(expected, rel=1e-9)


def test_dropout_is_off_during_it_and_on_again_after_it() -> None:
    model = GPT(CONFIG)
    randomise(model)
    windows = TokenWindows(torch.randint(CONFIG.d_vocab, (31,)), n_ctx=CONFIG.n_ctx)
    model.train()
    twice = {evaluate(model, windows, batch_size=3, device=CPU) for _ in range(2)}
    assert len(twice) == 1, "two evaluations differ: dropout was on"
    assert model.training
    model.eval()
    evaluate(model, windows, batch_size=3, device=CPU)
    assert not model.training


def test_it_records_no_graph() -> None:
    model = GPT(CONFIG)
    recorded = []
    model.unembedding.register_forward_hook(lambda _, __, out: recorded.append(out.requires_grad))
    windows = TokenWindows(torch.randint(CONFIG.d_vocab, (31,)), n_ctx=CONFIG.n_ctx)
    evaluate(model, windows, batch_size=3, device=CPU)
    assert recorded
    assert not any(recorded), "nothing is learned here: the graph costs memory and time"
