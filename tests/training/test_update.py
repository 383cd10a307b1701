"""Which update a run makes, and updates with activations computed again."""

import pytest
import torch

from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.training import objective, update
from transformer.training.machine.checkpointing import recompute_blocks
from transformer.training.step import accumulate_gradients
from transformer.training.update import pick_objective, pick_update

CONFIG = TransformerConfig(
    d_vocab=13, n_ctx=7, d_model=10, n_layers=2, n_heads=3, d_head=2, d_mlp=11
)
TOKENS = torch.randint(13, (5, 7), generator=torch.Generator().manual_seed(0))


def make_run(**changes: float) -> tuple[GPT, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = GPT(TransformerConfig(**(vars(CONFIG) | changes)))
    # Plain descent: how far a weight moves tells the gradient that the optimizer was given.
    return model, torch.optim.SGD(model.parameters(), lr=1.0)


@pytest.mark.house
def test_a_large_vocabulary_takes_the_loss_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[torch.Tensor] = []

    def noted(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        used.append(tokens)
        return logits.mean()

    monkeypatch.setattr(objective, "next_token_loss_in_place", noted)
    for d_vocab in (update.LARGE_VOCABULARY - 1, update.LARGE_VOCABULARY):
        model, optimizer = make_run()
        picked = pick_objective(objective.NEXT_TOKEN, d_vocab)
        pick_update(picked, None)(model, optimizer, TOKENS, clip_norm=1.0)
        assert len(used) == (d_vocab == update.LARGE_VOCABULARY)


@pytest.mark.house
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_blocks_computed_again_have_the_same_gradients(dropout: float) -> None:
    gradients = []
    for again in (False, True):
        model, _ = make_run(dropout=dropout)
        if again:
            recompute_blocks(model)
        torch.manual_seed(1)
        accumulate_gradients(model, [TOKENS])
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.house
def test_blocks_computed_again_keep_less() -> None:
    kept = []
    for again in (False, True):
        model, _ = make_run()
        if again:
            recompute_blocks(model)
        sizes: list[int] = []

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(TOKENS)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 3
