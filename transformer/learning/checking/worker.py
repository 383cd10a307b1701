"""The process in which a learner's code runs: told what to check, it reports line by line.

    python -P -m transformer.learning.checking.worker REPORT IMPLEMENTATION MEMORY EXERCISE ...

REPORT is a file to which events are appended as JSON: "ready", "begin" with the exercise,
"probe" and "tests" with what runs, "verdict" with the result, or "nothing" with why nothing can be
loaded. Whatever the learner's code prints or does to this process, the parent reads only that file.
"""

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

from transformer.learning.checking.tested import tested, tested_beside_ours
from transformer.learning.diagnosing.diagnosed import from_diagnosis
from transformer.learning.diagnosing.diagnosis import Diagnosis, diagnose
from transformer.learning.diagnosing.evidence import confirmed
from transformer.learning.diagnosing.not_written import not_written
from transformer.learning.diagnosing.on_a_gpu import stops_on_a_gpu
from transformer.learning.diagnosing.other_layout import another_layout, or_another_layout
from transformer.learning.diagnosing.properties import broken_properties
from transformer.learning.diagnosing.relayout import (
    laid_out_otherwise,
    laid_out_otherwise_with_a_mistake,
    said_of,
)
from transformer.learning.exercises import Exercise, exercise
from transformer.learning.own.arrangement import Layout
from transformer.learning.own.files import NotTextError, defined_names
from transformer.learning.own.implementation import LAYOUT, for_exercise, load
from transformer.learning.own.layout import LayoutError
from transformer.learning.own.line import in_a_line, left_at, raised_at, tell_when_asked
from transformer.learning.verdict import Verdict, with_more

OPTIMIZES = {"adamw", "step", "scaled_step"}
Report = Callable[..., None]


def main(arguments: list[str]) -> None:
    """Check the exercises named and report each verdict."""
    file, implementation, memory, *wanted = arguments
    tell_when_asked(Path(file))
    if memory != "0":
        limit_memory(int(memory))

    def report(kind: str, **content: Any) -> None:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"kind": kind, **content}) + "\n")

    if OPTIMIZES.intersection(wanted):
        importlib.import_module("torch._dynamo")  # an optimizer's first step takes as long
    report("ready")
    for name in wanted:
        report("begin", exercise=name)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                verdict = check(exercise(name), implementation, report)
            except BrokenProcessPool:
                at = left_at(Path(file))
                ended = f"your code ended the process: tests/{exercise(name).tests}{at}"
                verdict = Verdict(name, "stopped", ended)
        report("verdict", exercise=name, verdict=verdict.to_json())


def check(wanted: Exercise, implementation: str, report: Report) -> Verdict:
    """Return the verdict on one exercise; BrokenProcessPool where its tests' process was ended."""
    report("probe", name="importing it")
    try:
        names = load(implementation, wanted)
        if not any(name in names for name in wanted.writes):
            return not_written(wanted, defined_names(implementation, wanted))
        namespace = for_exercise(wanted, names)
        instead = _other_layouts(wanted, names, report)
        found = diagnose(
            wanted,
            namespace,
            before=lambda name: report("probe", name=name),
            otherwise=lambda found: bool(instead(found)),
        )
    except LayoutError as error:
        return Verdict(wanted.name, "layout", str(error))
    except MemoryError:
        return Verdict(wanted.name, "stopped", "it needs more memory than it is given")
    except NotTextError as error:
        return Verdict(wanted.name, "broken", str(error))
    except (FileNotFoundError, ValueError) as error:
        if not raised_at(error):  # no line of the learner's: there is none to load
            report("nothing", why=str(error))
            raise SystemExit(1) from error
        return broken(wanted, error)
    except (Exception, SystemExit) as error:
        return broken(wanted, error)
    verdict = from_diagnosis(wanted, found)
    if found.wrong and (layouts := instead(found)):
        said = said_of(names[LAYOUT], layouts)
        if not found.named:
            relaid = for_exercise(wanted, {**names, LAYOUT: layouts})
            return another_layout(from_diagnosis(wanted, diagnose(wanted, relaid)), said)
        verdict = or_another_layout(verdict, said)
    elif not found.named and (
        both := laid_out_otherwise_with_a_mistake(wanted, names, found.wrong)
    ):
        layouts, beside = both
        return another_layout(from_diagnosis(wanted, beside), said_of(names[LAYOUT], layouts))
    if found.named:
        report("probe", name="confirming what it is")
        verdict = with_more(verdict, confirmed(found.named[0].name, namespace))
    elif found.wrong:
        report("probe", name="looking for what else it breaks")
        verdict = with_more(verdict, broken_properties(wanted, namespace))
    if verdict.status in ("wrong", "not written"):
        return verdict
    report("probe", name="calling it as on a GPU")
    elsewhere = [*stops_on_a_gpu(wanted, namespace)]
    report("tests", name=f"tests/{wanted.tests}")
    if verdict.status == "convention":
        verdict = tested_beside_ours(wanted, implementation, verdict, found.named)
    else:
        verdict = tested(wanted, implementation, verdict)
    return with_more(verdict, elsewhere) if verdict.good else verdict


def _other_layouts(
    wanted: Exercise, names: Mapping[str, Any], report: Report
) -> Callable[[Diagnosis], Mapping[str, Layout]]:
    """Return what finds the layouts for which the code is right, and looks once for the same."""

    @cache
    def found_for(experiments: tuple[str, ...]) -> Mapping[str, Layout]:
        report("probe", name="trying other orders of the axes that are declared")
        return laid_out_otherwise(wanted, names, experiments)

    return lambda found: found_for((*found.telling, *found.right))


def broken(wanted: Exercise, error: BaseException) -> Verdict:
    """Return the verdict on code that cannot be imported or stops outside any experiment."""
    return Verdict(wanted.name, "broken", f"it stops with {in_a_line(error)}")


def limit_memory(more_bytes: int) -> None:
    """Let this process allocate `more_bytes` beyond what it has; where the system can."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main(sys.argv[1:])
