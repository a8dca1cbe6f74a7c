"""Votes with ratings as an auxiliary task, end to end: two stock checkpoints with one encoder."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import pipeline

from ser_hf import EmotionClassifier
from ser_hf.publishing.gate import run_gate
from ser_hf.publishing.upload import publishable_files

BOTH = ("--task", "votes", "--auxiliary_task", "dimensions", "--rating_scale", "1", "5", "--learning_rate", "0.001")


@pytest.fixture
def train(finetune, annotated_table, tmp_path):
    def run(*argv, name="out"):
        return finetune(*BOTH, *argv, corpus="table", data_root=annotated_table, output_dir=tmp_path / name)

    return run


def encoder_of(folder):
    weights = load_file(folder / "model.safetensors")
    return {name: weight for name, weight in weights.items() if not name.startswith("classifier.")}


def assert_same(first, second, *, atol=1e-6):
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=atol) for name in first)


@pytest.mark.slow
def test_one_command_leaves_two_stock_checkpoints_with_one_encoder(train, annotated_table):
    out = train("--refit", "true")
    assert_same(encoder_of(out), encoder_of(out / "auxiliary"))
    config = json.loads((out / "auxiliary" / "config.json").read_text())
    assert (config["problem_type"], config["ser_hf_task"], config["rating_scale"]) == (
        "regression",
        "dimensions",
        [1, 5],
    )
    assert "calibration_temperature" not in config
    assert [check.name for check in run_gate(out) if not check.passed] == []
    waveform = annotated_table.parent / "s0_0.wav"
    ratings = EmotionClassifier.from_pretrained(out / "auxiliary")(waveform)
    assert list(ratings) == ["arousal", "valence"] and all(1 <= value <= 5 for value in ratings.values())
    labels = pipeline("audio-classification", model=str(out / "auxiliary")).model.config.id2label
    assert labels == {0: "arousal", 1: "valence"}
    assert "together with the ratings of the corpus" in (out / "README.md").read_text()
    assert not [path for path in publishable_files(out) if "auxiliary" in path.parts]


@pytest.mark.slow
def test_categories_are_trained_with_ratings_too_in_accumulated_batches(train):
    options = ("--task", "categories", "--num_train_epochs", "2", "--seed", "4")
    parts = ("--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "4")
    whole, parted = train(*options, name="whole"), train(*options, *parts, name="parted")
    for folder in ("", "auxiliary"):
        weights = (load_file(run / folder / "model.safetensors") for run in (whole, parted))
        assert_same(*weights, atol=1e-4)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(train):
    options = ("--num_train_epochs", "2", "--save_total_limit", "9")
    whole, cut = train(*options, name="whole"), train(*options, name="cut")
    last = max(cut.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (last / "trainer_state.json").unlink()
    for name in ("all_results.json", "model.safetensors", "auxiliary/model.safetensors"):
        (cut / name).unlink()
    train(*options, name="cut")
    for folder in ("", "auxiliary"):
        assert_same(load_file(whole / folder / "model.safetensors"), load_file(cut / folder / "model.safetensors"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--task", "categories", "--mixup", "0.2"), "mixup: cannot be combined with auxiliary_task"),
        (("--adapter", "lora"), "adapter: cannot be combined with auxiliary_task"),
        (("--task", "categories", "--head_init", "probe"), "head_init: cannot be combined with auxiliary_task"),
        (("--task", "dimensions"), "auxiliary_task: the task 'dimensions' has no such option"),
        (("--dimensions", "dominance"), "auxiliary_task: expected ratings of dominance, found none"),
        (("--auxiliary_task", "none"), "rating_scale: the task 'votes' has no such option"),
    ],
)
def test_what_cannot_be_combined_ends_in_one_sentence(train, argv, message):
    with pytest.raises(ValueError, match=message):
        train(*argv)
