"""From documents to a token file, in one pass, with several processes.

    documents -> pieces of text -> (processes) ids of each piece -> in order -> token file

Only a few pieces are in memory at a time, however large the corpus or a document is. This
process reads and writes; the others encode. An interrupted preparation leaves no file, and
the next one starts clean.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import Int

from transformer.data.token_file import TokenFile, TokenFileWriter, vocabulary_hash

TASK_CHARACTERS = 1 << 18
TASKS_AHEAD = 3  # for each process: one in work, the others so that it never waits

# Pieces of text, each with whether its document ends there.
Task = list[tuple[str, bool]]
Given = TypeVar("Given")
Made = TypeVar("Made")


class Encoder(Protocol):
    """What preparation needs of a tokenizer, which also has to be picklable."""

    @property
    def vocabulary(self) -> Sequence[str] | Sequence[bytes]:
        """The tokens; an id is a place among them."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`."""


class InPieces(Protocol):
    """What preparation needs of documents: `transformer.data.documents.Documents` has it."""

    def __len__(self) -> int: ...

    def pieces(self, index: int) -> Iterator[str]:
        """Yield document `index` in pieces that may be tokenised one by one."""


def prepare(
    documents: InPieces,
    tokenizer: Encoder,
    path: str | Path,
    *,
    end_of_text: int | None = None,
    num_processes: int = 1,
) -> TokenFile:
    """Write the tokens of all documents to `path`, in order, and return the file, opened.

    `end_of_text`, where given, is written after each document. The file does not depend on
    `num_processes`. Raises what reading and encoding raise; nothing is at `path` then that
    was not there before.
    """
    if num_processes < 1:
        raise ValueError(f"num_processes must be at least 1, got {num_processes}")
    vocabulary = tokenizer.vocabulary
    writer = TokenFileWriter(
        path,
        d_vocab=len(vocabulary),
        vocabulary=vocabulary_hash(vocabulary),
        end_of_text=end_of_text,
    )
    parts = encoded(tasks_of(documents), tokenizer, end_of_text, num_processes)
    with writer, closing(parts):
        for tokens in parts:
            writer.write(tokens)
    return TokenFile.open(path, check_ids=False)


def tasks_of(documents: InPieces) -> Iterator[Task]:
    """Yield the pieces of all documents, as many together as make one task."""
    task: Task = []
    n_characters = 0
    for index in range(len(documents)):
        last = ""
        for piece in documents.pieces(index):
            if last:
                task.append((last, False))
            last = piece
            n_characters += len(piece)
            if n_characters >= TASK_CHARACTERS:
                yield task
                task, n_characters = [], 0
        task.append((last, True))
    yield task


def encode_task(
    task: Task, tokenizer: Encoder, end_of_text: int | None
) -> Int[np.ndarray, " n_tokens"]:
    """Return the ids of a task's pieces, with `end_of_text` after each document."""
    end = [] if end_of_text is None else [end_of_text]
    parts = [
        np.array(tokenizer.encode(text) + (end if is_last else []), dtype=np.int64)
        for text, is_last in task
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def encoded(
    tasks: Iterable[Task], tokenizer: Encoder, end_of_text: int | None, num_processes: int
) -> Generator[Int[np.ndarray, " n_tokens"], None, None]:
    """Yield the ids of each task, in the order of the tasks; closing it ends the processes."""
    if num_processes == 1:
        for task in tasks:
            yield encode_task(task, tokenizer, end_of_text)
        return
    pool = ProcessPoolExecutor(
        num_processes,
        # A fork of a process with threads may hang; a fresh process imports no torch here.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_process,
        initargs=(tokenizer, end_of_text),
    )
    try:
        yield from in_order(pool, _encode_in_process, tasks, ahead=TASKS_AHEAD * num_processes)
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(
    pool: ProcessPoolExecutor, function: Callable[[Given], Made], given: Iterable[Given], ahead: int
) -> Iterator[Made]:
    """Yield `function` of each of `given`, in order, with at most `ahead` under way.

    The pool's own `map` takes all that is given at once, and so all of a corpus into memory.
    """
    under_way: deque[Future[Made]] = deque()
    for one in given:
        under_way.append(pool.submit(function, one))
        if len(under_way) >= ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


# In each of the processes

_encoder: tuple[Encoder, int | None]


def _start_process(tokenizer: Encoder, end_of_text: int | None) -> None:
    global _encoder
    _encoder = (tokenizer, end_of_text)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and stops this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, and end: a killed parent cannot stop its processes itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _encode_in_process(task: Task) -> Int[np.ndarray, " n_tokens"]:
    return encode_task(task, *_encoder)
