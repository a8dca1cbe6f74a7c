"""Define `ser-hf recipes`."""

from argparse import ArgumentParser

from ser_hf.escaping import show
from ser_hf.runs.recipe_files import describe_recipe, list_recipes
from ser_hf.terminal import wrap


def recipes_command(argv: list[str]) -> None:
    """List the recipes that come with ser_hf; their names can be given instead of a YAML file."""
    ArgumentParser("ser-hf recipes", description=recipes_command.__doc__).parse_args(argv)
    for name, path in list_recipes().items():
        show(name, wrap(describe_recipe(path), " " * 4))
    show("", "Train one: ser-hf train ravdess/whisper_tiny --data_root FOLDER", "probe…: ser-hf probe")
