"""Rows for a masked language model: ends put on, every token read once, hidden by place alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.data.batches import RandomBatches, ShuffledBatches
from transformer.data.masked_windows import EncoderTokens, MaskedBatches, MaskedWindows
from transformer.data.rows import require_embedded
from transformer.tokenizers import CharacterTokenizer, WordPieceTokenizer

SPECIAL = EncoderTokens(pad=0, start=2, end=3, mask=4)
FIRST = 5  # the ordinary tokens are those from here on
D_VOCAB = 207


def windows_of(n_tokens: int, n_ctx: int) -> MaskedWindows:
    text = torch.arange(FIRST, FIRST + n_tokens)
    return MaskedWindows(text, n_ctx=n_ctx, special=SPECIAL, d_vocab=D_VOCAB)


def test_a_row_is_a_run_of_the_text_between_its_ends() -> None:
    windows = windows_of(11, n_ctx=5)
    assert len(windows) == 9
    assert windows[1].tolist() == [2, 6, 7, 8, 3]
    assert windows.at(torch.tensor([8, 0])).tolist() == [[2, 13, 14, 15, 3], [2, 5, 6, 7, 3]]


@given(n_tokens=st.integers(1, 60), n_ctx=st.integers(3, 13), batch_size=st.integers(1, 5))
def test_in_order_every_token_is_read_once_and_the_size_of_a_batch_hides_nothing_else(
    n_tokens: int, n_ctx: int, batch_size: int
) -> None:
    windows = windows_of(max(n_tokens, n_ctx - 2), n_ctx)
    batches = list(windows.in_order(batch_size))
    text = [token for batch in batches for row in batch.targets for token in row[1:-1].tolist()]
    assert text == windows.tokens.tolist()
    for batch in batches:
        assert len(batch.inputs) <= batch_size
        assert (batch.targets[:, 0] == SPECIAL.start).all()
        assert (batch.targets[:, -1] == SPECIAL.end).all()
        assert batch.chosen.any(dim=1).all(), "a row without a target"
    one_by_one = [row for batch in windows.in_order(1) for row in batch.inputs.tolist()]
    assert [row for batch in batches for row in batch.inputs.tolist()] == one_by_one


def test_each_step_hides_anew_and_again_the_same() -> None:
    windows = windows_of(199, n_ctx=101)
    again = windows_of(99, n_ctx=101)  # one row only: what differs is what is hidden
    batches = MaskedBatches(RandomBatches(windows, batch_size=6, steps=9, seed=3), windows)
    same = MaskedBatches(RandomBatches(windows, batch_size=6, steps=9, seed=3), windows)
    assert len(batches) == 9
    for step in (7, 0):
        assert torch.equal(batches[step].inputs, same[step].inputs)
    one_row = MaskedBatches(RandomBatches(again, batch_size=1, steps=9, seed=3), again)
    assert not torch.equal(one_row[0].chosen, one_row[1].chosen)
    other = MaskedBatches(RandomBatches(again, batch_size=1, steps=9, seed=4), again)
    assert not torch.equal(one_row[0].chosen, other[0].chosen)


def test_the_ranks_together_have_what_a_single_process_has() -> None:
    windows = windows_of(199, n_ctx=23)
    whole = MaskedBatches(ShuffledBatches(windows, batch_size=6, steps=5), windows)
    for rank in range(3):
        order = ShuffledBatches(windows, batch_size=6, steps=5, rank=rank, n_ranks=3)
        assert torch.equal(MaskedBatches(order, windows)[2].inputs, whole[2].inputs[rank::3])


def test_one_round_reads_each_token_once_but_for_a_rest_shorter_than_a_row() -> None:
    windows = windows_of(101, n_ctx=9)
    per_round = ShuffledBatches(windows, batch_size=1, steps=1).per_round
    rows = torch.cat(list(ShuffledBatches(windows, batch_size=1, steps=per_round)))
    read = rows[:, 1:-1].flatten().sort().values.tolist()
    assert read == windows.tokens[: len(read)].tolist()
    assert 101 - len(read) < 7


def test_the_beginning_is_of_so_many_tokens_and_never_less_than_a_row() -> None:
    windows = windows_of(101, n_ctx=9)
    assert windows.beginning(31).tokens.tolist() == windows.tokens[:31].tolist()
    assert len(windows.beginning(1)) == 1


def test_a_short_text_a_row_without_text_and_a_foreign_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match=r"n_ctx - 2 = 7 tokens and the text has 6"):
        windows_of(6, n_ctx=9)
    with pytest.raises(ValueError, match=r"a token between, got n_ctx = 2"):
        windows_of(6, n_ctx=2)
    with pytest.raises(ValueError, match=r"d_vocab = 207 at least"):
        require_embedded(windows_of(9, n_ctx=9), 206)


def test_the_tokens_for_the_ends_come_from_the_tokenizer() -> None:
    tokenizer = WordPieceTokenizer(["a", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[CLS]"])
    assert EncoderTokens.of(tokenizer) == EncoderTokens(pad=2, start=5, end=1, mask=4)
    with pytest.raises(ValueError, match=r"no \[PAD\], \[CLS\], \[SEP\], \[MASK\].* wordpiece"):
        EncoderTokens.of(CharacterTokenizer.train("abc"))
