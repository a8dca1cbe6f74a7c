"""A task that no file of ser_hf knows, in the one file toy_task.py, goes through all that is not its own."""

import json
import re

import numpy as np
import pandas
import pytest
import soundfile
import yaml
from architectures import feature_extractor, tiny_model
from stock_pipeline import run_here
from transformers import pipeline

from ser_hf import (
    DataArguments,
    EmotionClassifier,
    EvaluationArguments,
    ModelArguments,
    SerTrainingArguments,
    cross_validate,
    evaluate,
    finetune,
    list_audio,
    predict,
    probe,
)
from ser_hf.evaluation import ccc, read_predictions
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.publishing.gate import run_gate
from ser_hf.runs.results import read_results
from ser_hf.tasks import TASKS
from ser_hf.workflows.finetune import describe_run


@pytest.fixture(scope="module", autouse=True)
def toy():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "toy", "tasks.toy_task")
        yield


@pytest.fixture(scope="module")
def arguments(toy_ravdess, tmp_path_factory):
    """Return ``arguments(data={…}, model={…}, **training)``, with a tiny encoder that has classes."""
    encoder = tmp_path_factory.mktemp("encoder")
    tiny_model("hubert-group").save_pretrained(encoder)
    feature_extractor("hubert-group").save_pretrained(encoder)

    def make(*, data=(), model=(), **training):
        options = {"learning_rate": 0.01, "num_train_epochs": 4, "use_cpu": True, "dataloader_num_workers": 0}
        options |= {"output_dir": str(tmp_path_factory.mktemp("run") / "out"), "report_to": "none"} | training
        recipe = {"corpus": ["ravdess"], "data_root": [str(toy_ravdess)], "task": "toy"} | dict(data)
        own = {"model_name_or_path": str(encoder)} | dict(model)
        return DataArguments(**recipe), ModelArguments(**own), SerTrainingArguments(**options)

    return make


@pytest.fixture(scope="module")
def run(arguments, tmp_path_factory):
    """The output folder of a fine-tuning, compared with the stock pipeline."""
    folder = tmp_path_factory.mktemp("toy") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ser_hf.publishing.agreement.run_pipeline", run_here)
        results = finetune(*arguments(output_dir=str(folder), refit=True))
    low, high = results.test.intervals["ccc"]
    assert f"{results.test.ccc:.3f} [{low:.3f}, {high:.3f}]" in describe_run(results, folder)
    return folder


def test_it_is_fine_tuned_and_the_stock_pipeline_gives_the_stored_scores(run, toy_ravdess):
    results, table = read_results(run), read_predictions(run / "predictions.csv").query("split == 'test'")
    assert (results.task, results.outputs, results.calibration) == ("toy", ["liveliness"], None)
    assert list(table.columns[7:]) == ["target_liveliness", "score_liveliness"]
    assert table["target_liveliness"].tolist() == [0.75, 0.75, 0.25, 0.25, 1.0, 1.0] * 2  # of two actors
    assert results.test.ccc == ccc(table["target_liveliness"], table["score_liveliness"])
    assert results.audio.dropped_emotions == {"neutral (no target)": 12}
    assert (results.agreement.agree, results.agreement.compared, results.agreement.error) == (12, 12, None)
    classifier = pipeline("audio-classification", model=str(run))
    waveform, _ = soundfile.read(toy_ravdess / table["path"].iloc[0], dtype="float32")
    (answer,) = classifier(waveform, top_k=None)
    assert answer == {"label": "liveliness", "score": pytest.approx(table["score_liveliness"].iloc[0], abs=1e-5)}


def test_the_best_epoch_is_chosen_by_its_first_metric(run):
    recipe, config = yaml.safe_load((run / "recipe.yaml").read_text()), json.loads((run / "config.json").read_text())
    assert (recipe["task"], recipe["metric_for_best_model"], "class_weights" in recipe) == ("toy", "ccc", False)
    assert (config["ser_hf_task"], config["problem_type"], config["id2label"]) == (
        "toy", "regression", {"0": "liveliness"}
    )  # fmt: skip


def test_its_card_says_its_line_and_nothing_of_emotions_that_are_told_apart(run):
    card, test = (run / "README.md").read_text(), read_results(run).test
    assert f"Tells how lively a voice is: CCC {test.ccc:.3f} on 12 utterances." in card
    assert "| split | speakers | utterances | CCC |\n|---|---|---|---|\n" in card
    low, high = test.intervals["ccc"]
    assert f"| test | 2 | 12 | {test.ccc:.3f} [{low:.3f}, {high:.3f}] |" in card
    assert f"type: ccc\n      value: {test.ccc}" in card
    assert not re.search("recall|confusion|Calibration|Few labels|temperature", card)


def test_the_gate_passes_it(run):
    assert [check for check in run_gate(run) if not check.passed] == []


def test_a_checkpoint_is_evaluated_by_the_task_that_it_names(run, toy_ravdess, tmp_path):
    data = DataArguments(corpus=["ravdess"], data_root=[str(toy_ravdess)])
    results = evaluate(data, EvaluationArguments(str(run), str(tmp_path / "out")))
    assert (results.task, results.test.utterances, results.evaluation.shared_outputs) == ("toy", 36, ["liveliness"])
    test, again = (read_predictions(folder / "predictions.csv") for folder in (run, tmp_path / "out"))
    both = test.query("split == 'test'").merge(again, on="path")
    assert len(both) == 12
    assert both["score_liveliness_x"].to_numpy() == pytest.approx(both["score_liveliness_y"].to_numpy(), abs=1e-5)


def test_a_folder_is_predicted_in_its_words(run, toy_ravdess, tmp_path):
    classifier = EmotionClassifier.from_pretrained(run)
    predict(classifier, list_audio([str(toy_ravdess)], {}), tmp_path / "table.csv", model=str(run))
    table = pandas.read_csv(tmp_path / "table.csv")
    assert len(table) == 48
    score = table["score_liveliness"][0]
    assert table["prediction"][0] == f"liveliness {score:.2f}" and np.isnan(table["uncertain"][0])
    (segment, *_) = classifier.timeline(table["path"][0])
    assert segment.emotion == f"liveliness {segment.scores['liveliness']:.2f}"


@pytest.mark.slow
def test_it_is_cross_validated(arguments, monkeypatch):
    monkeypatch.setattr("ser_hf.publishing.agreement.run_pipeline", run_here)
    data, model, training = arguments(data={"protocol": "group_kfold", "folds": 2}, num_train_epochs=1)
    results = cross_validate(finetune, data, model, training)
    assert results.test.utterances == 36
    assert results.mean["ccc"] == pytest.approx(np.mean([fold.scores["ccc"] for fold in results.folds]))
    with open(f"{training.output_dir}/README.md") as card:
        assert f"Pooled over the folds, CCC is\n**{results.test.ccc:.3f}**, 95 % interval" in card.read()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_weights": "balanced"}, "class_weights: the task 'toy' has no such option"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor: the task 'toy'"),
        ({"data": {"mixup": 0.2}}, "mixup: the task 'toy'"),
        ({"data": {"target": "gender"}}, "target: the task 'toy'"),
        ({"data": {"recommended_trim": "ends"}}, "recommended_trim: the task 'toy'"),
        ({"model": {"head_init": "probe"}}, "head_init: the task 'toy'"),
        ({"metric_for_best_model": "ua"}, r"metric_for_best_model: expected one of \['ccc', 'loss'\], found 'ua'"),
    ],
)
def test_an_option_that_it_lacks_is_refused_by_name(arguments, changed, message):
    with pytest.raises(ValueError, match=message):
        finetune(*arguments(**changed))


def test_a_probe_recognises_categories_and_dimensions_only(arguments):
    with pytest.raises(ValueError, match="task: expected one of .'categories', 'dimensions'. for a probe, found 'toy'"):
        probe(arguments()[0], ProbeArguments("unused"))
