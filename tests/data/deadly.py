"""A tokenizer that dies, in a module of its own: a fresh process that imports it is soon up."""

import signal

from transformer.tokenizers.character import CharacterTokenizer


class Deadly(CharacterTokenizer):
    """Ends the process that encodes an x, as a lack of memory might."""

    def encode(self, text: str) -> list[int]:
        if "x" in text:
            signal.raise_signal(signal.SIGKILL)
        return super().encode(text)
