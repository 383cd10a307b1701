"""What the doctor says: findings with their figures, for a terminal, for a tool, for a picture."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

Severity = Literal["fine", "note", "warning", "problem"]
ORDER: tuple[Severity, ...] = ("fine", "note", "warning", "problem")
COLOURS: dict[Severity, str] = {
    "fine": "green",
    "note": "cyan",
    "warning": "yellow",
    "problem": "bold red",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was looked at.
        severity: "fine"; "note" for what may be meant so; "warning" for what slows learning
            or may; "problem" for what prevents it or makes its loss mean nothing.
        measured: the figure, in a sentence.
        expected: what it should be, and why.
        look_at: where to look; empty where all is fine.
    """

    check: str
    severity: Severity
    measured: str
    expected: str
    look_at: str = ""


@dataclass(frozen=True, kw_only=True)
class ParameterSize:
    """Root mean squares over one parameter.

    Attributes:
        name: its dotted name.
        parameter: of its values before the first update.
        gradient: the largest of some updates; None where backward gives none.
        update: what one update changes, on average over some; NaN where it is no number.
    """

    name: str
    parameter: float
    gradient: float | None
    update: float

    @property
    def ratio(self) -> float | None:
        """The update's part of the parameter; None for one that begins at zero."""
        return self.update / self.parameter if self.parameter > 0 else None


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Losses after a few updates with each of several learning rates, on the same batches.

    Attributes:
        first: the loss before any update.
        after: (learning rate, loss) in rising order; an infinite loss where it was no number.
    """

    first: float
    after: tuple[tuple[float, float], ...]

    @property
    def best(self) -> float:
        """The learning rate with the lowest loss afterwards."""
        return min(self.after, key=lambda pair: pair[1])[0]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the doctor found, in the order in which to mend it.

    Attributes:
        findings: the result of every check.
        d_vocab: tokens in the vocabulary, for ln(d_vocab); 0 where it was not reached.
        learning_rate: the one asked about.
        sizes: of every parameter that is trained.
        overfit: losses on one small batch, update by update.
        rates: the learning rates tried.
    """

    findings: tuple[Finding, ...]
    d_vocab: int
    learning_rate: float
    sizes: tuple[ParameterSize, ...] = ()
    overfit: tuple[float, ...] = ()
    rates: Rates | None = None

    @property
    def worst(self) -> Severity:
        """The gravest severity among the findings."""
        return max((finding.severity for finding in self.findings), key=ORDER.index)

    def named(self, severity: Severity) -> list[str]:
        """Return the checks with a finding of this severity."""
        return [finding.check for finding in self.findings if finding.severity == severity]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON has it: what is no number is null."""
        content: dict[str, Any] = _without_nan(asdict(self))
        return content

    def __rich__(self) -> Table:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column()
        for finding in self.findings:
            lines = [f"[bold]{finding.check}[/bold]: {escape(finding.measured)}."]
            if finding.severity != "fine":
                lines.append(f"Expected: {escape(finding.expected)}.")
                lines.append(f"[italic]Look at {escape(finding.look_at)}.[/italic]")
            colour = COLOURS[finding.severity]
            table.add_row(f"[{colour}]{finding.severity}[/{colour}]", "\n".join(lines))
        return table


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
