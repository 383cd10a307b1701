"""How near our models' outputs are to Hugging Face's: `python -m tests.benchmarks.parity`.

For each family and precision the largest absolute difference over all real tokens, for random
weights, biases and scales, and the versions; with `--json FILE` the rows are also written there,
and with `--real` the published weights of MiniLM and SmolLM2 follow (a minute, 3 GB).
"""

import argparse
import json
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

from tests.pretrained.theirs import CASES, RealModel, minilm, minilm_folder, parity, smollm2
from transformer.pretrained.load import load_model, save_pretrained
from transformer.pretrained.smollm2 import smollm2_file

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


def real_rows() -> list[Row]:
    """Return the same of the models with published weights that packages carry."""
    measured: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if (place := minilm_folder()) is not None:
            measured.append({"theirs": "BertModel", **named_parity(minilm(place))})
        model, tokenizer = load_model(smollm2_file())
        save_pretrained(model, Path(folder) / "new")
        real = smollm2(model, tokenizer, Path(folder) / "new")
        measured.append({"theirs": "LlamaForCausalLM", **named_parity(real)})
    return measured


def named_parity(real: RealModel) -> Row:
    return {"model": f"{real.name}, real weights", **real.parity()}


def main() -> None:
    """Print the table as docs/pretrained.md has it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=None, help="also write the rows there")
    parser.add_argument("--real", action="store_true", help="published weights too")
    options = parser.parse_args()
    measured = rows() + (real_rows() if options.real else [])
    print("| model | of transformers | float32 | float64 |\n|---|---|---|---|")
    for row in measured:
        print(f"| {row['model']} | {row['theirs']} | {row['float32']:.0e} | {row['float64']:.0e} |")
    for row in measured:
        if "of the largest" in row:
            print(
                f"{row['model']}, float32: {row['of the largest']:.0e} of the largest output; "
                f"theirs differs from itself by {row['theirs from itself']:.0e}"
            )
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    print(f"\n{date.today()}, {packages}")
    if options.json is not None:
        options.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
