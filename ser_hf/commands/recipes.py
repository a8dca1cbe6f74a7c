"""Define `ser-hf recipes`."""

from argparse import ArgumentParser

from ser_hf.escaping import show
from ser_hf.runs.recipe_files import describe_recipe, list_recipes


def recipes_command(argv: list[str]) -> None:
    """List the recipes that come with ser_hf; their names can be given instead of a YAML file."""
    ArgumentParser("ser-hf recipes", description=recipes_command.__doc__).parse_args(argv)
    recipes = list_recipes()
    width = max(map(len, recipes), default=0)
    for name, path in recipes.items():
        show(f"{name:{width}}  {describe_recipe(path)}")
    show("", "Train one: ser-hf train ravdess/whisper_tiny --data_root FOLDER (probe_…: ser-hf probe)")
