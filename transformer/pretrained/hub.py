"""A model's folder: one that is here, or one that the Hugging Face hub gives."""

import re
from pathlib import Path

_READ = ["*.json", "*.txt", "*.jinja"]
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def model_folder(where: str | Path) -> Path:
    """Return the folder `where`, or the hub's copy of the model of that name, fetched if need be.

    FileNotFoundError for what is neither a folder nor could be a name. Without the package
    huggingface_hub a ValueError, and an OSError where the hub does not give it: both say what
    to do.
    """
    if Path(where).is_dir():
        return Path(where)
    require_no_file(where)
    name = str(where)
    if isinstance(where, Path) or not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise FileNotFoundError(f"there is no folder {where}, and no model on the hub is so called")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"there is no folder {name}; to read it from the hub: pip install huggingface_hub"
        ) from error
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*_READ, "model*.safetensors"]))
        if not any(folder.glob("model*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_READ, "pytorch_model*.bin"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise OSError(
            f"there is no folder {name}, and the hub did not give it ({reason}). Put its files "
            f"from https://huggingface.co/{name} into a folder, and give that"
        ) from error
    return folder


def require_no_file(where: str | Path) -> None:
    """Raise FileNotFoundError for a file that is there, which no name on the hub is meant by."""
    if Path(where).is_file():
        raise FileNotFoundError(
            f"{where} is a file; a model is a folder, a name on the hub, or a file *.gguf"
        )
