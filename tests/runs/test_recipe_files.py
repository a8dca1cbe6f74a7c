"""The recipes that come with ser_hf are found by name, in a clone and in an installed package."""

from configparser import ConfigParser
from pathlib import Path

import pytest

import ser_hf
from ser_hf.cli import main
from ser_hf.runs import recipe_files
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.recipe_files import describe_recipe, find_recipe, list_recipes

ROOT = Path(__file__).resolve().parents[2]


def test_a_recipe_is_found_by_its_name():
    assert find_recipe("ravdess/whisper_tiny") == ROOT / "recipes" / "configs" / "ravdess" / "whisper_tiny.yaml"
    (data,) = parse_arguments(
        ["ravdess/whisper_tiny", "--fold", "2", "--data_root", "x"], (DataArguments,), partial=True
    )
    assert (data.corpus, data.protocol, data.fold) == (["ravdess"], "emobox", 2)


def test_a_name_that_is_misspelt_ends_in_one_sentence_with_the_nearest():
    with pytest.raises(FileNotFoundError, match="No recipe 'ravdess/wisper_tiny'.*Did you mean 'ravdess/whisper_tiny'"):
        find_recipe("ravdess/wisper_tiny")


def test_the_command_lists_every_recipe_with_its_score_or_that_there_is_none(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.endswith("/wav2vec2_base")]) == 3
    first = lines.index("ravdess/wav2vec2_base")
    assert lines[first + 1].startswith("    Fine-tunes wav2vec2-base (94 M parameters) on RAVDESS speech: ")
    assert lines[first + 2].endswith(" Not measured.")
    assert lines[first + 3] == "ravdess/wav2vec2_large"


def test_an_installed_package_has_the_recipes_as_data(monkeypatch):
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = config["options.package_data"]["ser_hf"].replace(" ", "").split(",")
    package = Path(ser_hf.__file__).parent
    files = {path.relative_to(package / "configs").as_posix() for pattern in patterns for path in package.glob(pattern)
             if path.suffix == ".yaml"}  # fmt: skip
    assert len(files) > 15
    assert files == {path.relative_to(ROOT / "recipes" / "configs").as_posix() for path in list_recipes().values()}
    monkeypatch.setattr(recipe_files, "FOLDERS", (ROOT / "nowhere", package / "configs"))
    assert find_recipe("quickstart").read_text(encoding="utf-8").startswith("# Trains a small network")


def test_the_description_is_the_first_sentence(tmp_path):
    (tmp_path / "a.yaml").write_text("# Trains\n# one thing. And more.\n\n# data\ncorpus: ravdess\n")
    assert describe_recipe(tmp_path / "a.yaml") == "Trains one thing. Not measured."
