"""Tokenizers: text to token ids and back. Nothing here imports torch."""

from transformer.tokenizers.base import Tokenizer, pad_batch
from transformer.tokenizers.byte import ByteTokenizer
from transformer.tokenizers.character import CharacterTokenizer

__all__ = ["ByteTokenizer", "CharacterTokenizer", "Tokenizer", "pad_batch"]
