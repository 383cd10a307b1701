"""The tokenizer in a model's folder, read as one of ours, and ours written beside a model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformer.pretrained.family import require
from transformer.pretrained.files import complaints_of, read_json
from transformer.pretrained.vocabulary import (
    Added,
    byte_bpe,
    in_order,
    pairs_of,
    read_vocabulary,
    word_piece,
)
from transformer.tokenizers import CharacterTokenizer, Tokenizer, WordPieceTokenizer
from transformer.tokenizers.added_tokens import read_added
from transformer.tokenizers.export import CHARACTER_SPLIT, hugging_face
from transformer.tokenizers.wordpiece import CONTINUES, LONGEST_WORD, UNKNOWN


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a folder in Hugging Face's layout.

    `tokenizer.json` is read if there is one, else `vocab.txt` (BERT), else `vocab.json` and
    `merges.txt` (GPT-2, RoBERTa). FileNotFoundError where there is none of them, ValueError
    for one that works in a way that none of ours does, by its own file or by what
    `tokenizer_config.json` says of it.
    """
    settings, whole = folder / "tokenizer_config.json", folder / "tokenizer.json"
    said = read_json(settings) if settings.is_file() else {}
    tokenizer = _read(whole) if whole.is_file() else read_vocabulary(folder, said)
    if isinstance(tokenizer, WordPieceTokenizer):
        for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
            if said.get(name) is False:
                raise ValueError(f"{settings}: {name} is false, and only uncased BERT's is read")
    elif said.get("add_prefix_space"):
        raise ValueError(f"{settings}: add_prefix_space is true, which ours does not do")
    return tokenizer


def _read(path: Path) -> Tokenizer:
    content = read_json(path)
    with complaints_of(path):
        model = content.get("model")
        model = model if isinstance(model, dict) else {"type": None}
        match model.get("type", "BPE"):
            case "WordPiece":
                return _wordpiece(content, model)
            case "BPE":
                return _bpe(content, model)
            case "WordLevel":
                return _characters(content, model)
            case kind:
                raise ValueError(f"no tokenizer of ours is a {kind}")


def _added(content: Mapping[str, Any]) -> Added:
    entries = content.get("added_tokens") or []
    return {one: entry["id"] for one, entry in zip(read_added(entries), entries, strict=True)}


def _wordpiece(content: Mapping[str, Any], model: Mapping[str, Any]) -> WordPieceTokenizer:
    normalizer = content.get("normalizer") or {}
    uncased = normalizer.get("type") == "BertNormalizer" and normalizer.get("lowercase")
    if not uncased or False in normalizer.values():
        raise ValueError(f"not normalised as uncased BERT does it: {normalizer}")
    split = content.get("pre_tokenizer")
    if not (isinstance(split, dict) and split.get("type") == "BertPreTokenizer"):
        raise ValueError(f"not split as BERT does it: its pre_tokenizer is {split}")
    allowed = {
        "unk_token": (UNKNOWN,),
        "continuing_subword_prefix": (CONTINUES,),
        "max_input_chars_per_word": (LONGEST_WORD,),
    }
    require(model, allowed=allowed)
    return word_piece(model["vocab"], _added(content))


def _bpe(content: Mapping[str, Any], model: Mapping[str, Any]) -> Tokenizer:
    if content.get("normalizer") is not None:
        raise ValueError("its text is normalised first, which byte-level BPE does not do")
    steps = content.get("pre_tokenizer") or {}
    steps = steps["pretokenizers"] if steps.get("type") == "Sequence" else [steps]
    split_digits = any(
        step.get("type") == "Digits" and step["individual_digits"] for step in steps[:1]
    )
    level = steps[1:] if split_digits else steps
    if not (len(level) == 1 and level[0].get("type") == "ByteLevel"):
        raise ValueError(f"not split by GPT-2's pattern: its pre_tokenizer is {steps}")
    if level[0].get("add_prefix_space") or not level[0].get("use_regex", True):
        raise ValueError(f"not split by GPT-2's pattern alone: {level[0]}")
    no_affix = {"continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, "")}
    require(model, allowed={"dropout": (None, 0.0), "ignore_merges": (False,), **no_affix})
    return byte_bpe(
        model["vocab"],
        pairs_of(model["merges"]),
        _added(content),
        split_digits=split_digits,
        bos=[*_beginning(content.get("post_processor"))],
    )


def _beginning(processor: Any) -> Iterator[str]:
    """Yield the names of the tokens that a post_processor puts before a text."""
    match (processor or {}).get("type"):
        case "Sequence":
            for one in processor["processors"]:
                yield from _beginning(one)
        case "TemplateProcessing":
            for part in processor["single"]:
                if "SpecialToken" not in part:
                    return
                yield from processor["special_tokens"][part["SpecialToken"]["id"]]["tokens"]
        case "RobertaProcessing" | "BertProcessing":
            yield processor["cls"][0]


def _characters(content: Mapping[str, Any], model: Mapping[str, Any]) -> CharacterTokenizer:
    if content["pre_tokenizer"] != CHARACTER_SPLIT:
        raise ValueError(f"not split into characters: {content['pre_tokenizer']}")
    if content.get("normalizer") is not None or content.get("added_tokens"):
        raise ValueError("its characters come with a normalizer or added tokens, ours are alone")
    return CharacterTokenizer("".join(in_order(model["vocab"])))


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
