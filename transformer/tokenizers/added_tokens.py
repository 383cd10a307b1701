"""Added tokens: names that are looked for in a text before it is split, as Hugging Face has them.

>>> tokens = [AddedToken("<cat>", special=False), AddedToken("<mask>", lstrip=True)]
>>> [getattr(part, "name", part) for part in cut("a <mask> is <cat>s", tokens)]
['a', '<mask>', ' is ', '<cat>', 's']

What is looked for, and what an added token takes of the white space around it, is the file's to
say (`added_tokens` of tokenizer.json).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import regex

_BEFORE, _BEHIND = regex.compile(r"(?r)\s+"), regex.compile(r"\s+")
# \w in Rust's regular expressions, and so in Hugging Face's library.
_OF_A_WORD = regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]")


@dataclass(frozen=True)
class AddedToken:
    """A name that is one token wherever it stands.

    Attributes:
        name: what is looked for.
        special: it stands for no text, and is read from a text only where that is asked for.
        lstrip: the white space before it is part of it.
        rstrip: the white space behind it is part of it.
        normalized: it is looked for after those that are not, in the text as it is normalised.
        single_word: it is found only where neither before nor behind it a word goes on.
    """

    name: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    single_word: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a special token, and nothing of the text around it matters."""
        return self.special and not (self.lstrip or self.rstrip or self.single_word)

    @property
    def state(self) -> dict[str, Any]:
        """What a file holds of it; `single_word`, as of old files, only where it is true."""
        return {name: how for name, how in asdict(self).items() if name != "single_word" or how}


def read_added(entries: Iterable[Mapping[str, Any]]) -> list[AddedToken]:
    """Return the tokens of entries such as `added_tokens` of tokenizer.json has.

    What one does not say is false. KeyError without a content, ValueError for an empty one.
    """
    added = []
    for entry in entries:
        if not entry["content"]:
            raise ValueError("one of its added tokens has no name")
        names = (one.name for one in fields(AddedToken) if one.name != "name")
        how = {name: bool(entry.get(name)) for name in names}
        added.append(AddedToken(str(entry["content"]), **how))
    return added


def cut(
    text: str, tokens: Collection[AddedToken], normalise: Callable[[str], str] = str
) -> Iterator[str | AddedToken]:
    """Yield the tokens found in `text`, and the text between them.

    Of two that begin at one place the longer is found. Where there are tokens that are looked for
    in the normalised text, the text that is yielded is that.
    """
    parts: list[str | AddedToken] = [text]
    for normalized, change in ((False, str), (True, normalise)):
        # Of two that are alike when they are normalised the first is found; in theirs, by chance.
        these = [one for one in tokens if one.normalized is normalized]
        wanted = {change(one.name): one for one in reversed(these)}
        if wanted:
            parts = [
                new
                for part in parts
                for new in ([part] if isinstance(part, AddedToken) else _cut(change(part), wanted))
            ]
    yield from parts


def _cut(text: str, tokens: Mapping[str, AddedToken]) -> Iterator[str | AddedToken]:
    names = "|".join(regex.escape(name) for name in sorted(tokens, key=len, reverse=True))
    done = 0
    for found in regex.finditer(names, text):
        token, (start, stop) = tokens[found[0]], found.span()
        if token.single_word and any(
            map(_OF_A_WORD.match, (text[start - 1 : start], text[stop : stop + 1]))
        ):
            continue
        if token.lstrip:
            before = _BEFORE.match(text, 0, start)
            start = max(done, before.start() if before else start)
        if token.rstrip:
            behind = _BEHIND.match(text, stop)
            stop = behind.end() if behind else stop
        if done < start:
            yield text[done:start]
        yield token
        done = stop
    if done < len(text):
        yield text[done:]
