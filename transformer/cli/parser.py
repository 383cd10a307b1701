"""The argument parser that all commands use."""

import difflib
import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

# What a negative number looks like: argparse by itself takes -1e3 and -inf for options.
NEGATIVE = re.compile(r"-(inf|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$", re.IGNORECASE)


class UsageError(Exception):
    """The call itself is wrong; the message is the whole explanation."""


class Parser(ArgumentParser):
    """An ArgumentParser whose complaints are raised as UsageError, not printed with usage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = NEGATIVE

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UsageError with the message."""
        raise UsageError(message) from ex

    def meant(self, complaint: str) -> str:
        """Return `complaint`; if it is of unknown options, with the ones here that come nearest.

        Such are those of a YAML file, too. `--lr` comes nearest to `--optimizer.lr`, whose last
        part it is. Words that no option stands before, as in `train my.txt`, are told that.
        """
        if key := re.search(r"does not accept option '([\w.-]+)'", complaint):
            return complaint + self._nearest([key[1]])
        if not re.match("unrecognized arguments?:", complaint, re.IGNORECASE):
            return complaint
        if " -" not in complaint:
            return f"{complaint}; is the option missing that it belongs to? --help lists them"
        return complaint + self._nearest(re.findall(r"--([\w.-]+)", complaint))

    def _nearest(self, unknown: list[str]) -> str:
        """Return the question whether the options that come nearest to these are meant, or ""."""
        names: dict[str, list[str]] = {}
        for action in self._actions:
            for option in action.option_strings:
                whole = option.lstrip("-").replace("-", "_")
                for name in {whole, whole.rpartition(".")[2]}:
                    names.setdefault(name, []).append(option)
        near: list[str] = []
        for word in (word.replace("-", "_") for word in unknown):
            near += [word] if word in names else difflib.get_close_matches(word, names, n=2)
        options = dict.fromkeys(option for name in near for option in names[name])
        return f"; is it {' or '.join(options)}?" if options else ""


@dataclass(frozen=True)
class NumberType:
    """A kind of number that an option takes, as text or already read; its name is in the help.

    nan and infinities too: what is wrong with those the option's own rule says. jsonargparse's
    types would only say that they are no member of a union.
    """

    name: str
    read: type[int] | type[float]

    def __call__(self, given: str | float) -> float:
        """Return the number; ArgumentTypeError for what is none."""
        try:
            return self.read(given)
        except ValueError:
            raise ArgumentTypeError(f"expected a {self.name}, got {given!r}") from None

    def __repr__(self) -> str:
        return self.name


number = NumberType("number", float)
whole_number = NumberType("whole number", int)
