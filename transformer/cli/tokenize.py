"""`transformer tokenize train|encode|decode|show`: make a tokenizer, use it, look at its tokens."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import Namespace

from transformer.cli.parser import Parser
from transformer.cli.piped import read_piped

if TYPE_CHECKING:
    from transformer.tokenizers import Tokenizer

HELP = "train a tokenizer, encode and decode with it, show its tokens"
TOKENIZER = "a tokenizer's file, a folder with GPT-2's two files, or gpt2: from the hub"
FILE = "a UTF-8 text; without it and without --text: what is piped in"
KindName = Literal["character", "byte", "sennrich-bpe", "byte-bpe", "wordpiece"]


def make_parser() -> Parser:
    """Return the parser of this command; `add_actions` completes it."""
    return Parser(description=HELP)


def add_actions(parser: Parser) -> None:
    """Add train, encode, decode and show, once `parser` has its own place in the command line."""
    commands = parser.add_subcommands(metavar="ACTION")

    train = Parser(description="learn a tokenizer from a text")
    train.add_argument("file", type=Path, help="a UTF-8 text")
    train.add_argument("--out", type=Path, required=True, help="the tokenizer's file")
    train.add_argument("--kind", type=KindName, default="byte-bpe", help="what to learn")
    train.add_argument(
        "--size",
        type=int | None,
        default=None,
        help="tokens of byte-bpe and wordpiece (4256), merges of sennrich-bpe (4000)",
    )
    train.add_argument(
        "--special",
        type=list[str],
        default=["<|endoftext|>"],
        help="special tokens of byte-bpe, as a list: '[a, b]'",
    )
    train.add_argument("--processes", type=int, default=1, help="to count byte-bpe's pieces")
    commands.add_subcommand("train", train, help="learn a tokenizer from a text")

    encode = _parser_of("print the ids of a text")
    encode.add_argument("--processes", type=int, default=1, help="for long texts")
    commands.add_subcommand("encode", encode, help="print the ids of a text")

    decode = Parser(description="print the text of ids")
    decode.add_argument("tokenizer", type=str, help=TOKENIZER)
    decode.add_argument(
        "ids", type=str, nargs="*", help="ids, or a file of them; else what is piped in"
    )
    commands.add_subcommand("decode", decode, help="print the text of ids")

    show = _parser_of("show a text's tokens in colours")
    show.add_argument("--html", type=Path | None, default=None, help="write a page there instead")
    commands.add_subcommand("show", show, help="show a text's tokens in colours")


def _parser_of(description: str) -> Parser:
    """Return a parser with a tokenizer and a text."""
    parser = Parser(description=description)
    parser.add_argument("tokenizer", type=str, help=TOKENIZER)
    parser.add_argument("file", type=Path | None, nargs="?", default=None, help=FILE)
    parser.add_argument("--text", type=str | None, default=None, help="a text in place of a file")
    return parser


def run(options: Namespace) -> None:
    """Run the action."""
    ACTIONS[options.subcommand](options[options.subcommand])


def run_train(options: Namespace) -> None:
    """Learn, save, and say what was learned."""
    from transformer.tokenizers import make_tokenizer, read_chunks
    from transformer.whole import require_folder

    require_folder(options.out)
    chunks = read_chunks(options.file)
    if not (first := next(chunks, "")):
        raise ValueError(f"{options.file} is empty")
    tokenizer = make_tokenizer(
        options.kind,
        chain([first], chunks),
        size=options.size,
        special_tokens=options.special,
        processes=options.processes,
    )
    tokenizer.save(options.out)
    print(f"{options.out}: {options.kind}, {tokenizer.d_vocab:,} tokens")


def run_encode(options: Namespace) -> None:
    """Print the ids on one line, as they come."""
    tokenizer = _load(options.tokenizer)
    between = ""
    for ids in tokenizer.encode_stream(_text_of(options), processes=options.processes):
        if ids:
            print(between + " ".join(map(str, ids)), end="")
            between = " "
    print()


def run_decode(options: Namespace) -> None:
    """Print the text of the ids."""
    words = _ids_of(options.ids).replace(",", " ").split()
    if strange := [word for word in words if not re.fullmatch(r"[+-]?\d+", word)]:
        raise ValueError(
            f"token ids are whole numbers between spaces or commas; got {strange[0]!r:.60}"
        )
    print(_load(options.tokenizer).decode(map(int, words)), end="")


def _ids_of(given: list[str]) -> str:
    """Return the ids as text: those given, or in the file given, or piped in."""
    if not given:
        return read_piped()
    alone = given[0] if len(given) == 1 else None
    if alone is not None and (Path(alone).is_file() or not re.match(r"[+-]?\d", alone)):
        return "".join(_chunks(Path(alone)))
    return " ".join(given)


def run_show(options: Namespace) -> None:
    """Print the tokens in colours, or write them as a page."""
    from transformer.visualisation.tokens import summary, tokens_as_html, tokens_as_text
    from transformer.whole import write_whole

    tokenizer = _load(options.tokenizer)
    tokens = tokenizer.encode("".join(_text_of(options)))
    if options.html is None:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(tokens_as_text(tokenizer, tokens))
        console.print(summary(tokenizer, tokens))
    else:
        title = options.tokenizer if options.file is None else options.file.name
        write_whole(options.html, tokens_as_html(tokenizer, tokens, title=title))
        print(options.html)


def _load(name: str) -> "Tokenizer":
    from transformer.tokenizers import open_tokenizer

    return open_tokenizer(name)


def _text_of(options: Namespace) -> Iterable[str]:
    """Return the text to work on, in chunks."""
    if options.text is not None and options.file is not None:
        raise ValueError("give a file or --text, not both")
    if options.text is not None:
        return [options.text]
    return [read_piped()] if options.file is None else _chunks(options.file)


def _chunks(file: Path) -> Iterator[str]:
    from transformer.tokenizers.stream import read_chunks

    return read_chunks(file)


ACTIONS: dict[str, Callable[[Namespace], None]] = {
    "train": run_train,
    "encode": run_encode,
    "decode": run_decode,
    "show": run_show,
}
