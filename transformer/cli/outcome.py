"""What a trained model does, to look at: a text that goes on, hidden words named, texts judged."""

from collections.abc import Iterator

import torch

from transformer.cli.prompts import opening
from transformer.cli.sample import TEMPERATURE
from transformer.data.labelled_rows import LabelledRows
from transformer.data.masked_windows import MaskedWindows
from transformer.models.bert import ClassifierBERT, MaskedLanguageBERT
from transformer.models.gpt import GPT
from transformer.sampling.options import Sampling
from transformer.sampling.text import continue_text
from transformer.tokenizers import Tokenizer
from transformer.training.run.task import Task
from transformer.training.trained import TrainedModel

SAMPLE_TOKENS = 400
ROWS, TOKENS = 5, 32  # shown of validation texts


def outcome(model: TrainedModel, task: Task, *, seed: int) -> Iterator[str]:
    """Yield what is to be printed, piece by piece; the model is in evaluation mode."""
    if isinstance(model, GPT):
        sampling = Sampling(temperature=TEMPERATURE, seed=seed)
        yield from continue_text(
            model, task.tokenizer, opening(task.tokenizer), n_new=SAMPLE_TOKENS, sampling=sampling
        )
    elif isinstance(model, MaskedLanguageBERT):
        assert isinstance(task.validation, MaskedWindows)
        yield from _named(model, task.tokenizer, task.validation)
    else:
        assert isinstance(task.validation, LabelledRows)
        yield from _judged(model, task.tokenizer, task.validation)


@torch.no_grad()
def _named(model: MaskedLanguageBERT, tokenizer: Tokenizer, rows: MaskedWindows) -> Iterator[str]:
    batch = next(rows.in_order(ROWS))
    device = next(model.parameters()).device
    logits = model(batch.inputs.to(device))[..., : tokenizer.d_vocab]  # of tokens, not of padding
    said = logits.argmax(-1).cpu()
    for read, answer, named, chosen in zip(
        batch.inputs, batch.targets, said, batch.chosen, strict=True
    ):
        yield f"{tokenizer.decode(read[:TOKENS].tolist())} ...\n"
        pairs = zip(named[:TOKENS][chosen[:TOKENS]], answer[:TOKENS][chosen[:TOKENS]], strict=True)
        told = [
            f"{tokenizer.decode([int(one)])} (it was {tokenizer.decode([int(other)])})"
            for one, other in pairs
        ]
        yield f"    {', '.join(told) or 'nothing hidden here'}\n"


@torch.no_grad()
def _judged(model: ClassifierBERT, tokenizer: Tokenizer, rows: LabelledRows) -> Iterator[str]:
    batch = rows.at(torch.arange(min(ROWS, len(rows))))
    device = next(model.parameters()).device
    chances = model(batch.tokens.to(device), batch.real.to(device)).softmax(-1).cpu()
    for text, chance, label in zip(batch.tokens, chances, batch.labels, strict=True):
        said = int(chance.argmax())
        yield (
            f"{tokenizer.decode(text[1:TOKENS].tolist())} ...\n    {model.classes[said]}, "
            f"{chance[said]:.0%} sure (it is {model.classes[int(label)]})\n"
        )
