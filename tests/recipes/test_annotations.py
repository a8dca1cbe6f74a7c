"""Votes and ratings, end to end: from a table to a stock checkpoint, its card, predictions and evaluation."""

import json
import runpy
from pathlib import Path

import pandas
import pytest
import soundfile
import yaml
from transformers import pipeline

from ser_hf import DataArguments, EmotionClassifier
from ser_hf.evaluation import read_predictions
from ser_hf.publishing.gate import run_gate
from ser_hf.runs.speech_data import load_speech
from ser_hf.scoring.evaluate import evaluate
from ser_hf.scoring.evaluation_arguments import EvaluationArguments

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "finetune.py"


@pytest.fixture
def train(annotated_table, encoders, tmp_path):
    main = runpy.run_path(str(RECIPE))["main"]

    def run(*argv):
        out = tmp_path / "out"
        main([
            "--corpus", "table", "--data_root", str(annotated_table), "--model_name_or_path", str(encoders / "whisper"),
            "--output_dir", str(out), "--use_cpu", "true", "--num_train_epochs", "2", "--learning_rate", "0.001",
            "--per_device_train_batch_size", "8", "--dataloader_num_workers", "0", *argv,
        ])  # fmt: skip
        return out

    return run


def loss_curve(folder):
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    return [
        log["loss"]
        for log in json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
        if "loss" in log
    ]


def test_ratings_become_a_regression_that_the_stock_pipeline_runs(train, annotated_table):
    out = train("--task", "dimensions", "--rating_scale", "1", "5", "--seed", "1")
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (config["problem_type"], config["rating_scale"]) == ("regression", [1, 5])
    assert config["id2label"] == {"0": "arousal", "1": "valence"}
    predictions = read_predictions(out / "predictions.csv")
    assert [name for name in predictions if "_" in name] == [
        "target_arousal", "target_valence", "score_arousal", "score_valence",
    ]  # fmt: skip
    assert predictions["target_arousal"].between(0, 1).all()
    row = predictions[predictions["split"] == "test"].iloc[0]
    samples, _ = soundfile.read(annotated_table.parent / row["path"], dtype="float32")
    answers = pipeline("audio-classification", model=str(out))(samples, top_k=None)
    assert {answer["label"]: answer["score"] for answer in answers} == {
        "arousal": pytest.approx(row["score_arousal"], abs=1e-5),
        "valence": pytest.approx(row["score_valence"], abs=1e-5),
    }
    shown = EmotionClassifier.from_pretrained(out)(samples, sampling_rate=16_000)
    assert list(shown) == ["arousal", "valence"]
    assert shown["arousal"] == pytest.approx(1 + 4 * min(1, max(0, row["score_arousal"])), abs=1e-4)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "1 + 4 × value is the rating on the scale of the" in card and "| valence |" in card
    assert all(check.passed for check in run_gate(out))


@pytest.mark.slow
def test_ratings_are_learned_from_equally_many_utterances_of_each_emotion(train):
    options = ("--rating_scale", "1", "5", "--per_device_train_batch_size", "4")
    out = train("--task", "dimensions", "--sampling", "undersample", *options)
    table = read_predictions(out / "predictions.csv")
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert 48 - len(table) == 24  # training utterances, of the speakers s1, s4 and s5: 10 are happy
    assert results["training"]["steps"] == 10  # 2 epochs of 20 utterances in batches of 4
    assert yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))["sampling"] == "undersample"


@pytest.mark.slow
def test_the_ccc_loss_of_accumulated_batches_is_that_of_whole_batches(train, tmp_path):
    options = ("--task", "dimensions", "--rating_scale", "1", "5", "--seed", "4")
    whole = loss_curve(train(*options))
    parts = loss_curve(train(*options, "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "4",
                             "--output_dir", str(tmp_path / "parts")))  # fmt: skip
    assert parts == pytest.approx(whole, rel=1e-4)


def test_votes_become_a_distribution_that_the_stock_pipeline_runs(train, annotated_table, tmp_path):
    out = train("--task", "votes", "--vote_smoothing", "0.1", "--vote_dropout", "0.2")
    predictions = read_predictions(out / "predictions.csv")
    assert {"target", "prediction", "target_happy", "score_happy"} <= set(predictions)
    assert set(predictions["target_happy"]) <= {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
    results = json.loads((out / "all_results.json").read_text(encoding="utf-8"))
    assert results["task"] == "votes" and results["calibration"]["majority_temperature"] > 0
    assert "The temperature was fitted on the distributions of the votes" in (out / "README.md").read_text(
        encoding="utf-8"
    )
    assert all(check.passed for check in run_gate(out))
    options = EvaluationArguments(model=str(out), output_dir=str(tmp_path / "scored"))
    scored = evaluate(DataArguments(["table"], [str(annotated_table)]), options)
    assert scored.task == "votes" and scored.test.utterances == 48


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--task", "dimensions"), "rating_scale: the scale of 'table' is unknown"),
        (
            ("--task", "dimensions", "--rating_scale", "1", "3"),
            "expected ratings from 1 to 3 in 'table', found valence",
        ),
        (("--task", "dimensions", "--mixup", "0.4"), "mixup: the task 'dimensions' has no such option"),
        (("--task", "dimensions", "--dimensions", "tension"), r"dimensions: expected some of .* found \['tension'\]"),
        (
            ("--task", "votes", "--label_map", "bored="),
            r"label_map renames \['bored'\]: expected emotions of the corpus",
        ),
        (("--vote_dropout", "0.5"), "vote_dropout: the task 'categories' has no such option"),
        (("--task", "votes", "--head_init", "probe"), "head_init: the task 'votes' has no such option"),
    ],
)
def test_an_option_that_does_not_suit_the_task_ends_in_one_sentence(train, argv, message):
    with pytest.raises(ValueError, match=message):
        train(*argv)


def test_a_corpus_with_labels_only_has_neither_ratings_nor_votes(finetune):
    with pytest.raises(ValueError, match="Expected ratings of arousal, .* found none in 48 utterances"):
        finetune("--task", "dimensions")
    with pytest.raises(ValueError, match="votes of several annotators, found 48 utterances with at most 0"):
        finetune("--task", "votes")


def test_missing_ratings_and_dimensions_and_unused_votes_are_counted(annotated_table, caplog, tmp_path):
    rows = pandas.read_csv(annotated_table)
    rows.loc[[0, 1, 5], "valence"] = None
    rows["votes_other"] = 0
    rows.loc[:3, "votes_other"] = 2
    rows.to_csv(tmp_path / "rated.csv", index=False)
    places = {
        "corpus": ["table"],
        "data_root": [str(tmp_path / "rated.csv")],
        "audio_root": str(annotated_table.parent),
    }
    caplog.set_level("INFO", logger="ser_hf")
    speech = load_speech(DataArguments(**places, task="dimensions", rating_scale=[1, 5]))
    assert speech.outputs == ["arousal", "valence"]
    assert speech.audio.dropped_emotions == {"happy (no target)": 1, "sad (no target)": 2}
    assert "Not predicted, as no utterance is rated on them: dominance." in caplog.text
    speech = load_speech(DataArguments(**places, task="votes"))
    assert (speech.audio.unused_votes, speech.audio.without_votes) == ({"other": 8}, 0)
    assert "Votes that are not used: {'other': 8}" in caplog.text


@pytest.mark.slow
def test_a_checkpoint_of_another_task_is_neither_evaluated_nor_resumed(train, annotated_table, tmp_path):
    out = train("--task", "dimensions", "--rating_scale", "1", "5")
    with pytest.raises(FileExistsError, match="another recipe .*task: dimensions there, votes here"):
        train("--task", "votes")
    data = DataArguments(["table"], [str(annotated_table)], task="votes")
    options = EvaluationArguments(model=str(out), output_dir=str(tmp_path / "scored"))
    with pytest.raises(ValueError, match="task: expected 'dimensions', the task of .* found 'votes'"):
        evaluate(data, options)
    train("--model_name_or_path", str(out), "--output_dir", str(tmp_path / "emotions"))
    config = json.loads((tmp_path / "emotions" / "config.json").read_text(encoding="utf-8"))
    assert (config["ser_hf_task"], config["problem_type"]) == ("categories", "single_label_classification")
    assert "rating_scale" not in config
