"""Tokenizers: text to token ids and back. Nothing here imports torch.

A ladder, one idea a file: `character`, `byte`, `sennrich_bpe` (the 2016 algorithm),
`byte_bpe` (GPT-2), `fast_byte_bpe` (the same, fast), `wordpiece` (BERT).
"""

from transformer.tokenizers.base import Tokenizer, pad_batch
from transformer.tokenizers.byte import ByteTokenizer
from transformer.tokenizers.byte_bpe import END_OF_TEXT, ByteBPETokenizer
from transformer.tokenizers.character import CharacterTokenizer
from transformer.tokenizers.export import save_hugging_face, save_tiktoken
from transformer.tokenizers.fast_byte_bpe import FastByteBPETokenizer
from transformer.tokenizers.loading import load_tokenizer
from transformer.tokenizers.making import find_tokenizer, make_tokenizer, open_tokenizer
from transformer.tokenizers.published import (
    read_gpt2,
    read_gpt2_from_hub,
    read_hugging_face,
    read_tiktoken,
)
from transformer.tokenizers.sennrich_tokenizer import SennrichBPETokenizer
from transformer.tokenizers.stream import read_chunks
from transformer.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "END_OF_TEXT",
    "ByteBPETokenizer",
    "ByteTokenizer",
    "CharacterTokenizer",
    "FastByteBPETokenizer",
    "SennrichBPETokenizer",
    "Tokenizer",
    "WordPieceTokenizer",
    "find_tokenizer",
    "load_tokenizer",
    "make_tokenizer",
    "open_tokenizer",
    "pad_batch",
    "read_chunks",
    "read_gpt2",
    "read_gpt2_from_hub",
    "read_hugging_face",
    "read_tiktoken",
    "save_hugging_face",
    "save_tiktoken",
]
