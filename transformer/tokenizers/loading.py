"""Any tokenizer from its file: the file says itself what it holds."""

from pathlib import Path

from transformer.tokenizers.base import Tokenizer
from transformer.tokenizers.byte import ByteTokenizer
from transformer.tokenizers.character import CharacterTokenizer
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer
from transformer.tokenizers.files import read_json
from transformer.tokenizers.numbered_bpe import NumberedBPETokenizer
from transformer.tokenizers.published import read_gpt2, read_hugging_face
from transformer.tokenizers.sennrich_tokenizer import SennrichBPETokenizer
from transformer.tokenizers.wordpiece import WordPieceTokenizer

KINDS: dict[str, type[Tokenizer]] = {
    "character": CharacterTokenizer,
    "byte": ByteTokenizer,
    "sennrich-bpe": SennrichBPETokenizer,
    "byte-bpe": FastByteBPETokenizer,
    "wordpiece": WordPieceTokenizer,
}
# Tokenizers that are read from published files, and never trained.
READ_ONLY: dict[str, type[Tokenizer]] = {
    "numbered-bpe": NumberedBPETokenizer,
}


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read what any tokenizer of ours saved, Hugging Face's `tokenizer.json`, or GPT-2's folder.

    A missing file is a FileNotFoundError, a damaged or foreign one a ValueError.
    """
    if Path(path).is_dir():
        return read_gpt2(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no tokenizer at {path}")
    content = read_json(path)
    for kind in (*KINDS.values(), *READ_ONLY.values()):
        if content.get("format") == kind.FORMAT:
            return kind.load(path)
    if "format" not in content and "model" in content:
        return read_hugging_face(path)
    raise ValueError(f"{path} is no tokenizer of a kind known here: {', '.join(KINDS)}")
