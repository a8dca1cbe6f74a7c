"""Fine-tuning with an adapter, end to end on a toy corpus."""

import json
import logging

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForAudioClassification

from ser_hf.evaluation import read_predictions
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.publishing.privacy import check_paths
from ser_hf.publishing.upload import publishable_files
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.training import refit

LORA = ("--adapter", "lora", "--adapter_rank", "2", "--learning_rate", "0.01")


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def test_a_run_leaves_stock_weights_and_the_adapter_alone(finetune, encoders, caplog):
    with caplog.at_level(logging.INFO, "ser_hf"):
        out = finetune(*LORA, "--layer_sum", "true")
    assert "lora: 855 of 9,951 parameters are trained (8.59%)." in caplog.text
    before, after = weights_of(encoders / "whisper"), weights_of(out)
    assert after.keys() == before.keys() | {"layer_weights"}
    changed = {name for name in before if not is_head(name) and not after[name].equal(before[name])}
    projections = ("k_proj.weight", "out_proj.weight", "q_proj.weight", "v_proj.weight")
    changed.remove("encoder.embed_positions.weight")  # cut to the longest utterance
    assert changed == {f"encoder.layers.{layer}.self_attn.{end}" for layer in (0, 1) for end in projections}
    assert {path.parent.name for path in publishable_files(out) if path.name.startswith("adapter_")} == {"adapter"}
    assert check_paths(out).passed
    results = json.loads((out / "all_results.json").read_text())
    assert results["agreement"]["agree"] == 16
    assert results["calibration"]["temperature"] > 0
    base = AutoModelForAudioClassification.from_pretrained(
        encoders / "whisper", config=AutoConfig.from_pretrained(out), ignore_mismatched_sizes=True
    )
    loaded = PeftModel.from_pretrained(base, str(out / "adapter")).merge_and_unload().state_dict()
    assert all(torch.allclose(loaded[name], value, atol=1e-6) for name, value in after.items())


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(finetune, tmp_path):
    options = (*LORA, "--adapter", "dora", "--num_train_epochs", "3", "--ema_decay", "0.5", "--save_total_limit", "9")
    whole = finetune(*options, output_dir=tmp_path / "whole")
    cut = finetune(*options, output_dir=tmp_path / "cut")
    steps = sorted(int(path.name.split("-")[1]) for path in cut.glob("checkpoint-*"))
    for step in steps[1:]:  # as after a kill in epoch 2: its checkpoint and the results are not there
        (cut / f"checkpoint-{step}" / "trainer_state.json").unlink()
    for name in ("all_results.json", "model.safetensors", "adapter/adapter_model.safetensors"):
        (cut / name).unlink()
    finetune(*options, output_dir=cut)
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        one, other = load_file(whole / name), load_file(cut / name)
        assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)


@pytest.mark.slow
def test_a_second_training_starts_with_a_new_adapter(finetune, monkeypatch, tmp_path):
    monkeypatch.setattr(refit, "best_evaluation", lambda trainer: {"epoch": 1.0})
    first = finetune(*LORA, "--head_init", "probe", output_dir=tmp_path / "first")
    second = finetune(*LORA, "--head_init", "probe", "--refit", "true", output_dir=tmp_path / "second")
    before, after = (read_predictions(folder / "predictions.csv").set_index("split") for folder in (first, second))
    assert before.loc["validation"].equals(after.loc["validation"])
    assert not before.loc["test"].equals(after.loc["test"])
    one, other = weights_of(first), weights_of(second)
    assert one.keys() == other.keys() and not one["encoder.layers.0.self_attn.q_proj.weight"].equal(
        other["encoder.layers.0.self_attn.q_proj.weight"]
    )


@pytest.mark.slow
def test_gradient_checkpointing_reaches_the_adapter(finetune, encoders):
    out = finetune(*LORA, "--gradient_checkpointing", "true", encoder="hubert-group")
    name = "hubert.encoder.layers.0.attention.q_proj.weight"
    assert not weights_of(out)[name].equal(weights_of(encoders / "hubert-group")[name])


def test_wrong_targets_are_one_sentence_that_names_the_layers(finetune):
    with pytest.raises(ValueError, match=r"^adapter_targets: .*q_proj, v_proj\), found \['query'\]\.$"):
        finetune(*LORA, "--adapter_targets", "query")


def test_the_resolved_recipe_has_the_defaults_of_the_adapter():
    arguments = ModelArguments("x", adapter="dora")
    assert (arguments.adapter_rank, arguments.adapter_alpha, arguments.adapter_targets) == (8, 16, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter_rank": 4}, "adapter_rank: there is no adapter"),
        ({"adapter_targets": ["q_proj"]}, "adapter_targets: there is no adapter"),
        ({"adapter": "lora", "freeze": "2"}, "adapter: it freezes all other weights; expected freeze none, found 2"),
        ({"adapter": "lora", "head_init": "readout"}, "adapter: a readout changes the shape"),
        ({"adapter": "lora", "adapter_rank": 0}, "adapter_rank: expected 1 to"),
        ({"freeze": "all"}, "freeze: expected none, cnn, encoder or a number of layers, found 'all'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ModelArguments("x", **options)


def test_a_number_of_frozen_layers_is_read_from_a_recipe(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("corpus: synthetic\nmodel_name_or_path: x\nfreeze: 6\nlayer_decay: 0.9\n")
    _, model_args, training = parse_recipe([str(recipe), "--output_dir", str(tmp_path), "--use_cpu", "true"])
    assert (model_args.freeze, training.layer_decay) == ("6", 0.9)


@pytest.mark.slow
def test_layers_that_are_not_unfrozen_yet_keep_their_weights(finetune, encoders):
    out = finetune("--gradual_unfreezing", "true", "--num_train_epochs", "2", "--learning_rate", "0.01")
    before, after = weights_of(encoders / "whisper"), weights_of(out)
    changed = {name for name in before if not is_head(name) and not after[name].equal(before[name])}
    changed.discard("encoder.embed_positions.weight")  # cut to the longest utterance
    assert {name.split(".")[2] for name in changed} <= {"1"}  # the upper one of two layers, in the second epoch
