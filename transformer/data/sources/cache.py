"""Where fetched files are kept."""

from pathlib import Path


def cache_folder(given: str | Path | None = None) -> Path:
    """Return the folder that was given, or else the user's own cache folder."""
    if given is not None:
        return Path(given)
    import pooch  # takes long, and shows a warning in notebooks

    return Path(pooch.os_cache("transformer"))
