"""What a model continues when nobody says what, and that the text goes on as the tokens do."""

import pytest
import torch

from tests.support import randomise
from transformer.cli.sample import continue_prompt, opening
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.generate import generate
from transformer.tokenizers import CharacterTokenizer, Tokenizer, make_tokenizer
from transformer.tokenizers.loading import KINDS

TEXT = "the cat sat on the mat, the cat ate the rat"


def model_of(tokenizer: Tokenizer) -> GPT:
    """A model with random weights near 1."""
    model = GPT(
        TransformerConfig(
            d_vocab=tokenizer.d_vocab, n_ctx=7, d_model=6, n_layers=1, n_heads=1, d_head=5, d_mlp=3
        )
    )
    randomise(model)
    return model


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("character", " "),
        ("byte", "\n"),
        ("byte-bpe", "\n"),
        ("sennrich-bpe", ","),
        ("wordpiece", "a"),  # of ##a
    ],
)
def test_the_opening_is_a_line_end_or_the_first_token_with_a_text(kind: str, expected: str) -> None:
    assert opening(make_tokenizer(kind, [TEXT])) == expected
    assert opening(CharacterTokenizer("\na")) == "\n"


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_and_continuation_are_the_text_of_all_their_tokens(kind: str) -> None:
    tokenizer = make_tokenizer(kind, [TEXT])
    model = model_of(tokenizer)
    device, prompt = torch.device("cpu"), tokenizer.encode("the cat")
    generator = torch.Generator().manual_seed(5)
    new = generate(model, torch.tensor([prompt]), n_new=11, generator=generator)
    expected = tokenizer.decode([*prompt, *(int(token) for token in new)])
    parts = continue_prompt(
        model, tokenizer, "the cat", device=device, n_new=11, temperature=1, seed=5
    )
    assert "the cat" + "".join(parts) == expected


def test_a_prompt_without_a_token_is_refused() -> None:
    tokenizer = make_tokenizer("wordpiece", [TEXT])
    model = model_of(tokenizer)
    with pytest.raises(ValueError, match=r"prompt '\\n' has no token"):
        list(
            continue_prompt(
                model, tokenizer, "\n", device=torch.device("cpu"), n_new=1, temperature=1
            )
        )
