"""The set-up: the README's two commands, and a lock that installs what it says."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[1]

MACHINES = {
    "linux x86_64": {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"},
    "linux aarch64": {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"},
    "darwin arm64": {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin"},
    "win32 AMD64": {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows"},
}

posix = pytest.mark.skipif(os.name != "posix", reason="its stand-ins are shell scripts")


def script(path: Path, *lines: str) -> None:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


# The quick start's program


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
    for name in ("PROJECT", "POETRY", "POETRY_PYTHON", "VENV_PYTHON", "STAMP"):
        here = tmp_path / getattr(module, name).relative_to(ROOT)
        monkeypatch.setattr(module, name, here)
    return module


def test_a_changed_lock_or_project_is_installed_again(quickstart: ModuleType) -> None:
    states = {quickstart.wanted_state()}
    for name in ("pyproject.toml", "poetry.lock"):
        (quickstart.PROJECT / name).write_text("changed")
        states.add(quickstart.wanted_state())
    assert len(states) == 3
    assert quickstart.wanted_state() in states


def test_only_a_set_up_that_ended_well_is_taken_for_whole(quickstart: ModuleType) -> None:
    state = quickstart.wanted_state()
    for python in (quickstart.POETRY_PYTHON, quickstart.VENV_PYTHON):
        python.parent.mkdir(parents=True)
        python.touch()
    assert not quickstart.is_set_up(state), "interrupted before the stamp was written"
    quickstart.STAMP.write_text("of another lock")
    assert not quickstart.is_set_up(state)
    quickstart.STAMP.write_text(state)
    assert quickstart.is_set_up(state)
    quickstart.VENV_PYTHON.unlink()
    assert not quickstart.is_set_up(state), "the Python it was made with is gone"


def test_a_supported_python_takes_itself_and_not_the_environment_it_runs_in(
    quickstart: ModuleType,
) -> None:
    python = Path(quickstart.find_python())
    assert python.samefile(sys.executable)
    assert not python.is_relative_to(ROOT), "a .venv cannot be made anew by its own Python"


@posix
def test_an_unsupported_python_looks_for_another_that_runs(
    quickstart: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin/python9.2", "exit 127  # as a version manager's shim may")
    script(tmp_path / "bin/python9.1", f'exec "{sys.executable}" "$@"')
    monkeypatch.setattr(quickstart, "SUPPORTED", ((9, 2), (9, 1)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert quickstart.find_python() == sys.executable


def test_without_a_supported_python_one_line_says_what_is_needed(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quickstart, "SUPPORTED", ())
    with pytest.raises(SystemExit) as exit_info:
        quickstart.find_python()
    assert exit_info.value.code == 2
    assert "this needs Python 3.11, 3.12 or 3.13, and found only" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_it_says_what_to_type(
    quickstart: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        quickstart.main(arguments)
    assert exit_info.value.code == 2
    assert "python3 quickstart.py pytest" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_poetry_is_not_led_into_another_environment(
    quickstart: ModuleType, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/another/project/.venv")
    environment = quickstart.environment()
    assert variable not in environment
    assert environment["POETRY_VIRTUALENVS_IN_PROJECT"] == "true"


def test_a_mirror_that_the_user_names_is_left_alone(
    quickstart: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POETRY_PYPI_MIRROR_URL", "the user's own")
    assert quickstart.pip_index() == {}


# The README's two commands, and the script that runs them


def quick_start_block() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Quick start$.*?^```bash\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1].splitlines()


def test_the_readmes_quick_start_is_two_commands() -> None:
    train, test = quick_start_block()
    assert train == "python3 quickstart.py transformer train"
    assert test == "python3 quickstart.py pytest"


@pytest.fixture
def rehearsal(tmp_path: Path) -> Path:
    """A project with the real .ci/run and README, whose quickstart only notes its arguments."""
    for name in (".ci/run", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    script(
        tmp_path / "bin/python3",
        'echo "python3 $*" >> calls',
        'case "$*" in $FAIL) exit $WITH; esac',
    )
    script(tmp_path / ".poetry/bin/poetry")
    return tmp_path


def run_ci(project: Path, fail: str = "", code: int = 1) -> int:
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "FAIL": fail, "WITH": str(code)}
    return subprocess.run(["bash", ".ci/run"], cwd=project, env=env, check=False).returncode


@posix
def test_ci_runs_the_readmes_commands_and_then_the_checks(rehearsal: Path) -> None:
    assert run_ci(rehearsal) == 0
    calls = (rehearsal / "calls").read_text().splitlines()
    assert calls[:2] == quick_start_block()
    commands = " ".join(calls[2:])
    for check in ("-m slow", "ruff check .", "ruff format --check .", "mypy", "--doctest-modules"):
        assert check in commands


@posix
@pytest.mark.parametrize(
    "check", ["* train", "* pytest", "*-m slow*", "*ruff check*", "*mypy*", "*--doctest-modules*"]
)
def test_ci_fails_with_each_of_its_steps(rehearsal: Path, check: str) -> None:
    assert run_ci(rehearsal, fail=check) != 0


@posix
def test_ci_accepts_that_there_are_no_slow_tests(rehearsal: Path) -> None:
    assert run_ci(rehearsal, fail="*-m slow*", code=pytest.ExitCode.NO_TESTS_COLLECTED) == 0


@posix
def test_ci_does_not_pass_without_a_quick_start(rehearsal: Path) -> None:
    (rehearsal / "README.md").write_text("# transformer\n")
    assert run_ci(rehearsal) != 0


# The lock


def locked_packages() -> list[dict[str, object]]:
    lock = tomllib.loads((ROOT / "poetry.lock").read_text(encoding="utf-8"))
    packages: list[dict[str, object]] = lock["package"]
    return packages


def test_the_lock_names_no_package_index() -> None:
    assert not [package["name"] for package in locked_packages() if "source" in package]


def installed_twice(packages: list[dict[str, object]], machine: str, python: str) -> set[str]:
    """Return the packages of which this machine installs two versions."""
    environment = MACHINES[machine] | {
        "platform_machine": machine.split()[1],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    installed: list[str] = []
    for package in packages:
        marker = package.get("markers")
        by_group = marker.values() if isinstance(marker, dict) else [marker]
        if any(m is None or Marker(str(m)).evaluate(environment) for m in by_group):
            installed.append(str(package["name"]))
    return {name for name in installed if installed.count(name) > 1}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_no_package_is_installed_in_two_versions_at_once(machine: str, python: str) -> None:
    # Two versions write the same files at the same time, and a library becomes a mixture.
    twice = installed_twice(locked_packages(), machine, python)
    assert not twice, f"locked in two versions that are both installed: {twice}"


def test_two_versions_whose_markers_both_hold_are_noticed() -> None:
    # As Poetry 2.5 locks it for torch 2.13; two versions for two Pythons are as they should be.
    lock: list[dict[str, object]] = [
        {"name": "cuda", "markers": 'sys_platform == "linux"'},
        {
            "name": "cuda",
            "markers": {"main": 'platform_machine == "x86_64"', "dev": "extra == 'x'"},
        },
        {"name": "numpy", "markers": 'python_version == "3.11"'},
        {"name": "numpy", "markers": 'python_version >= "3.12"'},
    ]
    assert installed_twice(lock, "linux x86_64", "3.12") == {"cuda"}
    assert installed_twice(lock, "linux aarch64", "3.12") == set()
