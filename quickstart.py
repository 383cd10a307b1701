"""Set everything up, once, and run a command in the project's environment.

    python3 quickstart.py transformer train
    python3 quickstart.py pytest

is `poetry install` followed by `poetry run transformer train` or `poetry run pytest`, and
needs nothing but a Python and git. Poetry comes into `.poetry/`, the packages into `.venv/`,
both in this folder; a second call installs nothing.
"""

from __future__ import annotations  # so that an old Python, too, gets to say what is needed

import hashlib
import os
import shutil
import signal
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
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
SUFFIX = ".exe" if os.name == "nt" else ""
POETRY = POETRY_HOME / SCRIPTS / f"poetry{SUFFIX}"
POETRY_PYTHON = POETRY_HOME / SCRIPTS / f"python{SUFFIX}"
VENV_PYTHON = VENV / SCRIPTS / f"python{SUFFIX}"

# Asked of the pip beside Poetry: the index that its configuration, environment and defaults name.
PRINT_PIPS_INDEX = """
from pip._internal.commands import create_command
print(create_command("download").parse_args(["any"])[0].index_url)
"""


def main(command: list[str]) -> None:
    """Set up if need be, then become `poetry run COMMAND`."""
    if not command or command[0].startswith("-"):
        fail("usage: python3 quickstart.py COMMAND [ARG ...], as in: python3 quickstart.py pytest")
    state = wanted_state()
    if not is_set_up(state):
        set_up()
        STAMP.write_text(state)
    poetry = [str(POETRY), "--project", str(PROJECT), "run", *command]
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command to answer
        sys.exit(subprocess.run(poetry, env=environment(), check=False).returncode)
    os.execve(poetry[0], poetry, environment())


def is_set_up(state: str) -> bool:
    """Return whether a set-up ended well, for this state, and its Pythons are still there."""
    pythons = POETRY_PYTHON.exists() and VENV_PYTHON.exists()
    return pythons and STAMP.is_file() and STAMP.read_text() == state


def wanted_state() -> str:
    """Return a fingerprint of what is to be installed, and for which Python."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for name in ("pyproject.toml", "poetry.lock"):
        digest.update((PROJECT / name).read_bytes())
    return digest.hexdigest()


def set_up() -> None:
    """Make Poetry's own environment, then the project's."""
    python = find_python()
    if not answer([python, "-c", "import ensurepip, venv; print('there')"]):
        fail(f"{python} has no venv module. On Debian and Ubuntu: sudo apt install python3-venv")
    say("Setting up, once. On Linux this is about 5 GB: torch comes with CUDA.")
    say(f"Poetry, with {python}, into .poetry ...")
    run([python, "-m", "venv", "--clear", str(POETRY_HOME)], "Can this folder be written to?")
    pip = [str(POETRY_PYTHON), "-m", "pip", "install", "--quiet"]
    run(
        [*pip, "--disable-pip-version-check", "poetry>=2,<3", "poetry-plugin-pypi-mirror"],
        "Can pip reach its package index?",
    )
    say("The packages of poetry.lock, into .venv ...")
    if UNFINISHED.exists() or not VENV_PYTHON.exists():
        # A package that was cut off half-way would count as installed.
        shutil.rmtree(VENV, ignore_errors=True)
    UNFINISHED.touch()
    poetry = [str(POETRY), "--project", str(PROJECT)]
    run([*poetry, "env", "use", python], "Is .venv open in another program?")
    run(
        [*poetry, "install"],
        "Is there room on the disk, and does the index answer?",
        env={**environment(), **pip_index()},
    )
    UNFINISHED.unlink()


def find_python() -> str:
    """Return a Python that the project supports: this one, or one on the PATH."""
    if sys.version_info[:2] in SUPPORTED:
        return str(getattr(sys, "_base_executable", sys.executable))  # not a .venv's, but behind it
    for major, minor in SUPPORTED:
        for command in ([f"python{major}.{minor}"], ["py", f"-{major}.{minor}"]):
            # It must run: a version manager's shim is found for versions that are not.
            python = answer([*command, "-c", "import sys; print(sys.executable)"])
            if python:
                return python
    here = ".".join(map(str, sys.version_info[:3]))
    fail(f"this needs Python 3.11, 3.12 or 3.13, and found only {here} ({sys.executable})")


def environment() -> dict[str, str]:
    """Return this process's environment with Poetry led to the project's own `.venv`."""
    active = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME")  # Poetry would install into those
    env = {name: value for name, value in os.environ.items() if name not in active}
    env["POETRY_VIRTUALENVS_CREATE"] = "true"
    env["POETRY_VIRTUALENVS_IN_PROJECT"] = "true"
    return env


def pip_index() -> dict[str, str]:
    """Return what makes Poetry use the package index that pip is set to use.

    Poetry asks its index in JSON, and a mirror may answer in HTML only; Poetry's mirror
    plugin speaks the HTML form to the index that this variable names.
    """
    if "POETRY_PYPI_MIRROR_URL" in os.environ:
        return {}
    index = answer([str(POETRY_PYTHON), "-c", PRINT_PIPS_INDEX])
    return {"POETRY_PYPI_MIRROR_URL": index} if index else {}


def answer(command: list[str]) -> str:
    """Return what a command prints, or nothing if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # takes the step under way along
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted; call again to go on")
        sys.exit(130)
