"""What is piped in, read as a file of text is."""

import sys


def read_piped() -> str:
    """Return what is piped in, with line feeds for line ends, and without a byte order mark.

    It is read as UTF-8 whatever the screen's encoding is. ValueError for what is not, and where
    standard input is closed.
    """
    from transformer.tokenizers.stream import not_utf8

    if sys.stdin is None:
        raise ValueError("standard input is closed, and there is nothing to read from it")
    if not hasattr(sys.stdin, "buffer"):  # text already, as in a notebook
        return sys.stdin.read()
    content = sys.stdin.buffer.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8("what is piped in", error, n_read=len(content)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
