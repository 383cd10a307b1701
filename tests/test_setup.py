"""The set-up: the README's two commands, and a lock that installs what it says."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[1]

MACHINES = {
    "linux x86_64": {"sys_platform": "linux", "platform_system": "Linux"},
    "linux aarch64": {"sys_platform": "linux", "platform_system": "Linux"},
    "darwin arm64": {"sys_platform": "darwin", "platform_system": "Darwin"},
    "win32 AMD64": {"sys_platform": "win32", "platform_system": "Windows"},
}


@pytest.fixture
def quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """quickstart.py, as if it stood in an empty project of its own."""
    spec = importlib.util.spec_from_file_location("quickstart", ROOT / "quickstart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("pyproject.toml", "poetry.lock"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    return module


def quick_start_block() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Quick start$.*?^```bash\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1].splitlines()


def test_the_readmes_quick_start_is_two_commands() -> None:
    train, test = quick_start_block()
    assert train == "python3 quickstart.py transformer train"
    assert test == "python3 quickstart.py pytest"


def test_a_changed_lock_or_project_is_installed_again(quickstart: ModuleType) -> None:
    states = {quickstart.wanted_state()}
    for name in ("pyproject.toml", "poetry.lock"):
        (quickstart.PROJECT / name).write_text("changed")
        states.add(quickstart.wanted_state())
    assert len(states) == 3
    assert quickstart.wanted_state() in states


def test_a_python_that_is_supported_is_taken_and_another_is_looked_for(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quickstart.find_python() == sys.executable
    monkeypatch.setattr(quickstart, "SUPPORTED", ((2, 0), (2, 1)))
    there = {"python2.1": sys.executable}
    monkeypatch.setattr(quickstart.shutil, "which", there.get)
    assert quickstart.find_python() == sys.executable


def test_a_python_that_does_not_run_is_passed_over(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shim = tmp_path / "python2.1"
    shim.write_text("#!/bin/sh\necho 'python2.1: command not found'; exit 127\n")
    shim.chmod(0o755)
    monkeypatch.setattr(quickstart, "SUPPORTED", ((2, 1), (2, 0)))
    there = {"python2.1": str(shim), "python2.0": sys.executable}
    monkeypatch.setattr(quickstart.shutil, "which", there.get)
    assert quickstart.find_python() == sys.executable


def test_without_a_supported_python_one_line_says_what_is_needed(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quickstart, "SUPPORTED", ())
    with pytest.raises(SystemExit) as exit_info:
        quickstart.find_python()
    assert exit_info.value.code == 2
    assert "this needs Python 3.11, 3.12 or 3.13, and found only" in capsys.readouterr().err


def test_without_a_command_it_says_what_to_type(
    quickstart: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        quickstart.main([])
    assert exit_info.value.code == 2
    assert "python3 quickstart.py pytest" in capsys.readouterr().err


def test_poetry_is_not_led_into_another_environment(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")
    for name in others:
        monkeypatch.setenv(name, "/another/environment")
    environment = quickstart.environment()
    assert not environment.keys() & set(others)
    assert environment["POETRY_VIRTUALENVS_IN_PROJECT"] == "true"


def test_a_mirror_that_the_user_names_is_left_alone(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POETRY_PYPI_MIRROR_URL", "the user's own")
    assert quickstart.pip_index() == {}


def locked_packages() -> list[dict[str, object]]:
    lock = tomllib.loads((ROOT / "poetry.lock").read_text(encoding="utf-8"))
    packages: list[dict[str, object]] = lock["package"]
    return packages


def test_the_lock_names_no_package_index() -> None:
    assert not [package["name"] for package in locked_packages() if "source" in package]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_no_package_is_installed_in_two_versions_at_once(machine: str, python: str) -> None:
    # Two versions write the same files at the same time, and a library becomes a mixture.
    environment = MACHINES[machine] | {
        "platform_machine": machine.split()[1],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    installed: list[object] = []
    for package in locked_packages():
        marker = package.get("markers")
        by_group = marker.values() if isinstance(marker, dict) else [marker]
        if any(m is None or Marker(str(m)).evaluate(environment) for m in by_group):
            installed.append(package["name"])
    twice = {name for name in installed if installed.count(name) > 1}
    assert not twice, f"locked in two versions that are both installed: {twice}"
