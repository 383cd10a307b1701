"""Preparation: the plain loop gives the same file, and nothing short is left behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.deadly import Deadly
from transformer.data import prepare as module
from transformer.data.prepare import prepare, tasks_of
from transformer.data.sources.documents import ListOfTexts
from transformer.data.token_file import TokenFile
from transformer.tokenizers import CharacterTokenizer
from transformer.tokenizers.parallel import IN_FLIGHT

TEXTS = ["to be, or not", "", " that is  the question\n", "x" * 50, "a b " * 40]
TOKENIZER = CharacterTokenizer.train("".join(TEXTS) + "$")
END = TOKENIZER.encode("$")[0]


def plain(texts: list[str], end: int | None) -> list[int]:
    """All of it in memory, one document at a time."""
    tokens = []
    for text in texts:
        tokens += TOKENIZER.encode(text)
        if end is not None:
            tokens.append(end)
    return tokens


@pytest.mark.parametrize("end", [END, None])
@pytest.mark.parametrize("task_characters", [1, 7, 1 << 18])
def test_the_file_holds_each_documents_tokens_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int | None, task_characters: int
) -> None:
    monkeypatch.setattr(module, "TASK_CHARACTERS", task_characters)
    file = prepare(ListOfTexts(TEXTS), TOKENIZER, tmp_path / "tokens", end_of_text=end)
    assert file.tokens.tolist() == plain(TEXTS, end)
    assert (file.end_of_text, file.d_vocab) == (end, TOKENIZER.d_vocab)


def test_the_file_does_not_depend_on_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASK_CHARACTERS", 20)
    documents = ListOfTexts(TEXTS * 5)
    for n in (1, 2):
        path = tmp_path / f"{n}.tokens"
        prepare(documents, TOKENIZER, path, end_of_text=END, num_processes=n)
    one, two = (tmp_path / f"{n}.tokens" for n in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert len(list(tasks_of(documents))) > 2 * IN_FLIGHT * 2, "no task ever waited"


class Watched(ListOfTexts):
    """Documents that keep count of how far they were read."""

    n_read = 0

    def pieces(self, index: int) -> Iterator[str]:
        self.n_read = index + 1
        yield from super().pieces(index)


def test_documents_are_read_no_further_ahead_than_the_tasks_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TASK_CHARACTERS", 1)
    documents = Watched(["be"] * 100)
    for n_done, _ in enumerate(module.encoded(tasks_of(documents), TOKENIZER, None, 2), start=1):
        assert documents.n_read <= n_done + 2 * IN_FLIGHT + 1
    assert documents.n_read == 100


@given(texts=st.lists(st.text(alphabet="ab \n", max_size=20), max_size=9))
def test_tasks_hold_every_piece_once_and_end_every_document(texts: list[str]) -> None:
    found, text = [], ""
    for piece, is_last in (one for task in tasks_of(ListOfTexts(texts)) for one in task):
        text += piece
        if is_last:
            found.append(text)
            text = ""
    assert found == texts
    assert text == ""


def test_a_text_that_cannot_be_encoded_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the vocabulary has no '!'"):
        prepare(ListOfTexts(["to", "be!"]), TOKENIZER, tmp_path / "tokens", num_processes=2)
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_number_of_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num_processes must be at least 1, got 0"):
        prepare(ListOfTexts(TEXTS), TOKENIZER, tmp_path / "tokens", num_processes=0)


# Killed in the middle. Each process below kills itself when it meets the document "KILL".

SCRIPT = """
import signal, sys
from tests.data.deadly import Deadly
from transformer.data import prepare as module
from transformer.tokenizers import CharacterTokenizer

class Documents:
    def __len__(self):
        return len(texts)

    def pieces(self, index):
        if texts[index] == "KILL":
            signal.raise_signal(signal.SIGKILL)
        yield texts[index]

if __name__ == "__main__":
    module.TASK_CHARACTERS = 1
    texts = ["to be"] * 100 + ["KILL"] + ["or not to be"] * 100
    tokenizer = CharacterTokenizer.train("to be or not KILL")
    module.prepare(Documents(), tokenizer, sys.argv[1], num_processes=int(sys.argv[2]))
"""


@pytest.mark.parametrize("num_processes", [1, 2])
def test_a_killed_preparation_leaves_no_file_and_no_process_and_the_next_starts_clean(
    tmp_path: Path, num_processes: int
) -> None:
    script, path = tmp_path / "script.py", tmp_path / "tokens"
    script.write_text(SCRIPT)
    # The pipe that is captured closes when the last of the processes has ended.
    run = subprocess.run(
        [sys.executable, str(script), str(path), str(num_processes)],
        capture_output=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "."},
    )
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    assert not path.exists()
    remains = path.with_name("tokens.part")
    assert remains.exists(), "it was killed before it began to write"
    with pytest.raises(ValueError, match="is no token file"):
        TokenFile.open(remains)
    file = prepare(ListOfTexts(TEXTS), TOKENIZER, path, num_processes=num_processes)
    assert file.tokens.tolist() == plain(TEXTS, None)
    assert not remains.exists()


def test_a_killed_helper_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASK_CHARACTERS", 1)
    with pytest.raises(BrokenProcessPool):
        prepare(
            ListOfTexts(TEXTS), Deadly(TOKENIZER.vocabulary), tmp_path / "tokens", num_processes=2
        )
    assert list(tmp_path.iterdir()) == []
