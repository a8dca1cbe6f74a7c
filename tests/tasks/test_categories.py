"""One of C emotions per utterance, and what every task has, in literals."""

from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from datasets import Dataset, Features
from transformers import EvalPrediction, PreTrainedConfig

from ser_hf.corpora import Utterance
from ser_hf.publishing.card import SECTIONS
from ser_hf.runs.task_options import OPTIONAL
from ser_hf.tasks import TASKS, load_task, name_task
from ser_hf.tasks import categories as task

NAMES = {
    "CARD", "METRICS", "OPTIONS", "PERCENT", "PROBLEM_TYPE", "Scores", "answer", "calibrate", "compute_metrics",
    "describe_calibration", "draw_scores", "list_outputs", "make_loss", "make_statistic", "match_outputs",
    "restrict_scores", "summarize", "tabulate", "target_feature", "target_of",
}  # fmt: skip
EMOTIONS = ["happy", "sad"]


def utterance(emotion):
    return Utterance(path="a.wav", corpus="x", emotion=emotion)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_the_same_names(name):
    module = load_task(name)
    assert [missing for missing in sorted(NAMES) if not hasattr(module, missing)] == []
    assert set(module.OPTIONS) <= set(OPTIONAL) and set(module.CARD) <= set(SECTIONS)


def test_an_unknown_task_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"expected one of \['categories', 'votes', 'dimensions'\], found 'categorys'. Did you mean 'cat",
    ):
        load_task("categorys")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"ser_hf_task": "categories", "problem_type": "regression"}, "categories"),
        ({"problem_type": "single_label_classification"}, "categories"),
        ({"problem_type": "multi_label_classification"}, "categories"),
        ({}, "categories"),
        ({"problem_type": "regression"}, "dimensions"),
    ],
)
def test_a_checkpoint_that_records_no_task_has_that_of_its_problem_type(monkeypatch, config, name):
    monkeypatch.setitem(TASKS, "toy", "tasks.toy_task")
    assert name_task(PreTrainedConfig(**config)) == name


def test_a_checkpoint_of_a_task_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="expected one of .* found 'shouting'"):
        name_task(PreTrainedConfig(ser_hf_task="shouting"))


def test_a_label_is_the_place_of_the_emotion_and_others_have_none():
    assert task.list_outputs(map(utterance, ["sad", "happy", "sad"])) == EMOTIONS
    assert [task.target_of(utterance(emotion), EMOTIONS) for emotion in ("happy", "sad", "calm")] == [0, 1, None]
    assert task.target_feature(EMOTIONS).names == EMOTIONS


def test_the_table_names_target_and_best_score_and_its_scores_are_those_of_the_rows():
    table = task.tabulate([1, 0], np.array([[0.75, 0.25], [0.5, 0.5]]), EMOTIONS)
    expected = {
        "target": ["sad", "happy"],
        "prediction": ["happy", "happy"],
        "score_happy": [0.75, 0.5],
        "score_sad": [0.25, 0.5],
    }
    pandas.testing.assert_frame_equal(table, pandas.DataFrame(expected))


def test_metrics_are_those_of_the_best_logits():
    prediction = EvalPrediction(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]]), np.array([0, 1, 1]))
    found = task.compute_metrics(prediction)
    assert found == {"wa": pytest.approx(2 / 3), "ua": 0.75, "macro_f1": pytest.approx(2 / 3)}
    assert next(iter(task.METRICS)) == "ua"


def make_loss(**options):
    """Return the loss of three training utterances, two of them happy."""
    train = Dataset.from_dict({"label": [0, 0, 1]}, features=Features({"label": task.target_feature(EMOTIONS)}))
    unused = {"class_weights": "none", "loss": "cross_entropy", "focal_gamma": 2.0, "logit_adjustment": 0.0}
    return task.make_loss(train, SimpleNamespace(**(unused | {"label_smoothing_factor": 0.1} | options)))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("balanced", [0.75, 1.5]), ("effective", [0.7502, 1.4996]), ("none", None)],
)
def test_the_loss_has_the_weights_and_the_smoothing_of_the_arguments(weights, expected):
    loss = make_loss(class_weights=weights)
    assert (expected is None) == (loss.weights is None)
    assert expected is None or loss.weights.tolist() == pytest.approx(expected, abs=1e-4)
    assert (loss.label_smoothing, loss.focal_gamma, loss.adjustment) == (0.1, 0.0, None)


def test_the_loss_is_focal_and_adjusted_if_the_arguments_say_so():
    loss = make_loss(loss="focal", logit_adjustment=0.5)
    assert loss.focal_gamma == 2.0
    assert loss.adjustment.tolist() == pytest.approx([0.5 * np.log(2 / 3), 0.5 * np.log(1 / 3)])


def test_emotions_are_matched_by_any_usual_spelling():
    spoken = list(map(utterance, ("happy", "happy", "sad", "HI")))
    names, shared = task.match_outputs(["neu", "hap", "sadness", "HI"], spoken)
    assert (names, shared) == (["neutral", "happy", "sad", "HI"], ["HI", "happy", "sad"])
    with pytest.raises(ValueError, match=r"found \['happy'\].*LABEL_0.*--label_map"):
        task.match_outputs(["LABEL_0", "hap"], spoken)


def test_scores_of_the_shared_emotions_sum_to_one_again_and_synonyms_are_added():
    scores = np.array([[0.5, 0.125, 0.25, 0.125]])
    names = ["calm", "happy", "sad", "happy"]
    assert task.restrict_scores(scores, names, EMOTIONS).tolist() == [[0.5, 0.5]]
    assert task.restrict_scores(scores[:, 1:], names[1:], EMOTIONS).tolist() == [[0.25, 0.25]]


def test_the_answer_is_the_best_emotion_and_the_first_of_equals():
    assert task.answer({"angry": 0.25, "happy": 0.75}) == "happy"
    assert task.answer({"sad": 0.5, "angry": 0.5}) == "sad"
