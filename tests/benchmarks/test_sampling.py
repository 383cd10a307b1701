"""What the benchmark of sampling times is the same text."""

from dataclasses import replace

import pytest

from tests.benchmarks.sampling import GREEDY, N_NEW, PROMPT, SMALL, in_one_shape
from tests.support import randomise
from transformer.models.gpt import GPT
from transformer.sampling.packed import pack_weights
from transformer.sampling.sample import sample

# A tied one would write again and again the token that stands there.
SMALLER = replace(
    SMALL, d_vocab=31, d_model=12, n_layers=2, n_heads=3, d_head=4, d_mlp=7, tied=False
)


@pytest.mark.slow
def test_steps_of_one_shape_write_what_sample_does_again_and_again() -> None:
    model = GPT(SMALLER)
    randomise(model)
    model = pack_weights(model.eval())
    [*expected] = [
        one.token for [one] in sample(model, [[*range(PROMPT)]], n_new=N_NEW, sampling=GREEDY)
    ]
    assert len(set(expected)) > 2, "a text that repeats itself would tell nothing"
    write = in_one_shape(model, compiled=False)
    assert write() == expected
    assert write() == expected
