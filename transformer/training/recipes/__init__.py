"""Recipes: configurations of whole runs, YAML files that come with the package.

`transformer train --config shakespeare-gpu` follows one.
"""

from pathlib import Path

RECIPES = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """Return the file `name`, or else the recipe of that name, with or without `.yaml`.

    Raises FileNotFoundError, with the names that there are, for what is neither.
    """
    if Path(name).is_file():
        return Path(name)
    if (stem := name.removesuffix(".yaml")) in RECIPES:
        return RECIPES[stem]
    raise FileNotFoundError(
        f"there is no file {name}, and no recipe has that name: there are {', '.join(RECIPES)}"
    )
