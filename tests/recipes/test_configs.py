import dataclasses
from pathlib import Path

import pytest
import yaml

from ser_hf.heads.comparison import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, parse_recipe
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.pretraining_arguments import PretrainingArguments, check_options
from ser_hf.runs.task_options import complete_arguments
from ser_hf.runs.training_options import TrainingOptions

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CONFIGS = sorted((RECIPES / "configs").rglob("*.yaml"))
PLACES = ["--data_root", "somewhere"]


PROBED = [path for path in CONFIGS if path.stem.startswith("probe")]
PRETRAINED = [path for path in CONFIGS if path.stem.endswith("_pretrain")]
FINETUNED = [path for path in CONFIGS if path not in PROBED + PRETRAINED]


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


@pytest.mark.parametrize("path", PRETRAINED, ids=name)
def test_every_config_of_a_pretraining_parses_and_has_the_split_of_its_fine_tuning(path):
    kinds = (DataArguments, PretrainingArguments, TrainingOptions)
    data, model, training = parse_arguments([str(path), *PLACES, "--use_cpu", "true"], kinds)
    check_options(data, training)
    say_what_it_is(path, data, training.output_dir)
    recipe = path.with_name(path.name.replace("_pretrain", ""))
    tuned, encoder, _ = parse_recipe([str(recipe), *PLACES, "--use_cpu", "true"])
    assert model.model_name_or_path == encoder.model_name_or_path
    assert dataclasses.replace(tuned, noise_snr=None) == data


@pytest.mark.parametrize("path", [path for path in FINETUNED if path.parent.name != "configs"], ids=name)
def test_every_config_is_for_the_task_in_its_name(path):
    data, *arguments = parse_recipe([str(path), *PLACES, "--use_cpu", "true"])
    complete_arguments(data, arguments)  # an error if the task lacks an option of the file
    task = path.stem.rpartition("_")[2]
    assert data.task == (task if task in ("votes", "dimensions") else "categories")


def test_there_are_configs():
    assert (len(FINETUNED), len(PROBED), len(PRETRAINED)) == (19, 3, 1)


@pytest.mark.parametrize("path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_accelerate_file_is_one(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config["compute_environment"] == "LOCAL_MACHINE"
    assert config["num_processes"] >= 1
