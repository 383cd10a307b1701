"""The rows that the benchmarks of the data write: what was done, against what, how often more."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str | float]


def row(
    work: str,
    candidate: str,
    reference: str,
    pairs: Sequence[tuple[float, float]],
    *,
    unit: str,
) -> Row:
    """Return the row of rounds that measured the candidate beside the reference.

    `ratio` is candidate / reference, round by round; `value` is the candidate's median.
    """
    ratios = [ours / theirs for ours, theirs in pairs]
    return {
        "work": work,
        "candidate": candidate,
        "reference": reference,
        "ratio_min": min(ratios),
        "ratio_median": statistics.median(ratios),
        "ratio_max": max(ratios),
        "unit": unit,
        "value": statistics.median(ours for ours, _ in pairs),
    }


def report(rows: Sequence[Row], json_file: Path | None) -> None:
    """Print the rows as a table, and write them to `json_file` where one is named."""
    print(f"{'work':32} {'candidate':28} {'value':>10} {'unit':14} {'ratio to':28} ratio (min-max)")
    for one in rows:
        print(
            f"{one['work']:32} {one['candidate']:28} {one['value']:>10.4g} {one['unit']:14} "
            f"{one['reference']:28} {one['ratio_median']:.4f} "
            f"({one['ratio_min']:.4f}-{one['ratio_max']:.4f})"
        )
    write(rows, json_file)


def write(rows: Sequence[Row], json_file: Path | None) -> None:
    """Write the rows to `json_file` where one is named."""
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
