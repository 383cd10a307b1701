"""The tests of the package, run from anywhere: what is looked into for it, and what stays."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEN = """
import sys, pytest
from transformer.learning.exercises import exercise
from transformer.learning.checking.suite import QUICK, arguments, import_tests

class Seen:
    def pytest_collectstart(self, collector):
        print("looks into", collector.path)

files = ["components/test_mask.py"]
options = arguments(*files, implementation=None, expression=QUICK)
pytest.main(["-q", "--collect-only", *options], plugins=[Seen()])
import_tests(exercise("mask"))
print("left", *[name for name in sys.modules if name.split(".")[0] == "tests"])
print("kept", "hypothesis" in sys.modules)
"""


def test_no_folder_above_is_looked_into_and_no_test_stays_imported(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SEEN], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = [line.partition(" ")[::2] for line in run.stdout.splitlines()]
    looked = {Path(rest.removeprefix("into ")) for word, rest in said if word == "looks"}
    assert ROOT / "tests" in looked
    assert not looked & {*ROOT.parents}
    assert ("left", "") in said
    assert ("kept", "True") in said
