r"""GPT-2's byte alphabet: each of the 256 bytes as one printable character.

GPT-2 keeps its tokens in text files, and a token is any string of bytes. So each byte gets a
character: the 188 that print in Latin-1 stand for themselves, the others (control characters,
the space, 0xA0 and 0xAD) take the code points from 256 on: the space is U+0120, a G with a dot.
GPT-2's first 256 ids follow the order of these characters (Radford et al. 2019, its released
encoder).

>>> to_printable(b" hi\n")
'Ġhi\u010a'
>>> from_printable("\u0120hi")
b' hi'
"""

from collections.abc import Iterable

PRINTS = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]

# BYTE_ORDER[i] is the byte whose id is i.
BYTE_ORDER = bytes([*PRINTS, *sorted(set(range(256)) - set(PRINTS))])

_CHARACTER = {byte: chr(byte) for byte in PRINTS}
_CHARACTER |= {byte: chr(256 + i) for i, byte in enumerate(BYTE_ORDER[len(PRINTS) :])}
_BYTE = {character: byte for byte, character in _CHARACTER.items()}
_TABLE = str.maketrans({chr(byte): character for byte, character in _CHARACTER.items()})


def to_printable(token: bytes) -> str:
    """Return one printable character a byte."""
    return token.decode("latin-1").translate(_TABLE)


def all_printable(tokens: Iterable[bytes]) -> list[str]:
    """Return each token in printable characters."""
    return [token.decode("latin-1").translate(_TABLE) for token in tokens]


def is_printable(name: str) -> bool:
    """Whether `name` is written in this alphabet."""
    return _BYTE.keys() >= set(name)


def from_printable(token: str) -> bytes:
    """Undo `to_printable`; a character that stands for no byte is a ValueError."""
    try:
        return bytes([_BYTE[character] for character in token])
    except KeyError as error:
        raise ValueError(f"{token!r} is not written in GPT-2's byte alphabet: {error}") from error
