from pathlib import Path

import pytest
import yaml

from ser_hf.training import parse_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CONFIGS = sorted((RECIPES / "configs").rglob("*.yaml"))
PLACES = ["--data_root", "somewhere", "--use_cpu", "true"]


@pytest.mark.parametrize("path", CONFIGS, ids=[str(path.relative_to(RECIPES / "configs")) for path in CONFIGS])
def test_every_config_parses_and_says_what_it_is(path):
    data, model, training = parse_recipe([str(path), *PLACES])
    assert (model.model_name_or_path is None) != (model.model_type is None)
    assert Path(training.output_dir).parts[0] == "runs"
    assert data.corpus in ([path.parent.name], ["synthetic"])
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "recipes/finetune.py recipes/configs/" in head
    assert "not measured" in head or "UA" in head or "nothing about people" in head
    assert "Override" in head


def test_there_are_configs():
    assert len(CONFIGS) >= 9


@pytest.mark.parametrize("path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_accelerate_file_is_one(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config["compute_environment"] == "LOCAL_MACHINE"
    assert config["num_processes"] >= 1
