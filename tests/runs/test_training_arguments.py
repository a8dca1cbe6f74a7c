import pytest

from ser_hf.runs.command_line import parse_recipe

MINIMAL = ["--corpus", "synthetic", "--model_type", "mel", "--output_dir", "x", "--use_cpu", "true"]


def test_the_command_line_wins_over_the_yaml(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "corpus: ravdess\ndata_root: here\nlabel_map: [calm=neutral, surprised=]\nlearning_rate: 1.0e-4\n"
        "model_type: mel\noutput_dir: out\nlayer_sum: true\nuse_cpu: true\nnoise_snr:\n"
    )
    data, model, training = parse_recipe([str(path), "--learning_rate", "0.5", "--data_root=there"])
    assert (data.corpus, data.data_root) == (["ravdess"], ["there"])
    assert data.label_map == ["calm=neutral", "surprised="]
    assert data.noise_snr is None
    assert model.layer_sum is True
    assert training.learning_rate == 0.5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lerning_rate", "1"], "Unknown key 'lerning_rate'. Did you mean 'learning_rate'"),
        (["--learning_rat", "1"], "Did you mean 'learning_rate'"),  # no abbreviation either
        (["--num_train_epochs", "many"], "invalid float value: 'many'"),
        (["--label_set", "five"], "invalid choice: 'five'"),
        (["--test_share", "0.9"], "test_share: expected above 0 and at most 0.5, found 0.9"),
        (["--label_map", "calm"], r"label_map: expected old=new, found \['calm'\]"),
        (
            ["--task", "category"],
            "task: expected one of .'categories', 'votes', 'dimensions'., found 'category'. Did you mean 'categories'",
        ),
        (["--corpus", "folder"], r"data_root: expected a folder for each corpus of \['folder'\], found \[\]"),
        (["--speaker_pattern", "x"], "speaker_pattern: only for folder, table, hub"),
        (["--protocol", "emobox", "--split", "random"], "a protocol defines its own split"),
        (["--max_steps", "5"], "length is num_train_epochs"),
        (["--resume_from_checkpoint", "x"], "resumes automatically"),
        (["--eval_strategy", "no"], "eval_strategy: expected epoch"),
        (["--push_to_hub", "true"], "--hub_model_id USER/NAME"),
        (["--fold", "2"], "Pass --protocol, or leave out --fold 2"),
        (["--columns", "emotion=label"], "columns: only for table, hub"),
        (["--columns", "emotion"], r"columns: expected field=column, found \['emotion'\]"),
        (["--window_overlap", "1"], "window_overlap: expected 0 to 0.9, found 1.0"),
        (["--corpus", "ravdess", "urdu", "--data_root", "x"], r"a folder for each corpus of .*, found \['x'\]"),
        (["--protocol", "emobox", "--split", "given"], "Leave out --split given"),
        (["--focal_gamma", "3"], "focal_gamma: pass --loss focal, or leave out --focal_gamma 3"),
        (["--logit_adjustment=-1"], "logit_adjustment: expected 0 to 10, found -1"),
        (["--speed", "1.5"], "speed: expected 0 to 0.9, found 1.5"),
        (["--mask_time_length", "0"], "mask_time_length: expected 1 to 10000, found 0"),
        (["--learning_rate", "nan"], "learning_rate: expected 0 to 10, found nan"),
        (["--learning_rate=-1e-3"], "learning_rate: expected 0 to 10, found -0.001"),
        (["--num_train_epochs", "inf"], "num_train_epochs: expected 0 to 100000, found inf"),
        (["--per_device_train_batch_size", "0"], "per_device_train_batch_size: expected 1 to 100000, found 0"),
        (["--batch_seconds", "0"], "batch_seconds: expected 0.1 to 1000000, found 0"),
        (["--batch_seconds", "nan"], "batch_seconds: expected 0.1 to 1000000, found nan"),
        (
            ["--batch_seconds", "60", "--per_device_train_batch_size", "8"],
            "batch_seconds: expected one batch size, found per_device_train_batch_size 8 too. Leave one out",
        ),
        (["--batch_seconds", "60", "--auto_find_batch_size", "true"], "found auto_find_batch_size True too"),
        (["--dataloader_num_workers=-1"], "dataloader_num_workers: expected 0 to 1000, found -1"),
        (["--weight_decay", "nan"], "weight_decay: expected 0 to 10, found nan"),
        (["--noise_snr=-300"], "noise_snr: expected -20 to 100, found -300"),
        (["--noise_snr", "inf"], "noise_snr: expected -20 to 100, found inf"),
        (["--gain", "1000"], "gain: expected 0 to 60, found 1000"),
        (["--pitch", "100"], "pitch: expected 0 to 24, found 100"),
        (["--tempo", "1"], "tempo: expected 0 to 0.9, found 1"),
        (["--mixup=-1"], "mixup: expected 0 to 100, found -1"),
        (["--protocol", "group_kfold", "--folds", "1"], "folds: expected 2 to 1000, found 1"),
        (["--min_duration", "nan"], "min_duration: expected 0 to 3600, found nan"),
        (["--model_name_or_path", "x"], "Expected either --model_name_or_path"),
        (["--label_map", "-x=y"], "Write a value that begins with - as --key=VALUE"),
        (["second.yaml"], r"found \['second.yaml'\]"),
    ],
)
def test_a_wrong_argument_is_refused_in_words(argv, message):
    with pytest.raises(ValueError, match=message):
        parse_recipe(MINIMAL + argv)


def test_an_unknown_yaml_key_names_the_nearest(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("corpus: synthetic\noutput_dir: x\nbatch_size: 3\nmodel_typ: mel\n")
    with pytest.raises(ValueError, match="Unknown key 'batch_size'"):
        parse_recipe([str(path)])


def test_a_missing_or_broken_yaml_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No recipe"):
        parse_recipe(["nothing.yaml"])
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    with pytest.raises(ValueError, match="lines of `key: value`"):
        parse_recipe([str(tmp_path / "list.yaml")])


def test_a_missing_corpus_is_an_error():
    with pytest.raises(ValueError, match="required: --corpus"):
        parse_recipe(["--output_dir", "x"])


@pytest.mark.parametrize(("metric", "high"), [("ua", True), ("macro_f1", True), ("loss", False)])
def test_the_best_epoch_is_the_high_or_the_low_one(metric, high):
    assert parse_recipe([*MINIMAL, "--metric_for_best_model", metric])[2].greater_is_better is high


def test_text_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("corpus: [")
    with pytest.raises(ValueError, match="a.yaml' is damaged: expected YAML .* in line 1"):
        parse_recipe([str(tmp_path / "a.yaml")])


def test_a_recipe_of_somebody_else_runs_no_code_unless_the_command_line_says_so(tmp_path):
    (tmp_path / "a.yaml").write_text("corpus: ravdess\ntrust_remote_code: true\n")
    with pytest.raises(ValueError, match="a.yaml': trust_remote_code: expected on the command line"):
        parse_recipe([str(tmp_path / "a.yaml")])
