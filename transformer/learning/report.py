"""A verdict in the terminal: on one screen, in the words of the topic."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from transformer.learning.exercises import CHAPTERS, exercise
from transformer.learning.verdict import Status, Verdict

MARKS: dict[Status, tuple[str, str]] = {
    "right": ("✓", "green"),
    "unfinished": ("…", "yellow"),
    "not written": ("·", "dim"),
    "wrong": ("✗", "red"),
    "layout": ("✗", "red"),
    "broken": ("✗", "red"),
    "stopped": ("✗", "red"),
}


def show(console: Console, verdict: Verdict, *, hint_only: bool = False) -> None:
    """Print a verdict; with `hint_only` a named mistake is hinted at and not told."""
    console.print(rendered(verdict, hint_only=hint_only), highlight=False)


def rendered(verdict: Verdict, *, hint_only: bool = False) -> RenderableType:
    """Return a verdict as rich prints it."""
    mark, style = MARKS[verdict.status]
    title = Text.assemble((f"{mark} ", style), (verdict.exercise, f"bold {style}"))
    if verdict.good:
        lines = [Text(f"  {verdict.headline}")]
        lines += [Text(f"  {line}", style="dim") for line in verdict.missing]
        return (
            Group(title, *lines)
            if verdict.status != "not written"
            else title + Text(f"  {verdict.headline}", style="dim")
        )
    parts: list[RenderableType] = [title]
    if hint_only and verdict.named:
        parts.append(_indented(verdict.hint))
    else:
        parts.append(_indented(verdict.headline, style="bold"))
        parts += [_indented(paragraph) for paragraph in verdict.explanation]
        if verdict.hint:
            parts.append(_indented(f"Try: {verdict.hint}", style="cyan"))
    number = exercise(verdict.exercise).chapter
    names = f"   {', '.join(verdict.named)}" if verdict.named and not hint_only else ""
    parts.append(_indented(f"Chapter {number}, {CHAPTERS[number]}.{names}", style="dim"))
    return Group(*parts)


def _indented(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def path_table(verdicts: list[Verdict]) -> Table:
    """Return the path through the curriculum with what is done."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    chapter = 0
    for verdict in verdicts:
        number = exercise(verdict.exercise).chapter
        if number != chapter:
            table.add_row(Text(f"{number}", style="dim"), Text(CHAPTERS[number], style="dim"), "")
            chapter = number
        mark, style = MARKS[verdict.status]
        said = "" if verdict.status == "not written" else verdict.headline
        table.add_row(Text(mark, style=style), verdict.exercise, Text(said, overflow="ellipsis"))
    return table
