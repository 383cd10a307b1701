"""Tokenizers: text to token ids and back. Nothing here imports torch."""

from transformer.tokenizers.character import CharacterTokenizer

__all__ = ["CharacterTokenizer"]
