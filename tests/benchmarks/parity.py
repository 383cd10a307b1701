"""How near our models' outputs are to Hugging Face's: `python -m tests.benchmarks.parity`.

For each family and precision the largest absolute difference over all real tokens, for random
weights, biases and scales, and the versions; with `--json FILE` the rows are also written there.
"""

import argparse
import json
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

from tests.pretrained.theirs import CASES, parity

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
Row = dict[str, str | float]


def rows() -> list[Row]:
    """Return one row a model: its name, and the difference in each precision."""
    measured: list[Row] = []
    for case in CASES:
        row: Row = {"model": case.name, "theirs": case.model}
        for name, dtype in PRECISIONS.items():
            torch.manual_seed(0)
            with tempfile.TemporaryDirectory() as folder:
                row[name] = parity(case, Path(folder), dtype)
        measured.append(row)
    return measured


def main() -> None:
    """Print the table as docs/pretrained.md has it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=None, help="also write the rows there")
    options = parser.parse_args()
    measured = rows()
    print("| model | of transformers | float32 | float64 |\n|---|---|---|---|")
    for row in measured:
        print(f"| {row['model']} | {row['theirs']} | {row['float32']:.0e} | {row['float64']:.0e} |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    print(f"\n{date.today()}, {packages}")
    if options.json is not None:
        options.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
