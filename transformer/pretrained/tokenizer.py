"""The tokenizer in a model's folder, read as one of ours, and ours written beside a model."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformer.pretrained.files import read_json
from transformer.tokenizers import (
    CharacterTokenizer,
    FastByteBPETokenizer,
    Tokenizer,
    WordPieceTokenizer,
)
from transformer.tokenizers.byte_alphabet import BYTE_ORDER, all_printable
from transformer.tokenizers.export import CHARACTER_SPLIT, hugging_face
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder in Hugging Face's layout.

    `tokenizer.json` is read if there is one, else `vocab.txt` (BERT), else `vocab.json` and
    `merges.txt` (GPT-2, RoBERTa). FileNotFoundError where there is none of them, ValueError
    for one that works in a way that none of ours does, by its own file or by what
    `tokenizer_config.json` says of it.
    """
    tokenizer = _read(folder)
    settings = folder / "tokenizer_config.json"
    said = read_json(settings) if settings.is_file() else {}
    if isinstance(tokenizer, WordPieceTokenizer):
        for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
            if said.get(name) is False:
                raise ValueError(f"{settings}: {name} is false, and only uncased BERT's is read")
    elif said.get("add_prefix_space"):
        raise ValueError(f"{settings}: add_prefix_space is true, which ours does not do")
    return tokenizer


def _read(folder: Path) -> Tokenizer:
    if (folder / "tokenizer.json").is_file():
        return _read_whole(folder / "tokenizer.json")
    if (folder / "vocab.txt").is_file():
        return WordPieceTokenizer.read_vocab(folder / "vocab.txt")
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if vocabulary.is_file() and merges.is_file():
        lines = merges.read_text(encoding="utf-8").splitlines()
        pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
        return byte_bpe(_in_order(read_json(vocabulary)), pairs, split_digits=False)
    raise FileNotFoundError(f"{folder} has no tokenizer.json, vocab.txt, or vocab.json and merges")


def _read_whole(path: Path) -> Tokenizer:
    content = read_json(path)
    model = content.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    try:
        if kind == "WordPiece":
            return _wordpiece(content)
        if kind == "BPE":
            return _bpe(content)
        if kind == "WordLevel":
            return _characters(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error!r:.200}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    raise ValueError(f"{path}: no tokenizer of ours is a {kind}")


def _wordpiece(content: Mapping[str, Any]) -> WordPieceTokenizer:
    normalizer = content.get("normalizer") or {}
    uncased = normalizer.get("type") == "BertNormalizer" and normalizer.get("lowercase")
    if not uncased or False in normalizer.values():
        raise ValueError(f"not normalised as uncased BERT does it: {normalizer}")
    numbers = content["model"]["vocab"]
    return WordPieceTokenizer(_in_order(numbers))


def _bpe(content: Mapping[str, Any]) -> Tokenizer:
    if content.get("normalizer") is not None:
        raise ValueError("its text is normalised first, which byte-level BPE does not do")
    steps = content.get("pre_tokenizer") or {}
    steps = steps["pretokenizers"] if steps.get("type") == "Sequence" else [steps]
    split_digits = steps[0].get("type") == "Digits" and steps[0]["individual_digits"]
    level = steps[1:] if split_digits else steps
    if not (len(level) == 1 and level[0].get("type") == "ByteLevel"):
        raise ValueError(f"not split by GPT-2's pattern: its pre_tokenizer is {steps}")
    if level[0].get("add_prefix_space") or not level[0].get("use_regex", True):
        raise ValueError(f"not split by GPT-2's pattern alone: {level[0]}")
    added = {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    pairs = content["model"]["merges"]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in pairs]
    numbers = {**content["model"]["vocab"], **added}
    return byte_bpe(_in_order(numbers), pairs, added, split_digits=split_digits)


def _in_order(numbers: Mapping[str, int]) -> list[str]:
    """Return the names in the order of their numbers, which run from 0 without a gap."""
    names = sorted(numbers, key=numbers.__getitem__)
    if [numbers[name] for name in names] != list(range(len(names))):
        raise ValueError("the numbers of its tokens do not run from 0 without a gap")
    return names


def byte_bpe(
    names: Sequence[str],
    pairs: Sequence[Sequence[str]],
    special: Iterable[str] = (),
    *,
    split_digits: bool,
) -> Tokenizer:
    """Return the tokenizer of these tokens and merges, in GPT-2's byte alphabet.

    It is our usual one if they are numbered as GPT-2's are. A name that is neither a byte nor
    made by a merge is a special token.
    """
    merges = [(left, right) for left, right in pairs]
    spelled = all_printable(bytes([byte]) for byte in BYTE_ORDER)
    spelled += [left + right for left, right in merges]
    named, plain = set(special), set(spelled)
    special = [name for name in names if name in named or name not in plain]
    if not split_digits and [*names] == [*spelled, *special]:
        numbers = {name: i for i, name in enumerate(spelled)}
        return FastByteBPETokenizer([(numbers[a], numbers[b]) for a, b in merges], special)
    return NumberedBPETokenizer(names, merges, special, split_digits=split_digits)


def _characters(content: Mapping[str, Any]) -> CharacterTokenizer:
    if content["pre_tokenizer"] != CHARACTER_SPLIT:
        raise ValueError(f"not split into characters: {content['pre_tokenizer']}")
    return CharacterTokenizer("".join(_in_order(content["model"]["vocab"])))


def tokenizer_files(
    tokenizer: Tokenizer, *, names: Mapping[str, str], n_ctx: int, n_segments: int = 0
) -> dict[str, dict[str, Any]]:
    """Return what `tokenizer.json` and `tokenizer_config.json` hold; what `hugging_face` raises.

    `names` are those of the special tokens by their roles, `n_segments` those of an encoder.
    """
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": n_ctx,
        **names,
    }
    return {
        "tokenizer.json": hugging_face(tokenizer, n_segments=n_segments),
        "tokenizer_config.json": settings,
    }
