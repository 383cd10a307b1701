"""The same ids as tiktoken, Hugging Face and BertTokenizer on a megabyte of mixed real text."""

import json
import subprocess
import sys
import unicodedata
from collections import Counter

import pytest

from tests.tokenizers.comparison import differences, main
from tests.tokenizers.corpus import LOCALES, corpus
from tests.tokenizers.support import GPT2, scripts

SCRIPTS = (
    *("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "TAMIL", "THAI"),
    *("GEORGIAN", "ARMENIAN", "CJK", "HIRAGANA", "HANGUL"),
)
EACH_LANGUAGE = 300_000  # characters, in the long run


def test_the_text_has_fourteen_scripts_code_and_emoji() -> None:
    text = corpus(0)
    assert "def __init__(self" in text
    assert text.count("👩") > 100
    seen = Counter(unicodedata.name(c, "?").split()[0] for c in scripts())
    assert min(seen[script] for script in SCRIPTS) >= 20


@pytest.mark.long
@pytest.mark.skipif(not LOCALES.is_dir(), reason="no translations in /usr/share/locale")
def test_the_long_text_has_much_real_text_in_ten_scripts() -> None:
    seen = Counter(unicodedata.name(c, "?").split()[0] for c in corpus(EACH_LANGUAGE))
    assert sum(seen[script] > 10_000 for script in SCRIPTS) >= 10


@pytest.mark.parametrize(
    "size",
    [pytest.param(0, marks=pytest.mark.slow), pytest.param(EACH_LANGUAGE, marks=pytest.mark.long)],
)
def test_no_id_differs_from_those_of_other_libraries(size: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.tokenizers.comparison", str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    counts = json.loads(run.stdout)
    assert counts.pop("bytes") >= 1_000_000
    for name in ["own", "bert", *(["gpt2"] if GPT2.is_dir() else [])]:
        assert counts.pop(f"{name}: tokens") > 200_000
    assert set(counts) >= {"own: tiktoken", "own: Hugging Face", "bert: BertTokenizer"}
    assert set(counts.values()) == {0}, counts


def test_a_difference_is_seen() -> None:
    assert differences([1, 2, 3], [1, 5, 3]) == 1
    assert differences([1, 2, 3], [1]) == 2


def test_how_it_is_called_is_said_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["comparison", "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert "of each language on this machine" in " ".join(capsys.readouterr().out.split())
