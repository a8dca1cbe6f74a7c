"""Find the recipes that ser_hf brings along, by their names, such as ravdess/whisper_tiny."""

import difflib
import re
from itertools import takewhile
from pathlib import Path

import ser_hf

# recipes/configs: in a clone, where a link may be a text file (on Windows), and in an installed package
FOLDERS = (Path(ser_hf.__file__).parents[1] / "recipes" / "configs", Path(ser_hf.__file__).parent / "configs")


def list_recipes() -> dict[str, Path]:
    """Return the YAML file of each recipe by its name, sorted."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[-1])
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """Return the YAML file of a recipe.

    Raises:
        FileNotFoundError: If there is no recipe of this name; the message names the most similar one.
    """
    recipes = list_recipes()
    if name not in recipes:
        near = difflib.get_close_matches(name, recipes, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise FileNotFoundError(
            f"No recipe '{name}': expected a YAML file, or a name that 'ser-hf recipes' lists.{hint}"
        )
    return recipes[name]


def describe_recipe(path: Path) -> str:
    """Return the first sentence of the comment at the start of a recipe, and the score in it, if it was measured."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    comment = " ".join(line.removeprefix("#").strip() for line in lines)
    score = re.search(r"Measured: (.*?),? see recipes", comment)
    return f"{comment.partition('. ')[0].rstrip('.')}. {score[1] if score else 'Not measured'}."
