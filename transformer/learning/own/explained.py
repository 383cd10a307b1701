"""What is said of parameters in another layout than ours, and the declaration to paste."""

from collections.abc import Iterator, Mapping

from transformer.learning.own.arrangement import AXES, Layout, folded, guessed, sources

NARROW = 76  # of a screen's 80 columns, beside what stands before and after


def explained(
    name: str,
    wanted: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    layouts: Mapping[str, Layout],
) -> str:
    """Return what each parameter of a class may be, and the declaration that says so.

    `wanted` and `found` are the shapes of ours and of theirs, `layouts` what is declared already.
    """
    found = folded(found, sizes)
    guesses = guessed(wanted, found, sizes)
    lines = [f"the parameters of {name} are not those of the exercise:"]
    for parameter, shape in wanted.items():
        axes = AXES.get(parameter, "")
        if parameter not in found:
            lines.append(f"  {parameter} ({axes}) is missing")
        elif found[parameter] != shape:
            lines.append(
                f"  {parameter} has the shape {found[parameter]}, expected {shape} ({axes})"
                + _maybe(guesses.get(parameter))
            )
    for parameter, shape in found.items():
        if parameter not in wanted:
            lines.append(
                f"  {parameter} {shape} is not one of ours" + _maybe(guesses.get(parameter))
            )
    lacking = wanted.keys() - sources(guesses)  # biases may be lacking, as Whisper's of the keys
    whole = guesses.keys() == found.keys() and all(one.startswith("b") for one in lacking)
    declared = guesses if whole else {"yours": "ours: axes"}
    lines.append(
        "Give them our names and shapes, or say in your file how yours are laid out "
        "(docs/diagnosis.md):"
    )
    return "\n".join([*lines, *declaration({**layouts, name: declared})])


def declaration(layouts: Mapping[str, Layout]) -> Iterator[str]:
    """Yield the lines of a file that declare these layouts; no screen breaks one of them in two."""
    yield "LAYOUT = {"
    for name, layout in layouts.items():
        yield f'  "{name}": {{'
        for theirs, ours in layout.items():
            entry = f'    "{theirs}": "{ours}",'
            yield from [entry] if len(entry) < NARROW else [f'    "{theirs}":', f'      "{ours}",']
        yield "  },"
    yield "}"


def _maybe(guess: str | None) -> str:
    return f'; it may be "{guess}"' if guess else ""
