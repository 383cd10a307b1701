"""The argument parser that all commands use."""

import difflib
import re
from argparse import Action, ArgumentTypeError, _SubParsersAction
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from transformer.cli.complaints import type_in_words

# What a negative number looks like: argparse by itself takes -1e3 and -.inf for options.
NEGATIVE = re.compile(r"-(\.?inf|infinity|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$", re.IGNORECASE)

# The last part of a help text, where jsonargparse writes the type as Python does.
TYPE = re.compile(r"(?<=\btype: )(.*?)(?=(?:, default: .*)?\)$)", re.DOTALL)


class UsageError(Exception):
    """The call itself is wrong; the message is the whole explanation."""


class HelpFormatter(DefaultHelpFormatter):
    """Says in words what kind of value an option takes."""

    def _expand_help(self, action: Action) -> str:
        return TYPE.sub(lambda found: type_in_words(found[1]), super()._expand_help(action))


class Parser(ArgumentParser):
    """An ArgumentParser whose complaints are raised as UsageError, not printed with usage.

    `elsewhere` has names that other programs give to its options, and how each is called here;
    `of_words` are the options that a word without one is likely to belong to.
    """

    def __init__(
        self,
        *args: Any,
        elsewhere: Mapping[str, str] = {},
        of_words: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, formatter_class=HelpFormatter, **kwargs)
        self._negative_number_matcher = NEGATIVE
        self.elsewhere, self.of_words = elsewhere, of_words

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UsageError with the message."""
        raise UsageError(message) from ex

    def meant(self, complaint: str) -> str:
        """Return `complaint`; if it is of unknown options, with the ones here that come nearest.

        Such are those of a YAML file, too. `--lr` comes nearest to `--optimizer.lr`, whose last
        part it is. Words that no option stands before, as in `train my.txt`, are told that.
        """
        if key := re.search(r"has not: option '([\w.-]+)'", complaint):
            of_another = "is the file another version's? transformer train --help lists the options"
            return complaint + (self._nearest([key[1]]) or f"; {of_another} of this one")
        if not re.match("unrecognized arguments?:", complaint, re.IGNORECASE):
            return complaint
        if " -" not in complaint:
            likely = f", {' or '.join(self.of_words)}" if self.of_words else ""
            missing = f"is the option missing that it belongs to{likely}?"
            return f"{complaint}; {missing} --help lists them"
        return complaint + self._nearest(re.findall(r"--([\w.-]+)", complaint))

    def _nearest(self, unknown: list[str]) -> str:
        """Return the question whether the options that come nearest to these are meant, or ""."""
        names: dict[str, list[str]] = {}
        of_subcommands = [
            action
            for subcommands in self._actions
            if isinstance(subcommands, _SubParsersAction)
            for parser in subcommands.choices.values()
            for action in parser._actions
        ]
        for action in [*self._actions, *of_subcommands]:
            for option in action.option_strings:
                whole = option.lstrip("-").replace("-", "_")
                for name in {whole, whole.rpartition(".")[2]}:
                    names.setdefault(name, []).append(option)
        names |= {name: [option] for name, option in self.elsewhere.items()}
        near = [found for word in unknown for found in _nearest_name(word, names)]
        options = dict.fromkeys(option for name in near for option in names[name])
        return f"; is it {' or '.join(options)}?" if options else ""


def _nearest_name(word: str, names: Collection[str]) -> list[str]:
    """Return the names that are `word`, or that one or two have as a part, or the likest one."""
    whole = word.replace("-", "_")
    last = whole.rpartition(".")[2]
    for exact in (whole, last):
        if exact in names:
            return [exact]
    short = {name.rpartition(".")[2]: name for name in names}
    having = [name for part, name in short.items() if {*last.split("_")} <= {*part.split("_")}]
    likest = difflib.get_close_matches(whole, names, n=1, cutoff=0.76)
    return having if 1 <= len(having) <= 2 else likest


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
