"""The bank: whole, well-formed, and each entry told from all others by what it computes."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from transformer.learning import bank
from transformer.learning.bank import Misconception, find, misconceptions, variant, whole_bank
from transformer.learning.diagnosing.diagnosis import diagnose
from transformer.learning.exercises import EXERCISES
from transformer.learning.outcome import same
from transformer.learning.own.implementation import reference
from transformer.learning.probes import PROBES

QUICK = ("linear", "mask", "norm", "schedule", "filters")


def test_there_are_more_than_150_and_no_two_share_a_name() -> None:
    names = Counter(entry.name for entry in whole_bank())
    assert len(names) > 150
    assert max(names.values()) == 1


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_has_misconceptions_and_probes(name: str) -> None:
    assert misconceptions(EXERCISES[name])
    assert PROBES[name]


@pytest.mark.parametrize("entry", whole_bank(), ids=lambda entry: entry.name)
def test_an_entry_says_everything_and_its_hint_is_not_its_answer(entry: Misconception) -> None:
    for text in (entry.what, entry.why, entry.symptom, entry.hint, entry.explanation):
        assert len(text) >= 12, f"{text!r} says little"
    assert entry.hint not in (entry.what, entry.explanation)
    assert entry.source != find_source(entry), "the mistake changes nothing"


def find_source(entry: Misconception) -> str:
    from transformer.learning.source import reference_source

    return reference_source(entry.exercise)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no misconception 'no-such'"):
        find("no-such")


ENTRY = dict.fromkeys(["what", "why", "symptom", "hint", "explanation"], "It is so.")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"convention": "no"}, "ours: convention is true or false, or not there.*got 'no'"),
        ({"convention": None}, "ours: convention is true or false, or not there.*got None"),
        ({"symptoms": "none"}, "ours: an entry has exactly.*got.*symptoms"),
    ],
)
def test_an_entry_that_is_none_is_refused_with_what_is_expected(
    changed: dict[str, object],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = replace(EXERCISES["linear"], name="written")
    entry = {**ENTRY, "name": "ours", "edits": [["bias", "basis"]], **changed}
    (tmp_path / "written.yaml").write_text(json.dumps([entry]))
    monkeypatch.setattr(bank, "HERE", tmp_path)
    with pytest.raises(ValueError, match=rf"bank/written.yaml, {expected}"):
        misconceptions(written)


def named_as_itself(entry: Misconception) -> None:
    found = diagnose(entry.exercise, variant(entry.exercise, entry))
    assert found.wrong, "no experiment sees it"
    assert [other.name for other in found.named] == [entry.name]
    assert not found.indistinguishable


@pytest.mark.parametrize(
    "entry",
    [entry for name in QUICK for entry in misconceptions(EXERCISES[name])],
    ids=lambda entry: entry.name,
)
def test_a_variant_is_named_as_itself_and_as_no_other(entry: Misconception) -> None:
    named_as_itself(entry)


@pytest.mark.long  # CI runs `transformer score --strict`, which asks this of the whole way there
@pytest.mark.parametrize(
    "entry",
    [entry for entry in whole_bank() if entry.exercise.name not in QUICK],
    ids=lambda entry: entry.name,
)
def test_every_other_variant_too(entry: Misconception) -> None:
    named_as_itself(entry)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXERCISES)
def test_our_own_solution_gives_the_same_twice_and_nothing_is_wrong_with_it(name: str) -> None:
    names = reference(EXERCISES[name])
    for probe in PROBES[name]:
        assert same(probe.outcome(names), probe.outcome(names)), probe.name
    found = diagnose(EXERCISES[name], names)
    assert not found.wrong
    assert not found.missing
