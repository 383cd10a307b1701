"""How many ids differ from those of other libraries on `corpus`, as JSON.

    python -m tests.tokenizers.comparison [characters of each language on this machine]

It runs by itself, for the checks of types that pytest turns on take a minute on so much text.
"""

import argparse
import json
from collections.abc import Sequence

from tests.tokenizers.corpus import corpus
from tests.tokenizers.support import (
    GPT2,
    bert,
    gpt2,
    hugging_faces_bert,
    of_hugging_face,
    of_tiktoken,
    trained,
)
from transformer.tokenizers import ByteBPETokenizer


def differences(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How many ids differ."""
    return sum(a != b for a, b in zip(ours, theirs, strict=False)) + abs(len(ours) - len(theirs))


def compare_byte_bpe(name: str, tokenizer: ByteBPETokenizer, text: str) -> dict[str, int]:
    """Compare with tiktoken and Hugging Face, and the decoded text with the text."""
    ours = tokenizer.encode(text)
    return {
        f"{name}: tokens": len(ours),
        f"{name}: tiktoken": differences(ours, of_tiktoken(tokenizer).encode_ordinary(text)),
        f"{name}: Hugging Face": differences(ours, of_hugging_face(tokenizer).encode(text).ids),
        f"{name}: decoded": int(tokenizer.decode(ours) != text),
    }


def compare_bert(text: str) -> dict[str, int]:
    """Compare with Hugging Face's BertTokenizer on BERT's own vocabulary."""
    ours = bert().encode(text)
    theirs = hugging_faces_bert().encode(text, add_special_tokens=False, verbose=False)
    return {"bert: tokens": len(ours), "bert: BertTokenizer": differences(ours, theirs)}


def main() -> None:
    """Print all counts of differences, and how much text there was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    help = "of each language on this machine, to add to the text; 0 if not given"
    parser.add_argument("characters", type=int, nargs="?", default=0, help=help)
    text = corpus(parser.parse_args().characters)
    counts = {"bytes": len(text.encode()), **compare_byte_bpe("own", trained(), text)}
    if GPT2.is_dir():
        counts |= compare_byte_bpe("gpt2", gpt2(), text)
    print(json.dumps(counts | compare_bert(text)))


if __name__ == "__main__":
    main()
