import json
from pathlib import Path

import pytest

from tests.benchmarks.data_rows import report, row


def test_a_row_holds_the_ratios_of_its_rounds_and_the_median_of_the_candidate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = row("work", "ours", "theirs", [(2.0, 4.0), (9.0, 3.0), (5.0, 5.0)], unit="s")
    report([found], tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text()) == [
        {
            "work": "work",
            "candidate": "ours",
            "reference": "theirs",
            "ratio_min": 0.5,
            "ratio_median": 1.0,
            "ratio_max": 3.0,
            "unit": "s",
            "value": 5.0,
        }
    ]
    assert "1.0000 (0.5000-3.0000)" in capsys.readouterr().out
