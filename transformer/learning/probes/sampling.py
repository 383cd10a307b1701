"""Probes of the filters and of generation."""

from typing import Any

import torch
from torch import Tensor

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import aside, filled, integers, normal, probe
from transformer.learning.probes.model import config
from transformer.models.gpt import GPT


def _logits() -> Tensor:
    """Return unsorted logits: a filter that forgets to sort, or to sort back, shows."""
    return normal(3, 11, seed=4, scale=2.0)


def _ties() -> Tensor:
    return torch.tensor([[1.0, 3.0, 2.0, 2.0, -1.0]], dtype=torch.float64)


for _value in (0.5, 1.0, 2.0):

    @probe("filters", f"temperature {_value}", "apply_temperature", d_vocab=11)
    def _temperature(n: Namespace, value: float = _value) -> Any:
        return n.apply_temperature(_logits(), value)


for _value in (-1.0, 0.0):

    @probe("filters", f"temperature {_value} is refused", "apply_temperature")
    def _temperature_refused(n: Namespace, value: float = _value) -> Any:
        return n.apply_temperature(_logits(), value)


for _k, _probe in {1: probe, 3: probe, 10: probe, 11: probe, 20: aside}.items():

    @_probe("filters", f"the {_k} likeliest of 11", "keep_top_k", d_vocab=11)
    def _top_k(n: Namespace, k: int = _k) -> Any:
        return n.keep_top_k(_logits(), k)


@probe("filters", "the 3 likeliest of a single row", "keep_top_k", d_vocab=11)
def _top_k_single(n: Namespace) -> Any:
    return n.keep_top_k(_logits()[:1], 3)


@probe("filters", "top-p 0.72 of logits that come sorted", "keep_top_p", d_vocab=4)
def _top_p_sorted(n: Namespace) -> Any:
    return n.keep_top_p(_quarters().sort(descending=True).values, 0.72)


@probe("filters", "the 2 likeliest where the second ties with a third", "keep_top_k")
def _top_k_ties(n: Namespace) -> Any:
    return n.keep_top_k(_ties(), 2)


@probe("filters", "top-k of 0 is refused", "keep_top_k")
def _top_k_refused(n: Namespace) -> Any:
    return n.keep_top_k(_logits(), 0)


@probe("filters", "the logits that come in are left as they are", "keep_top_k")
def _top_k_pure(n: Namespace) -> Any:
    logits = _logits()
    n.keep_top_k(logits, 3)
    return logits


def _quarters() -> Tensor:
    """Return logits of the probabilities 0.2, 0.5, 0.25, 0.05."""
    return torch.tensor([[0.2, 0.5, 0.25, 0.05]], dtype=torch.float64).log()


for _p in (0.3, 0.6, 0.72, 0.9, 1.0):

    @probe("filters", f"top-p {_p} of 0.2, 0.5, 0.25, 0.05", "keep_top_p", d_vocab=4)
    def _top_p_small(n: Namespace, p: float = _p) -> Any:
        return n.keep_top_p(_quarters(), p)


for _p in (0.1, 0.8):

    @probe("filters", f"top-p {_p} of three rows", "keep_top_p", d_vocab=11)
    def _top_p(n: Namespace, p: float = _p) -> Any:
        return n.keep_top_p(_logits(), p)


@probe("filters", "top-p where some tokens are already excluded", "keep_top_p", d_vocab=4)
def _top_p_excluded(n: Namespace) -> Any:
    return n.keep_top_p(_quarters().masked_fill(torch.tensor([[False, True, False, False]]),
                                                -torch.inf), 0.55)  # fmt: skip


# Drawing


def _shares(n: Namespace, **settings: Any) -> list[float]:
    """How often each of four tokens is drawn, to one digit, of 20,000."""
    logits = _quarters().expand(20_000, 4)
    drawn = n.draw(logits, generator=torch.Generator().manual_seed(0), **settings)
    return [round((drawn == token).double().mean().item() * 20) / 20 for token in range(4)]


@probe("generate", "tokens are drawn at their probabilities", "draw")
def _draw(n: Namespace) -> Any:
    return _shares(n)


@probe("generate", "at temperature 0.5", "draw")
def _draw_cold(n: Namespace) -> Any:
    return _shares(n, temperature=0.5)


@probe("generate", "at temperature 2", "draw")
def _draw_hot(n: Namespace) -> Any:
    return _shares(n, temperature=2.0)


@probe("generate", "at temperature 0 the likeliest is taken", "draw")
def _draw_greedy(n: Namespace) -> Any:
    return n.draw(_logits(), temperature=0.0)


@probe("generate", "of the 2 likeliest", "draw")
def _draw_top_k(n: Namespace) -> Any:
    return _shares(n, top_k=2)


@probe("generate", "rows are drawn for themselves", "draw")
def _draw_rows(n: Namespace) -> Any:
    drawn = n.draw(torch.zeros(400, 11), generator=torch.Generator().manual_seed(0))
    return [tuple(drawn.shape), len(set(drawn.flatten().tolist())) == 11]


@probe("generate", "the generator decides what is drawn", "draw")
def _draw_seed(n: Namespace) -> Any:
    draws = [
        n.draw(torch.zeros(50, 11), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    return [torch.equal(draws[0], draws[1]), torch.equal(draws[0], draws[2])]


def _model() -> GPT:
    small = config(n_ctx=7, bias=False, unembedding_bias=False, d_model=12, d_mlp=17)
    model = filled(GPT(small))
    assert isinstance(model, GPT)
    return model


def _greedy(n: Namespace, prompt: Tensor, n_new: int) -> list[list[int]]:
    return [t.tolist() for t in n.generate(_model(), prompt, n_new=n_new, temperature=0.0)]


_GREEDY: dict[str, tuple[int, int, int]] = {  # rows and tokens of the prompt, new tokens
    "one token, greedily": (2, 4, 1),
    "three tokens, greedily, within the context": (2, 4, 3),
    "a prompt of one token": (3, 1, 3),
    "past the context": (2, 4, 12),
    "a prompt longer than the context": (2, 10, 4),
    "no token at all": (2, 4, 0),
    "an empty prompt is refused": (1, 0, 1),
}

for _title, _sizes in _GREEDY.items():

    @probe("generate", _title, "generate")
    def _generated(n: Namespace, sizes: tuple[int, int, int] = _sizes) -> Any:
        rows, length, n_new = sizes
        return _greedy(n, integers(13, rows, length), n_new)


@probe("generate", "the prompt is left as it is", "generate")
def _pure(n: Namespace) -> Any:
    prompt = integers(13, 2, 4)
    _greedy(n, prompt, 3)
    return prompt


def _drawn(n: Namespace, seed: int, **settings: Any) -> list[list[int]]:
    settings |= {"n_new": 9, "generator": torch.Generator().manual_seed(seed)}
    return [t.tolist() for t in n.generate(_model(), integers(13, 2, 4), **settings)]


@probe("generate", "the same seed continues alike and another otherwise", "generate")
def _seeded(n: Namespace) -> Any:
    texts = [_drawn(n, seed, temperature=5.0) for seed in (1, 1, 2)]
    greedy = _greedy(n, integers(13, 2, 4), 9)
    return [texts[0] == texts[1], texts[0] == texts[2], texts[0] == greedy]


@probe("generate", "a temperature near 0 is as greedy as 0", "generate")
def _nearly_greedy(n: Namespace) -> Any:
    return _drawn(n, 1, temperature=1e-4)


@aside("generate", "of the likeliest token alone", "generate")
def _top_1(n: Namespace) -> Any:
    return _drawn(n, 1, temperature=5.0, top_k=1)


@probe("generate", "what a penalty is shown at each token", "generate")
def _penalised(n: Namespace) -> Any:
    shown: list[list[list[int]]] = []

    def penalise(logits: Tensor, tokens: Tensor) -> Tensor:
        shown.append(tokens.tolist())
        return logits

    list(n.generate(_model(), integers(13, 2, 3), n_new=3, temperature=0.0, penalise=penalise))
    return shown
