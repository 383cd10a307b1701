"""From text to text: continuations stop before a stop string, and none of it is ever shown."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import randomise
from transformer.config import TransformerConfig
from transformer.models.gpt import GPT
from transformer.sampling.beam import beam_search
from transformer.sampling.options import Sampling
from transformer.sampling.sample import sample
from transformer.sampling.stops import StopWatch, first_stop, settled_text, until
from transformer.sampling.text import (
    complete,
    continue_text,
    count_shown,
    encode_prompts,
    of_vocabulary,
)
from transformer.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    FastByteBPETokenizer,
    Tokenizer,
    make_tokenizer,
)

LETTERS = "abc"
TEXT = "the cat sat on the mat, the cat ate the rat"


def model_of(tokenizer: Tokenizer, *, padding: int = 0) -> GPT:
    """A model that writes a little of everything: without biases no token always wins."""
    model = GPT(
        TransformerConfig(
            d_vocab=tokenizer.d_vocab + padding, n_ctx=13, d_model=6, n_layers=1, n_heads=1,
            d_head=5, d_mlp=3, bias=False,
        )
    ).eval()  # fmt: skip
    randomise(model)
    return model


# Contract: stop strings


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    pieces=st.lists(st.text(LETTERS, max_size=4), max_size=8),
    stops=st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=3),
)
def test_what_is_shown_is_the_text_before_the_first_stop_as_early_as_can_be(
    pieces: list[str], stops: list[str]
) -> None:
    whole = "".join(pieces)
    expected = whole[: min([i for stop in stops if (i := whole.find(stop)) >= 0] + [len(whole)])]
    shown, given = "", ""

    def watched() -> object:
        nonlocal given
        for piece in pieces:
            # Whatever came next, nothing shown so far would have to be taken back ...
            for stop in stops:
                for n in range(len(stop)):
                    assert (given + stop[n:]).find(stop) in (-1, *range(len(shown), len(given) + 1))
            # ... and what is held back might begin a stop string.
            held = given[len(shown) :]
            assert not held or any(stop.startswith(held) for stop in stops)
            given += piece
            yield piece

    for part in until(watched(), stops):  # type: ignore[arg-type]
        shown += part
    assert shown == expected


def test_nothing_is_asked_of_the_model_after_a_stop_string() -> None:
    pieces = iter(["ab", "cde", "never"])
    assert "".join(until(pieces, ["cd"])) == "ab"
    assert list(pieces) == ["never"]


@pytest.mark.parametrize("kind", ["byte", "byte-bpe", "sennrich-bpe", "wordpiece"])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_stop_is_found_with_the_token_with_which_the_whole_text_holds_it(
    kind: str, data: st.DataObject
) -> None:
    tokenizer = make_tokenizer(kind, [TEXT + " é€😀"], size=None if kind == "byte" else 270)
    some = st.sampled_from([*tokenizer.encode("the cat é€😀"), *range(tokenizer.d_vocab)])
    known, tokens = data.draw(st.lists(some, max_size=3)), data.draw(st.lists(some, max_size=9))
    stops = data.draw(st.lists(st.text("e aé€t�", min_size=1, max_size=3), max_size=2))
    watch = StopWatch(tokenizer, known, stops)
    for n in range(1, len(tokens) + 1):
        found = first_stop(settled_text(tokenizer, tokens[:n], known), stops) >= 0
        assert watch(tokens[n - 1]) == found
        if found:
            break


class CountingTokenizer(ByteTokenizer):
    """Counts the tokens that it decodes."""

    n_decoded = 0

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        ids = list(tokens)
        self.n_decoded += len(ids)
        return super().decode_bytes(ids)


def test_what_is_written_is_not_decoded_again_with_each_token_to_find_a_stop() -> None:
    tokenizer, decoded = CountingTokenizer(), []
    model = model_of(tokenizer)
    for n_new in (40, 80):
        before = tokenizer.n_decoded
        complete(model, tokenizer, ["a"], n_new=n_new, stops=["no such text"])
        decoded.append(tokenizer.n_decoded - before)
    assert 80 <= decoded[1] < 3 * decoded[0], "quadratic would be four times as many"


def test_an_empty_stop_string_and_a_prompt_without_a_token_are_refused() -> None:
    tokenizer = make_tokenizer("wordpiece", [TEXT])
    model = model_of(tokenizer)
    for write in (
        # At once: who prints the prompt first would print it before the complaint.
        lambda prompt, stops: continue_text(model, tokenizer, prompt, n_new=1, stops=stops),
        lambda prompt, stops: complete(model, tokenizer, [prompt], n_new=1, stops=stops),
    ):
        with pytest.raises(ValueError, match="a stop string must have a character"):
            write("the", ["cat", ""])
        with pytest.raises(ValueError, match=r"prompt '\\n' has no token"):
            write("\n", [])


# Contract: special tokens in a prompt


def test_a_text_where_a_list_of_texts_belongs_is_refused() -> None:
    """Its characters would be taken one by one."""
    tokenizer = CharacterTokenizer(LETTERS)
    model = model_of(tokenizer)
    with pytest.raises(ValueError, match="prompts are a list of texts, got the text 'abc' alone"):
        complete(model, tokenizer, "abc", n_new=3)
    said = "stops are a list of strings, got the string 'ab' alone"
    with pytest.raises(ValueError, match=said):
        complete(model, tokenizer, ["a"], n_new=3, stops="ab")
    with pytest.raises(ValueError, match=said):
        continue_text(model, tokenizer, "a", n_new=3, stops="ab")


def test_the_name_of_a_special_token_in_a_prompt_is_text_unless_it_is_asked_for() -> None:
    tokenizer = FastByteBPETokenizer.train(TEXT, d_vocab=262, special_tokens=["<|end|>", "<|a|>"])
    prompt = "the<|a|>cat"
    [plain], [special] = (encode_prompts(tokenizer, [prompt], special=on) for on in (False, True))
    assert plain == tokenizer.encode(prompt)
    assert special == [*tokenizer.encode("the"), 261, *tokenizer.encode("cat")]
    model = model_of(tokenizer)
    how: dict[str, Any] = {"n_new": 9, "sampling": Sampling(temperature=0.0)}
    [greedy] = zip(*sample(model, [special], **how), strict=True)
    expected = tokenizer.decode([one.token for one in greedy])
    assert "".join(continue_text(model, tokenizer, prompt, special=True, **how)) == expected
    [one] = complete(model, tokenizer, [prompt], special=True, **how)
    assert (one.prompt, one.text) == (prompt, expected)
    [other] = complete(model, tokenizer, [prompt], **how)
    assert other.text != expected, "the negative control: as plain text it goes on in another way"


@pytest.mark.parametrize("kind", ["character", "byte", "wordpiece"])
def test_special_tokens_of_a_tokenizer_that_reads_none_from_text_are_refused(kind: str) -> None:
    tokenizer = make_tokenizer(kind, [TEXT])
    with pytest.raises(ValueError, match=r"this \w+Tokenizer has no special tokens for a prompt"):
        encode_prompts(tokenizer, ["the"], special=True)


# Contract: a vocabulary that is padded


@pytest.mark.parametrize("chosen", [{"temperature": 5.0}, {"temperature": 0.0}])
def test_no_token_is_drawn_that_the_tokenizer_lacks(chosen: dict[str, Any]) -> None:
    tokenizer = CharacterTokenizer(LETTERS)
    model = model_of(tokenizer, padding=50)
    # No n-gram twice: from the fourth token on all that are known have come.
    sampling = Sampling(seed=0, no_repeat_ngram=1, **chosen)
    [one] = complete(model, tokenizer, ["a"], n_new=12, sampling=sampling)
    assert max(one.tokens) < tokenizer.d_vocab
    assert len("".join(continue_text(model, tokenizer, "a", n_new=12, sampling=sampling))) == 12
    # The negative control: the model itself writes some.
    free = sample(model, [tokenizer.encode("a")], n_new=12, sampling=sampling)
    assert max(drawn.token for [drawn] in free) >= tokenizer.d_vocab


def test_no_beam_goes_where_the_tokenizer_has_no_text() -> None:
    tokenizer = CharacterTokenizer(LETTERS)
    model = model_of(tokenizer, padding=50)
    sampling = of_vocabulary(Sampling(), tokenizer)
    [found] = beam_search(model, [[0]], n_new=5, n_beams=4, sampling=sampling)
    assert max(max(one.tokens) for one in found) < tokenizer.d_vocab
    [free] = beam_search(model, [[0]], n_new=5, n_beams=4)
    assert max(max(one.tokens) for one in free) >= tokenizer.d_vocab


# Oracle: the tokens, decoded as one text


@pytest.mark.parametrize("kind", ["character", "byte", "byte-bpe", "wordpiece"])
def test_a_batch_of_texts_is_each_text_streamed_alone(kind: str) -> None:
    tokenizer = make_tokenizer(kind, [TEXT])
    model = model_of(tokenizer)
    prompts = ["the cat", "a", "on the mat"]
    many = complete(
        model, tokenizer, prompts, n_new=15, sampling=Sampling(seed=3, temperature=2), stops=["at"]
    )
    for row, (prompt, one) in enumerate(zip(prompts, many, strict=True)):
        sampling = Sampling(seed=3 + row, temperature=2)
        pieces = continue_text(model, tokenizer, prompt, n_new=15, sampling=sampling, stops=["at"])
        assert one.text == "".join(pieces)
        known = tokenizer.encode(prompt)
        whole = "".join(tokenizer.decode_stream(one.tokens, after=known))
        assert one.text == whole.partition("at")[0]
        assert len(one.tokens) == 15 or "at" in whole
        assert one.prompt == prompt


@settings(max_examples=200, deadline=None, derandomize=True)
@given(known=st.text("aé€"), text=st.text("aé€😀"), n=st.integers(0, 9))
def test_as_many_tokens_are_shown_as_the_text_before_the_cut_has(
    known: str, text: str, n: int
) -> None:
    tokenizer = ByteTokenizer()
    shown = count_shown(tokenizer, tokenizer.encode(text), tokenizer.encode(known), text[:n])
    assert shown == len(text[:n].encode())


def test_a_token_that_is_cut_in_two_is_shown_and_what_comes_after_a_stop_string_is_not() -> None:
    tokenizer = make_tokenizer("byte-bpe", [TEXT], size=270)
    model = model_of(tokenizer)
    sampling = Sampling(seed=3, temperature=2)
    [whole] = complete(model, tokenizer, ["the"], n_new=15, sampling=sampling)
    assert whole.n_shown == 15
    pieces = [*tokenizer.decode_stream(whole.tokens, after=tokenizer.encode("the"))]
    long = next(i for i, piece in enumerate(pieces) if i > 0 and len(piece) > 1)
    stop = "".join(pieces)[len("".join(pieces[:long])) + 1 :][:9]
    [cut] = complete(model, tokenizer, ["the"], n_new=15, sampling=sampling, stops=[stop])
    parts = [tokenizer.decode([token]) for token in cut.tokens[: cut.n_shown]]
    assert cut.tokens == whole.tokens[: len(cut.tokens)]
    assert cut.n_shown < len(cut.tokens)
    assert "".join(parts[:-1]) < cut.text < "".join(parts)


def writes_in_turn(follows: dict[int, int], d_vocab: int) -> GPT:
    """A model in which each of these tokens is followed by the other."""
    bigram = TransformerConfig(
        d_vocab=d_vocab, n_ctx=13, d_model=d_vocab, n_layers=0, n_heads=1, d_head=1, d_mlp=1,
        position="none", norm="rms", tied=False,
    )  # fmt: skip
    model, W_U = GPT(bigram), torch.zeros(d_vocab, d_vocab)
    for token, following in follows.items():
        W_U[token, following] = 100
    with torch.no_grad():
        model.get_parameter("embedding.W_E").copy_(torch.eye(d_vocab))
        model.get_parameter("unembedding.W_U").copy_(W_U)
    return model


@pytest.mark.parametrize(("n_new", "expected"), [(6, "éaéa"), (7, "éaéa"), (8, "éaéaé")])
def test_half_a_character_is_no_stop_string_before_the_text_is_over(
    n_new: int, expected: str
) -> None:
    first, second = "é".encode()
    model = writes_in_turn({ord("a"): first, first: second, second: ord("a")}, 256)
    how: dict[str, Any] = {"n_new": n_new, "sampling": Sampling(temperature=0.0)}
    how["stops"] = ["\ufffd"]
    [one] = complete(model, ByteTokenizer(), ["a"], **how)
    assert one.text == expected
    assert len(one.tokens) == n_new
    assert "".join(continue_text(model, ByteTokenizer(), "a", **how)) == expected
    model = writes_in_turn({ord("a"): first, first: ord("b")}, 256)  # no character ever
    [one] = complete(model, ByteTokenizer(), ["a"], **how)
    assert (one.text, one.tokens) == ("", [first, ord("b")])
    assert "".join(continue_text(model, ByteTokenizer(), "a", **how)) == ""


def test_a_stop_token_ends_the_text_and_has_no_part_in_it() -> None:
    tokenizer = CharacterTokenizer(LETTERS)
    model = writes_in_turn({0: 1, 1: 2, 2: 0}, 3)
    greedy = Sampling(temperature=0.0)
    [free] = complete(model, tokenizer, ["a"], n_new=5, sampling=greedy)
    assert free.text == "bcabc"
    [a, b, c] = (tokenizer.encode(letter)[0] for letter in LETTERS)
    stop_at_a = Sampling(temperature=0.0, stop_tokens=frozenset({a}))
    [one] = complete(model, tokenizer, ["a"], n_new=5, sampling=stop_at_a, log_probs=True)
    assert (one.text, one.tokens) == ("bc", [b, c, a])
    # The logits are above 100 for the token that follows and 0 for the others.
    assert one.log_probs == pytest.approx([0.0] * 3)
    pieces = continue_text(model, tokenizer, "a", n_new=5, sampling=stop_at_a)
    assert "".join(pieces) == "bc"
