"""A verdict in the terminal: on one screen, in the words of the topic."""

from collections.abc import Collection, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from transformer.learning.exercises import CHAPTERS, exercise
from transformer.learning.verdict import Status, Verdict

MARKS: dict[Status, tuple[str, str]] = {
    "right": ("✓", "green"),
    "unfinished": ("…", "yellow"),
    "convention": ("≈", "green"),
    "not written": ("·", "dim"),
    "wrong": ("✗", "red"),
    "layout": ("✗", "red"),
    "broken": ("✗", "red"),
    "stopped": ("✗", "red"),
}


def show(console: Console, verdict: Verdict, *, hint_only: bool = False) -> None:
    """Print a verdict; with `hint_only` no more of a mistake than a hint."""
    console.print(rendered(verdict, hint_only=hint_only), highlight=False)


def rendered(verdict: Verdict, *, hint_only: bool = False) -> RenderableType:
    """Return a verdict as rich prints it."""
    mark, style = MARKS[verdict.status]
    title = Text.assemble((f"{mark} ", style), (verdict.exercise, f"bold {style}"))
    if verdict.good and not verdict.named:
        lines = [_indented(verdict.headline)]
        lines += [_indented(paragraph, style="yellow") for paragraph in verdict.explanation]
        lines += [_indented(line, style="dim") for line in verdict.missing]
        return (
            Group(title, *lines)
            if verdict.status != "not written"
            else title + Text(f"  {verdict.headline}", style="dim")
        )
    parts: list[RenderableType] = [title]
    if hint_only:  # what cannot be run at all, or fails a test alone, has no hint
        parts.append(_indented(verdict.hint or verdict.headline))
    else:
        parts.append(_indented(verdict.headline, style="bold"))
        parts += [_indented(paragraph) for paragraph in verdict.explanation]
        if verdict.hint and len(verdict.named) < 2:  # of several each has its own already
            parts.append(_indented(f"Try: {verdict.hint}", style="cyan"))
    if verdict.good:
        parts += [_indented(line, style="dim") for line in verdict.missing]
    number = exercise(verdict.exercise).chapter
    names = f"   {', '.join(verdict.named)}" if verdict.named and not hint_only else ""
    parts.append(_indented(f"Chapter {number}, {CHAPTERS[number]}.{names}", style="dim"))
    return Group(*parts)


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def path(verdicts: Sequence[Verdict], started: Collection[str]) -> RenderableType:
    """Return the path through the curriculum with what is done, started or neither."""
    width = max(len(verdict.exercise) for verdict in verdicts)
    lines = []
    chapter = 0
    for verdict in verdicts:
        number = exercise(verdict.exercise).chapter
        if number != chapter:
            lines.append(Text(f"{number:>2}  {CHAPTERS[number]}", style="dim"))
            chapter = number
        begun = verdict.exercise in started
        line = Text.assemble("    ", MARKS[verdict.status], "  ", verdict.exercise)
        if begun:
            gap = " " * (2 + width - len(verdict.exercise))
            said = "started; " if verdict.status == "not written" else ""
            first_line, _, _ = verdict.headline.partition("\n")
            line.append(f"{gap}{said}{first_line}")
        lines.append(line)
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)
