"""Tokens in colours: nothing of the text is lost, nothing of it is taken for HTML."""

import re
from html import unescape
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.tokenizers import ByteBPETokenizer, ByteTokenizer, WordPieceTokenizer
from transformer.tokenizers.wordpiece import SPECIAL
from transformer.visualisation.tokens import summary, token_names, tokens_as_html, tokens_as_text

BPE = ByteBPETokenizer.train("low lower low", d_vocab=259)


def test_tokens_are_named_as_they_are_written() -> None:
    assert token_names(BPE, BPE.encode("slow low")) == ["s", "low", " low"]
    assert token_names(ByteTokenizer(), [0xC3, 0xA9, 0x41]) == ["\\xc3", "\\xa9", "A"]
    wordpiece = WordPieceTokenizer([*SPECIAL, "un", "##able"])
    assert token_names(wordpiece, wordpiece.encode("unable")) == ["un", "##able"]


def test_what_does_not_print_is_escaped_so_that_no_terminal_obeys_it() -> None:
    names = token_names(ByteTokenizer(), ByteTokenizer().encode("\x1b[31m\x00"))
    assert "".join(names) == "\\x1b[31m\\x00"


def test_neighbours_have_different_colours_in_the_terminal() -> None:
    text = tokens_as_text(BPE, BPE.encode("slow low\n\tx"))
    assert text.plain == "slow low⏎\n⇥\tx"
    styles = [str(span.style) for span in text.spans]
    assert all(one != other for one, other in pairwise(styles))


@settings(max_examples=30)
@given(st.text(st.sampled_from("<>&\"' ab\n\té")))
def test_the_page_holds_the_text_and_is_complete_in_itself(text: str) -> None:
    page = tokens_as_html(BPE, BPE.encode(text), title="<script>")
    spans = re.findall(r'<span class="c\d" title="(\d+)">([^<]*)</span>', page)
    assert [int(token) for token, _ in spans] == BPE.encode(text)
    shown = "".join(unescape(name) for _, name in spans)
    assert shown.replace("⏎", "").replace("⇥", "") == "".join(token_names(BPE, BPE.encode(text)))
    assert "<script" not in page
    assert "http" not in page
    assert "src=" not in page


def test_the_summary_counts_tokens_characters_and_bytes() -> None:
    assert summary(BPE, BPE.encode("low é")) == (
        "4 tokens, 5 characters, 6 bytes: 1.50 bytes a token"
    )
    assert summary(BPE, []) == "0 tokens, 0 characters, 0 bytes: 0.00 bytes a token"
