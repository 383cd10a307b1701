"""Checks that the constructors of the components share."""


def require_positive(**sizes: int) -> None:
    """Raise ValueError for the first size that is not an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {size!r}")


def require_probability(**probabilities: float) -> None:
    """Raise ValueError for the first value outside [0, 1)."""
    for name, p in probabilities.items():
        if not 0.0 <= p < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {p!r}")
