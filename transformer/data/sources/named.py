"""The data sets that have a name on the command line."""

from collections.abc import Callable
from pathlib import Path

from transformer.data.sources.documents import Documents, Shakespeare, TextFiles
from transformer.data.sources.huggingface import (
    HuggingFaceTexts,
    OpenWebText,
    Pile10k,
    holds_dataset,
)
from transformer.data.sources.markov import counting, random_chain
from transformer.data.sources.synthetic import AsText

NAMED: dict[str, Callable[[], Documents]] = {
    "shakespeare": Shakespeare,
    "openwebtext": OpenWebText,
    "pile-10k": Pile10k,
    "imdb": lambda: HuggingFaceTexts("stanfordnlp/imdb"),
    "counting": lambda: AsText(counting(11, p_jump=0.3, n_ctx=200_000)),
    "chain": lambda: AsText(random_chain(11, n_ctx=200_000)),
}


def find_documents(source: str | Path) -> Documents:
    """Return the documents of a name in `NAMED`, of a text file, or of a folder.

    A folder holds text files or a data set of the library `datasets`. FileNotFoundError for
    what is none of these.
    """
    if str(source) in NAMED:
        return NAMED[str(source)]()
    if not Path(source).exists():
        raise FileNotFoundError(
            f"there is no text file at {source}, nor a folder, and no data set has that name: "
            f"the names are {', '.join(NAMED)}"
        )
    return HuggingFaceTexts(str(source)) if holds_dataset(source) else TextFiles(source)
