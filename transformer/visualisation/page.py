"""One self-contained HTML file: it needs no network, no server, and displays in a notebook."""

import base64
import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from transformer.whole import write_whole

HEIGHT = 760  # pixels in a notebook
ENDINGS = (".html", ".htm")

SHELL = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
<body>
{body}<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</html>
"""


class Page:
    """An interactive page made of a package's own style, body and script, and the data given."""

    def __init__(self, kind: str, data: dict[str, Any], *, title: str) -> None:
        self.title = title
        read = files("transformer.visualisation.pages").joinpath
        # Inside a script element only "</" could end it: a token may well be that.
        content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        )
        self.text = SHELL.format(
            title=html.escape(title),
            style=read("style.css").read_text(encoding="utf-8"),
            body=read(f"{kind}.html").read_text(encoding="utf-8"),
            data=content,
            script=read(f"{kind}.js").read_text(encoding="utf-8"),
        )

    def save(self, path: str | Path) -> Path:
        """Write the page; the file is replaced whole or not at all.

        ValueError for an ending by which no browser would take it for a page.
        """
        if Path(path).suffix.lower() not in ENDINGS:
            raise ValueError(f"a page ends in {' or '.join(ENDINGS)}; got {Path(path).name}")
        write_whole(path, self.text)
        return Path(path)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.text)}" title="{html.escape(self.title)}" '
            f'width="100%" height="{HEIGHT}" style="border:0"></iframe>'
        )


def as_base64(numbers: Num[np.ndarray, "*shape"]) -> str:
    """Return the numbers' bytes, little-endian, in base64."""
    little = numbers.astype(numbers.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")
