"""`transformer prepare`: tokenise a corpus once, into files that training maps into memory."""

import time
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console

from transformer.cli.parser import Parser

HELP = "tokenise texts into a folder that `transformer train --data` reads"


def make_parser() -> Parser:
    """Return the parser of this command's arguments."""
    parser = Parser(description=HELP, elsewhere={"kind": "--tokenizer"})
    parser.add_argument("source", type=str, help="a text file, a folder of them, or a name")
    parser.add_argument("folder", type=Path, help="where to write the corpus")
    parser.add_argument(
        "--tokenizer",
        type=str,
        default="character",
        help="character, byte, sennrich-bpe, byte-bpe, wordpiece: to be learned from the texts; "
        "or a file, a folder with GPT-2's two files, gpt2: from the hub",
    )
    parser.add_argument(
        "--tokenizer_size", type=int | None, default=None, help="its tokens; of sennrich-bpe merges"
    )
    parser.add_argument("--validation_fraction", type=float, default=0.1, help="held out")
    parser.add_argument("--seed", type=int, default=0, help="decides which documents are")
    parser.add_argument("--num_processes", type=int, default=1, help="that tokenise side by side")
    return parser


def run(options: Namespace) -> None:
    """Prepare, and say how many tokens there are and how long it took."""
    from transformer.data.corpus import open_corpus, prepare_corpus
    from transformer.data.sources.named import find_documents
    from transformer.tokenizers import find_tokenizer

    started = time.perf_counter()
    documents = find_documents(options.source)
    tokenizer = find_tokenizer(
        options.tokenizer, documents.all_pieces(), size=options.tokenizer_size
    )
    prepare_corpus(
        documents,
        tokenizer,
        options.folder,
        validation_fraction=options.validation_fraction,
        seed=options.seed,
        num_processes=options.num_processes,
    )
    corpus = open_corpus(options.folder)
    Console(highlight=False, soft_wrap=True).print(
        f"{len(corpus.train):,} tokens to train on and {len(corpus.validation):,} to validate on, "
        f"of {tokenizer.d_vocab} symbols, in {time.perf_counter() - started:,.0f} s: "
        f"transformer train --data {options.folder}"
    )
