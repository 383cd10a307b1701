"""The argument parser that all commands use."""

from typing import NoReturn

from jsonargparse import ArgumentParser


class UsageError(Exception):
    """The call itself is wrong; the message is the whole explanation."""


class Parser(ArgumentParser):
    """An ArgumentParser whose complaints are raised as UsageError, not printed with usage."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UsageError with the message."""
        raise UsageError(message) from ex
