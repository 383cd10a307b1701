"""Windows: each is a run of the text, and in order they make every token a target once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.rows import require_embedded
from transformer.data.token_file import TokenFile, TokenFileWriter
from transformer.data.windows import TokenWindows, tokens_in


def test_window_i_begins_at_token_i() -> None:
    windows = TokenWindows(torch.arange(10, 17), n_ctx=2)
    assert len(windows) == 5
    assert windows[0].tolist() == [10, 11, 12]
    assert windows[4].tolist() == windows[-1].tolist() == [14, 15, 16]
    assert windows.at(torch.tensor([2, 0])).tolist() == [[12, 13, 14], [10, 11, 12]]
    with pytest.raises(IndexError):
        windows[5]


@given(n_tokens=st.integers(2, 60), n_ctx=st.integers(1, 12), batch_size=st.integers(1, 5))
def test_in_order_every_token_but_the_first_is_a_target_once(
    n_tokens: int, n_ctx: int, batch_size: int
) -> None:
    n_tokens = max(n_tokens, n_ctx + 1)
    windows = TokenWindows(torch.arange(n_tokens), n_ctx=n_ctx)
    targets: list[int] = []
    for batch in windows.in_order(batch_size):
        assert batch.shape[0] <= batch_size
        assert 2 <= batch.shape[1] <= n_ctx + 1  # one token by itself is never a target
        targets += batch[:, 1:].flatten().tolist()
    assert targets == list(range(1, n_tokens))


def test_a_text_shorter_than_a_window_and_a_window_without_a_target_are_refused() -> None:
    with pytest.raises(ValueError, match=r"n_ctx \+ 1 = 5 tokens and the text has 4"):
        TokenWindows(torch.arange(4), n_ctx=4)
    with pytest.raises(ValueError, match=r"at least n_ctx = 1 token .* got 0"):
        TokenWindows(torch.arange(4), n_ctx=0)


@pytest.mark.parametrize("d_vocab", [17, 70_001])
def test_windows_of_a_file_are_those_of_the_same_tokens_in_memory(
    tmp_path: Path, d_vocab: int
) -> None:
    tokens = torch.randint(d_vocab, (101,))
    tokens[3] = d_vocab - 1
    path = tmp_path / "tokens"
    with TokenFileWriter(path, d_vocab=d_vocab, vocabulary=bytes(32), end_of_text=None) as writer:
        writer.write(tokens.numpy())
    on_disk = TokenWindows(tokens_in(TokenFile.open(path)), n_ctx=6)
    in_memory = TokenWindows(tokens, n_ctx=6)
    assert on_disk.tokens.element_size() == (2 if d_vocab == 17 else 4)
    assert on_disk.d_vocab == in_memory.d_vocab == d_vocab
    assert torch.equal(on_disk[5], in_memory[5])
    starts = torch.tensor([94, 0, 31])
    assert torch.equal(on_disk.at(starts), torch.stack([tokens[s : s + 7] for s in starts]))
    for one, other in zip(on_disk.in_order(3), in_memory.in_order(3), strict=True):
        assert torch.equal(one, other)


def test_an_id_at_or_over_the_models_vocabulary_is_named() -> None:
    windows = TokenWindows(torch.tensor([3, 12, 0, 5]), n_ctx=2)
    require_embedded(windows, 13)
    with pytest.raises(ValueError, match=r"ids up to 12 and .* d_vocab = 12: .* d_vocab = 13"):
        require_embedded(windows, 12)
    # What a file's header says is believed: the file's writer has looked at every id.
    require_embedded(TokenWindows(windows.tokens, n_ctx=2, d_vocab=12), 12)


def test_an_id_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="token ids run from 0, got -1"):
        TokenWindows(torch.tensor(np.array([3, -1, 5])), n_ctx=2)
