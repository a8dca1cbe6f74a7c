from pathlib import Path

import pytest
import yaml

from ser_hf.heads.comparison import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, parse_recipe
from ser_hf.runs.data_arguments import DataArguments

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CONFIGS = sorted((RECIPES / "configs").rglob("*.yaml"))
PLACES = ["--data_root", "somewhere"]


FINETUNED = [path for path in CONFIGS if not path.stem.startswith("probe_")]
PROBED = [path for path in CONFIGS if path not in FINETUNED]


def name(path):
    return str(path.relative_to(RECIPES / "configs"))


def say_what_it_is(path, data, output_dir):
    """Assert what every config has: a folder under runs/, its corpus, and a head with score, launch and override."""
    assert Path(output_dir).parts[0] == "runs"
    assert data.corpus in ([path.parent.name], ["synthetic"])
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert f"recipes/configs/{name(path)}" in head
    assert "not measured" in head or "UA" in head or "nothing about people" in head
    assert "Override" in head


@pytest.mark.parametrize("path", FINETUNED, ids=name)
def test_every_config_parses_and_says_what_it_is(path):
    data, model, training = parse_recipe([str(path), *PLACES, "--use_cpu", "true"])
    assert (model.model_name_or_path is None) != (model.model_type is None)
    say_what_it_is(path, data, training.output_dir)


@pytest.mark.parametrize("path", PROBED, ids=name)
def test_every_config_of_a_probe_parses_and_says_what_it_is(path):
    data, arguments = parse_arguments([str(path), *PLACES], (DataArguments, ProbeArguments))
    say_what_it_is(path, data, arguments.output_dir)


def test_there_are_configs():
    assert len(CONFIGS) >= 9


@pytest.mark.parametrize("path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_accelerate_file_is_one(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config["compute_environment"] == "LOCAL_MACHINE"
    assert config["num_processes"] >= 1
