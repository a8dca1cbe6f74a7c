"""all_results.json is read back as it was written, whatever version wrote it."""

import json
from pathlib import Path

import pytest

from ser_hf.evaluation import Scores
from ser_hf.runs.data_records import AudioRecord
from ser_hf.runs.result_records import Results, TrainingRecord
from ser_hf.runs.results import parse_results, read_results, write_results

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SCORES = Scores(
    utterances=4,
    speakers=2,
    wa=0.5,
    ua=0.25,
    macro_f1=0.75,
    intervals={"wa": [0.25, 0.75], "ua": [0.0, 0.5], "macro_f1": [0.5, 1.0]},
    interval_unit="speaker",
    warning=None,
    per_emotion={"sad": {"recall": 0.5}},
    confusion={"emotions": ["happy", "sad"], "counts": [[1, 1], [1, 1]]},
    per_speaker={"a": {"ua": 0.25}},
)


def test_results_are_read_back_as_written(tmp_path):
    training = TrainingRecord("CPU, 2 threads", "2026-11-29", seconds=60.0)
    results = Results(["happy", "sad"], SCORES, audio=AudioRecord(hours=1.5, skipped=3), training=training)
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results
    content = json.loads((tmp_path / "all_results.json").read_text())
    assert sorted(content) == [
        "audio",
        "outputs",
        "schema",
        "task",
        "test",
        "training",
    ]  # parts that this run lacks are absent
    assert content["schema"] == 3 and content["test"]["ua"] == 0.25 and content["audio"]["skipped"] == 3


def test_a_folder_without_results_is_not_finished(tmp_path):
    assert read_results(tmp_path) is None


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in GOLDEN.glob("*/all_results.json")), ids=lambda p: p.name
)
def test_results_of_older_versions_are_read(folder):
    results, stored = read_results(folder), json.loads((folder / "all_results.json").read_text())
    outputs = stored["outputs"] if stored.get("schema") == 3 else stored["emotions"]
    assert (results.schema, results.task, results.outputs) == (3, "categories", outputs)
    folds = [fold.get("scores", fold)["ua"] for fold in stored.get("folds", [])]
    assert [fold.scores["ua"] for fold in results.folds or []] == folds
    assert results.test.ua == stored["test"]["ua"] and results.training.seconds == stored["training"]["seconds"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "all_results.json': expected the results of a run"),
        ('{"emotions": ["sad"]}', "required field missing.*test"),
        ('{"schema": 4}', "its schema is 4; install a newer ser_hf"),
        ("[]", "no object with a whole number as its schema"),
        ('{"schema": 2, "outputs": ["a"], "folds": [1]}', "Delete it, and run the recipe again"),
    ],
)
def test_damaged_and_newer_results_are_refused_with_the_reason(text, message):
    with pytest.raises(ValueError, match=message):
        parse_results(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("training"), "neither 'training' nor 'evaluation'"),
        (lambda content: content["test"].update(intervals={}), r"no interval of \['macro_f1', 'ua', 'wa'\]"),
        (lambda content: content["test"].update(ua=float("nan")), "found: NaN, which is not a number. Delete it"),
        (
            lambda content: content["validation"].update(intervals={"ua": [0, 1]}),
            r"no interval of \['macro_f1', 'wa'\]",
        ),
    ],
)
def test_incomplete_results_are_refused_with_the_reason(change, message):
    content = json.loads((GOLDEN / "ravdess_whisper_tiny_fold_1" / "all_results.json").read_text())
    change(content)
    with pytest.raises(ValueError, match=message):
        parse_results(json.dumps(content))
