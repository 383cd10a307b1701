"""A text with its tokens in colours: in the terminal, and as one HTML file."""

import html
from collections.abc import Sequence

from rich.text import Text

from transformer.tokenizers.base import Tokenizer

# Backgrounds that dark letters can be read on, neighbours easy to tell apart.
COLOURS = ("#f6d186", "#a8d8b9", "#a3c9f1", "#f4b6c2", "#cdb4f0", "#b7e4e0")

VISIBLE = {"\n": "⏎\n", "\t": "⇥\t", "\r": "␍"}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.9 ui-monospace, monospace }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
pre {{ font: inherit; white-space: pre-wrap; overflow-wrap: anywhere }}
span {{ border-radius: 3px; color: #222; padding: 2px 0 }}
{colours}
</style>
<p>{summary}</p>
<pre>{tokens}</pre>
</html>
"""


def token_names(tokenizer: Tokenizer, tokens: Sequence[int]) -> list[str]:
    """Return how each token is written; what does not print, as Python escapes it."""
    vocabulary = tokenizer.vocabulary
    return [_name(vocabulary[token]) for token in tokenizer.known(tokens)]


def _name(token: str | bytes) -> str:
    text = token.decode("utf-8", "backslashreplace") if isinstance(token, bytes) else token
    return "".join([c if c.isprintable() or c in VISIBLE else ascii(c)[1:-1] for c in text])


def tokens_as_text(tokenizer: Tokenizer, tokens: Sequence[int]) -> Text:
    """Return the tokens for a terminal, each on a background of its own."""
    text = Text()
    for i, name in enumerate(token_names(tokenizer, tokens)):
        style = f"#222222 on {COLOURS[i % len(COLOURS)]}"
        for part in _visible(name).splitlines(keepends=True):
            text.append(part.rstrip("\n"), style)
            text.append("\n" if part.endswith("\n") else "")
    return text


def tokens_as_html(tokenizer: Tokenizer, tokens: Sequence[int], *, title: str = "Tokens") -> str:
    """Return a page that shows the tokens, needs nothing else, and names an id under the mouse."""
    spans = [
        f'<span class="c{i % len(COLOURS)}" title="{token}">{html.escape(_visible(name))}</span>'
        for i, (token, name) in enumerate(zip(tokens, token_names(tokenizer, tokens), strict=True))
    ]
    colours = "\n".join(f".c{i} {{ background: {colour} }}" for i, colour in enumerate(COLOURS))
    return PAGE.format(
        title=html.escape(title),
        colours=colours,
        summary=html.escape(summary(tokenizer, tokens)),
        tokens="".join(spans),
    )


def summary(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return one line: how many tokens for how much text."""
    text = tokenizer.decode(tokens)
    n_bytes = len(text.encode("utf-8", "surrogatepass"))
    ratio = n_bytes / len(tokens) if tokens else 0.0
    return (
        f"{len(tokens):,} tokens, {len(text):,} characters, {n_bytes:,} bytes: "
        f"{ratio:.2f} bytes a token"
    )


def _visible(name: str) -> str:
    return "".join([VISIBLE.get(character, character) for character in name])
