"""Probes of windows and splits."""

from typing import Any

import torch

from transformer.learning.own.implementation import Namespace
from transformer.learning.probes.base import probe

# Windows


@probe("windows", "how many windows there are, and each of them", "TokenWindows")
def _windows(n: Namespace) -> Any:
    windows = n.TokenWindows(torch.arange(11), n_ctx=3)
    return [len(windows), [windows[i].tolist() for i in range(8)]]


@probe("windows", "a batch of windows that begin at 5, 0 and 7", "TokenWindows")
def _windows_at(n: Namespace) -> Any:
    return n.TokenWindows(torch.arange(11), n_ctx=3).at(torch.tensor([5, 0, 7])).tolist()


@probe("windows", "windows over tokens of two bytes come out as int64", "TokenWindows")
def _windows_dtype(n: Namespace) -> Any:
    windows = n.TokenWindows(torch.arange(11, dtype=torch.int16), n_ctx=3)
    return [str(windows[2].dtype), str(windows.at(torch.tensor([1])).dtype)]


@probe("windows", "in_order over a text of whole windows", "TokenWindows")
def _windows_order(n: Namespace) -> Any:
    return [b.tolist() for b in n.TokenWindows(torch.arange(13), n_ctx=4).in_order(2)]


@probe("windows", "in_order over a text that leaves a rest", "TokenWindows")
def _windows_rest(n: Namespace) -> Any:
    return [b.tolist() for b in n.TokenWindows(torch.arange(15), n_ctx=4).in_order(2)]


for _length in (9, 10, 11, 12):

    @probe("windows", f"in_order over {_length} tokens in windows of 5", "TokenWindows")
    def _windows_length(n: Namespace, length: int = _length) -> Any:
        return [b.tolist() for b in n.TokenWindows(torch.arange(length), n_ctx=4).in_order(2)]


@probe("windows", "a text shorter than a window is refused", "TokenWindows")
def _windows_short(n: Namespace) -> Any:
    return len(n.TokenWindows(torch.arange(4), n_ctx=4))


# Splits


def _splits(n: Namespace, n_tokens: int, **fractions: float) -> Any:
    return [part.tolist() for part in n.split_tokens(torch.arange(n_tokens), **fractions)]


@probe("splits", "20 tokens", "split_tokens")
def _split(n: Namespace) -> Any:
    return _splits(n, 20)


@probe("splits", "20 tokens, a quarter to validate on", "split_tokens")
def _split_fraction(n: Namespace) -> Any:
    return _splits(n, 20, validation_fraction=0.25)


@probe("splits", "20 tokens with a test part", "split_tokens")
def _split_test(n: Namespace) -> Any:
    return _splits(n, 20, validation_fraction=0.25, test_fraction=0.2)
