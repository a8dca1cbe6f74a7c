"""The parser of argument dataclasses, beside that of transformers."""

import dataclasses

import pytest
import yaml
from transformers import HfArgumentParser

from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, parse_recipe
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.runs.training_options import TrainingOptions

MINIMAL = ["--corpus", "synthetic", "--model_type", "mel", "--output_dir", "x", "--use_cpu", "true"]
VARIED = [
    "--bf16", "--optim", "adafactor", "--report_to", "none", "--debug", "underflow_overflow",
    "--lr_scheduler_kwargs", '{"a": 1}', "--label_names", "a", "b", "--neftune_noise_alpha", "0.5", "--save_steps", "3",
    "--hub_private_repo", "false", "--layer_sum", "yes", "--label_map", "calm=neutral", "surprised=", "--speed=0.1",
    "--mask_time_length", "7", "--head_init", "probe",
]  # fmt: skip


@pytest.mark.parametrize("argv", [MINIMAL, MINIMAL + VARIED], ids=["defaults", "varied"])
def test_values_are_those_that_transformers_own_parser_reads(argv):
    kinds = (DataArguments, ModelArguments, SerTrainingArguments)
    expected = HfArgumentParser(kinds).parse_args_into_dataclasses(argv, look_for_args_file=False)
    for ours, theirs in zip(parse_recipe(argv), expected, strict=True):
        for item in dataclasses.fields(ours):
            assert getattr(ours, item.name) == getattr(theirs, item.name), item.name


def test_hyphens_in_a_key_are_underscores():
    data, _, training = parse_recipe([*MINIMAL, "--split-seed", "4", "--learning-rate=0.5"])
    assert (data.split_seed, training.learning_rate) == (4, 0.5)


def test_each_default_of_the_options_is_that_of_the_arguments():
    *_, training = parse_recipe(MINIMAL)
    options = TrainingOptions(output_dir="x")
    enums = {"lr_scheduler_type", "eval_strategy", "save_strategy", "logging_strategy"}
    for item in dataclasses.fields(TrainingOptions):
        value = getattr(training, item.name)
        assert (value.value if item.name in enums else value) == getattr(options, item.name), item.name
    assert (training.learning_rate, training.num_train_epochs, training.metric_for_best_model) == (3e-5, 15, None)


def read_help(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        parse_recipe([*argv], prog="finetune.py")
    assert not ended.value.code
    return " ".join(capsys.readouterr().out.split())


def test_help_explains_the_options_needed_first_and_lists_the_others(capsys):
    text = read_help(capsys, "--help")
    assert "The corpora, labels, split and augmentation: Also, see --help_all: layout, columns" in text
    assert "turev_db, urdu. (required)" in text
    assert "--learning_rate FLOAT Peak learning rate of the encoder. (default: 3e-05)" in text
    assert "--head_init {random,probe,readout}" in text
    assert "RECIPE is a YAML file, or a name that 'ser-hf recipes' lists." in text
    assert "layer_sum," in text and "--layer_sum" not in text and "--weight_decay" not in text


def test_help_all_explains_the_keys_of_transformers_too(capsys):
    text = read_help(capsys, "--help_all")
    assert "--weight_decay FLOAT" in text and "--corpus TEXT" in text and "--optim {" in text
    assert "--layer_sum [true|false]" in text
    assert "Also, see" not in text


def test_help_answers_whatever_stands_beside_it(capsys):
    assert "--corpus" in read_help(capsys, "nowhere.yaml", "--bf16", "--nonsense", "-h")


def test_a_part_of_a_recipe_can_be_read(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("corpus: synthetic\nmodel_type: mel\nseed: 1\nweight_decay: 0.1\nsplit_seed: 3\n")
    (data,) = parse_arguments([str(path)], [DataArguments], partial=True)
    assert data.split_seed == 3
    with pytest.raises(ValueError, match="Unknown key '(model_type|seed|weight_decay)'"):
        parse_arguments([str(path)], [DataArguments])
    with pytest.raises(ValueError, match="Unknown key 'seed'"):
        parse_arguments([str(path), "--seed", "1"], [DataArguments], partial=True)
    path.write_text("corpus: synthetic\nsplt_seed: 3\n")
    with pytest.raises(ValueError, match="Did you mean 'split_seed'"):
        parse_arguments([str(path)], [DataArguments], partial=True)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bf16", "maybe"], "expected true or false, found 'maybe'"),
        (["--layers", "some"], "invalid choice: 'some'"),
        (["--processes", "2.5"], "invalid int value: '2.5'"),
        (["--heads"], "expected at least one argument"),
    ],
)
def test_a_value_of_another_kind_is_refused(argv, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--corpus", "synthetic", "--output_dir", "x", *argv], [DataArguments, ProbeArguments])


@pytest.mark.parametrize(
    ("key", "value", "unset"),
    [
        ("protocol", "group_kfold", None),
        ("noise_snr", 10, None),
        ("rare_emotion", "other", None),
        ("audio_root", "somewhere", None),
        ("adapter", "lora", None),
        ("ema_decay", 0.9, None),
        ("label_map", ["calm=neutral"], []),
        ("rating_scale", [1, 5], []),
        ("hub_private_repo", False, None),
        ("hub_model_id", "a/b", None),
    ],
)
def test_none_unsets_a_key_of_the_recipe(tmp_path, key, value, unset):
    minimal = {"corpus": "table", "data_root": "t.csv", "model_type": "mel", "output_dir": "x", "use_cpu": True}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(minimal | {key: value}))

    def read(*argv):
        parts = parse_recipe([str(tmp_path / "recipe.yaml"), *argv])
        return next(getattr(part, key) for part in parts if hasattr(part, key))

    assert read() == value
    assert read(f"--{key}", "none") == unset
    assert read(f"--{key}=None") == unset


def test_none_stays_a_value_where_it_has_a_meaning():
    data, model_args, training = parse_recipe(
        [*MINIMAL, "--report_to", "none", "--class_weights", "none", "--trim", "none", "--freeze", "none"]
    )
    assert (data.trim, model_args.freeze, training.class_weights, training.report_to) == ("none", "none", "none", [])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--fold", "none"], "argument --fold: invalid int value: 'none'"),
        (["--noise_snr", "loud"], "argument --noise_snr: invalid float value: 'loud'"),
        (["--adapter", "big"], "argument --adapter: invalid choice: 'big'"),
        (["--speech", "silero"], "speech: expected with trim or recommended_trim"),
    ],
)
def test_wrong_values_are_still_refused(argv, message):
    with pytest.raises(ValueError, match=message):
        parse_recipe([*MINIMAL, *argv])
