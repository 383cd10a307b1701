"""Set everything up, once, and run a command in the project's environment.

    python3 quickstart.py transformer train
    python3 quickstart.py pytest

is `poetry install` followed by `poetry run transformer train` or `poetry run pytest`, and
needs nothing but a Python and git. Poetry comes into `.poetry/`, the packages into `.venv/`,
both in this folder; a second call installs nothing.
"""

from __future__ import annotations  # for an old Python to come as far as the line about it

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).resolve().parent
POETRY_HOME = PROJECT / ".poetry"
VENV = PROJECT / ".venv"
STAMP = VENV / "quickstart-stamp"
UNFINISHED = PROJECT / ".poetry-install-unfinished"
SUPPORTED = ((3, 13), (3, 12), (3, 11))
SCRIPTS = POETRY_HOME / ("Scripts" if os.name == "nt" else "bin")
POETRY = SCRIPTS / ("poetry.exe" if os.name == "nt" else "poetry")

# Asked of the pip beside Poetry: the index that its configuration, environment and defaults name.
PRINT_PIPS_INDEX = """
from pip._internal.commands import create_command
print(create_command("download").parse_args(["any"])[0].index_url)
"""


def main(command: list[str]) -> None:
    """Set up if need be, then become `poetry run COMMAND`."""
    if not command:
        fail(f"say what to run, for example: python3 {Path(__file__).name} pytest")
    state = wanted_state()
    if not POETRY.exists() or not STAMP.is_file() or STAMP.read_text() != state:
        set_up()
        STAMP.write_text(state)
    poetry = [str(POETRY), "--project", str(PROJECT), "run", *command]
    if os.name == "nt":
        sys.exit(subprocess.run(poetry, env=environment(), check=False).returncode)
    os.execve(poetry[0], poetry, environment())


def wanted_state() -> str:
    """Return a fingerprint of what is to be installed."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "poetry.lock"):
        digest.update((PROJECT / name).read_bytes())
    return digest.hexdigest()


def set_up() -> None:
    """Make Poetry's own environment, then the project's."""
    say("Setting up, once. On Linux this is about 5 GB: torch comes with CUDA.")
    python = find_python()
    say(f"Poetry, with {python}, into .poetry ...")
    run(
        [python, "-m", "venv", "--clear", str(POETRY_HOME)],
        "Is the venv module there? On Debian and Ubuntu: apt install python3-venv",
    )
    pip = [str(SCRIPTS / "python"), "-m", "pip", "install", "--quiet"]
    run(
        [*pip, "--disable-pip-version-check", "poetry>=2,<3", "poetry-plugin-pypi-mirror"],
        "Can pip reach its package index?",
    )
    say("The packages of poetry.lock, into .venv ...")
    if UNFINISHED.exists():  # a package that was cut off half-way would count as installed
        shutil.rmtree(VENV, ignore_errors=True)
    UNFINISHED.touch()
    run(
        [str(POETRY), "--project", str(PROJECT), "install"],
        "Is there room on the disk, and does the index answer?",
        env={**environment(), **pip_index()},
    )
    UNFINISHED.unlink()


def find_python() -> str:
    """Return a Python that the project supports: this one, or one on the PATH."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for major, minor in SUPPORTED:
        found = shutil.which(f"python{major}.{minor}")
        if found and answers(found):
            return found
    here = ".".join(map(str, sys.version_info[:3]))
    fail(f"this needs Python 3.11, 3.12 or 3.13, and found only {here} ({sys.executable})")


def answers(python: str) -> bool:
    """Whether it runs: a version manager's shim may stand for a Python that is gone."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def environment() -> dict[str, str]:
    """Return this process's environment with Poetry led to the project's own `.venv`.

    Poetry would install into another environment, venv or conda's, that is active.
    """
    active = ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")
    env = {name: value for name, value in os.environ.items() if name not in active}
    env["POETRY_VIRTUALENVS_IN_PROJECT"] = "true"
    env["POETRY_VIRTUALENVS_USE_POETRY_PYTHON"] = "true"
    return env


def pip_index() -> dict[str, str]:
    """Return what makes Poetry use the package index that pip is set to use.

    Poetry asks its index in JSON, and a mirror may answer in HTML only; Poetry's mirror
    plugin speaks the HTML form to the index that this variable names.
    """
    if "POETRY_PYPI_MIRROR_URL" in os.environ:
        return {}
    command = [str(SCRIPTS / "python"), "-c", PRINT_PIPS_INDEX]
    index = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {"POETRY_PYPI_MIRROR_URL": index} if index else {}


def run(command: list[str], hint: str, env: dict[str, str] | None = None) -> None:
    """Run one step of the set-up; if it fails, say what to look at and stop."""
    if subprocess.run(command, env=env or environment(), check=False).returncode != 0:
        fail(f"this step failed: {' '.join(command)}\n{hint}")


def say(line: str) -> None:
    """Print a line about the set-up, apart from the command's own output."""
    print(f"quickstart: {line}", file=sys.stderr, flush=True)


def fail(line: str) -> NoReturn:
    """Say what is wrong and end with exit code 2."""
    say(line)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; call again to go on")
        sys.exit(130)
