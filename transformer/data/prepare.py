"""From documents to a token file, in one pass, with several processes.

    documents -> pieces of text -> (processes) ids of each piece -> in order -> token file

Only a few pieces are in memory at a time, however large the corpus or a document is. This
process reads and writes; the others encode. An interrupted preparation leaves no file, and
the next one starts clean.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int

from transformer.data.token_file import TokenFile, TokenFileWriter, vocabulary_hash
from transformer.tokenizers.parallel import ordered_map

TASK_CHARACTERS = 1 << 18

# Pieces of text, each with whether its document ends there.
Task = list[tuple[str, bool]]


class Encoder(Protocol):
    """What preparation needs of a tokenizer, which also has to be picklable."""

    @property
    def vocabulary(self) -> Sequence[str] | Sequence[bytes]:
        """The tokens; an id is a place among them."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`."""


class InPieces(Protocol):
    """What preparation needs of documents: `sources.documents.Documents` has it."""

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


def encode_task(how: tuple[Encoder, int | None], task: Task) -> Int[np.ndarray, " n_tokens"]:
    """Return the ids of a task's pieces; `how` is the tokenizer and what ends a document."""
    tokenizer, end_of_text = how
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
    return ordered_map(encode_task, (tokenizer, end_of_text), tasks, processes=num_processes)
