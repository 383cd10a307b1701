"""A published vocabulary made one of our tokenizers, whatever file it stood in.

A folder without tokenizer.json has the vocabulary in `vocab.txt` (BERT), or in `vocab.json` and
`merges.txt` (GPT-2, RoBERTa), and what was added in other files beside.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformer.pretrained.files import complaints_of, read_json
from transformer.tokenizers import FastByteBPETokenizer, Tokenizer, WordPieceTokenizer
from transformer.tokenizers.added_tokens import AddedToken, read_added
from transformer.tokenizers.bert_words import words
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer
from transformer.tokenizers.wordpiece import CONTINUES, SPECIAL

Added = Mapping[AddedToken, int]


def read_vocabulary(folder: Path, said: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer of a folder without tokenizer.json.

    `said` is what its tokenizer_config.json holds. FileNotFoundError without a vocabulary,
    ValueError for what is damaged or works as none of ours does.
    """
    lists, vocabulary, merges = (
        folder / name for name in ("vocab.txt", "vocab.json", "merges.txt")
    )
    if lists.is_file():
        names = WordPieceTokenizer.read_vocab(lists).vocabulary
        numbers = {name: i for i, name in enumerate(names)}
        added = _added(folder, said, numbers)
        with complaints_of(folder):
            return word_piece(numbers, added)
    if not (vocabulary.is_file() and merges.is_file()):
        raise FileNotFoundError(
            f"{folder} has no tokenizer.json, vocab.txt, or vocab.json and merges.txt"
        )
    with complaints_of(merges):
        text = merges.read_text(encoding="utf-8")
        pairs = pairs_of(
            line for line in text.splitlines() if line and not line.startswith("#version")
        )
    numbers = read_json(vocabulary)
    added = _added(folder, said, numbers)
    with complaints_of(vocabulary):
        bos = [_name(said.get("bos_token", "<|endoftext|>"))] if said.get("add_bos_token") else []
        return byte_bpe(numbers, pairs, added, split_digits=False, bos=bos)


def _added(folder: Path, said: Mapping[str, Any], numbers: Mapping[str, int]) -> Added:
    """Return the tokens added to a vocabulary, as tokenizer_config.json or older files say."""
    decoder = said.get("added_tokens_decoder")
    roles, older = (
        read_json(folder / name) if not decoder and (folder / name).is_file() else {}
        for name in ("special_tokens_map.json", "added_tokens.json")
    )
    with complaints_of(folder):
        if decoder:
            return dict(zip(read_added(decoder.values()), map(int, decoder), strict=True))
        said = {**said, **roles}
        given = [one for role, one in said.items() if role.endswith("_token")]
        given += said.get("additional_special_tokens") or []
        # Neither null nor true, which add_bos_token may be: it ends as the roles do.
        given = [one for one in given if isinstance(one, str | Mapping) and one]
        entries = [one if isinstance(one, Mapping) else {"content": one} for one in given]
        special = read_added({**entry, "special": True} for entry in entries)
        added = {one: numbers[one.name] for one in special if one.name in numbers}
        names = {one.name for one in special}
        for name, i in older.items():
            added[AddedToken(name, special=name in names, normalized=name not in names)] = i
        return added


def _name(token: Any) -> Any:
    """Return the name of a token that is written as its name or as a record."""
    return token.get("content") if isinstance(token, Mapping) else token


def pairs_of(merges: Iterable[Any]) -> list[tuple[str, str]]:
    """Return merges, each written as a pair or as two names with a space between."""
    pairs = []
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(pair, Sequence) and len(pair) == 2):
            raise ValueError(f"a merge is two tokens with a space between, got {merge!r:.60}")
        pairs.append((str(pair[0]), str(pair[1])))
    return pairs


def in_order(numbers: Mapping[str, int]) -> list[str]:
    """Return the names in the order of their numbers, which run from 0 without a gap."""
    if strange := [i for i in numbers.values() if type(i) is not int]:
        raise ValueError(f"a token's number is an integer, got {strange[0]!r:.60}")
    names = sorted(numbers, key=numbers.__getitem__)
    for expected, name in enumerate(names):
        if numbers[name] != expected:
            raise ValueError(
                "the numbers of its tokens must run from 0 without a gap; where "
                f"{expected} should come is {name!r} with {numbers[name]}"
            )
    return names


def word_piece(numbers: Mapping[str, int], added: Added) -> WordPieceTokenizer:
    """Return the WordPiece of these tokens.

    ValueError for an added one that is a piece of words too: ours are one or the other.
    """
    names = in_order({**numbers, **{one.name: i for one, i in added.items()}})
    found = [one for one in added if not one.special and one.name not in SPECIAL]
    for one in found:
        spelled = one.name.startswith(CONTINUES) or (
            not one.normalized and words(one.name) == [one.name]
        )
        if one.name in numbers and spelled:
            raise ValueError(
                f"its added token {one.name!r} is a piece of words in the vocabulary too; what can "
                "be read is one that is not, or a whole word with normalized = true"
            )
    special = [one.name for one in added if one.special and one.name not in SPECIAL]
    return WordPieceTokenizer(names, special, found)


def byte_bpe(
    numbers: Mapping[str, int],
    pairs: Sequence[tuple[str, str]],
    added: Added,
    *,
    split_digits: bool,
    bos: Sequence[str] = (),
) -> Tokenizer:
    """Return the tokenizer of these tokens and merges, in GPT-2's byte alphabet.

    It is our usual one if they are numbered as GPT-2's are and nothing else is asked of it. A
    name that is neither a byte, nor made by a merge, nor added is a special token.
    """
    names = in_order({**numbers, **{one.name: i for one, i in added.items()}})
    spelled = all_printable(bytes([byte]) for byte in BYTE_ORDER)
    spelled += [left + right for left, right in pairs]
    named, plain = {one.name: one for one in added}, set(spelled)
    special = [
        named.get(name, AddedToken(name)) for name in names if name in named or name not in plain
    ]
    if lacking := [name for name in bos if name not in named and name not in numbers]:
        raise ValueError(f"a text is to begin with {lacking[0]!r}, which is no token")
    usual = not split_digits and not bos and all(one.plain for one in special)
    if usual and names == [*spelled, *(one.name for one in special)]:
        ids = {name: i for i, name in enumerate(spelled)}
        return FastByteBPETokenizer(
            [(ids[a], ids[b]) for a, b in pairs], [one.name for one in special]
        )
    return NumberedBPETokenizer(names, pairs, special, split_digits=split_digits, bos=bos)
