import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_hf.evaluation import ccc, compute_scores, count_confusion, macro_f1, ua, wa

EMOTIONS = ["angry", "happy", "neutral", "sad"]
PAIRS = st.lists(st.tuples(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS)), min_size=1, max_size=60)
SERIES = st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=3, max_size=30)


def test_scores_of_a_small_example_are_those_computed_by_hand():
    targets = ["angry", "angry", "angry", "angry", "happy", "happy", "neutral"]
    predictions = ["angry", "angry", "angry", "happy", "happy", "angry", "angry"]
    scores = compute_scores(targets, predictions, ["angry", "happy", "neutral"])
    assert scores["confusion"] == [[3, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert scores["wa"] == pytest.approx(4 / 7)
    assert scores["ua"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores["per_emotion"] == {
        "angry": {"precision": pytest.approx(0.6), "recall": 0.75, "f1": pytest.approx(2 / 3), "support": 4},
        "happy": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "neutral": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    }


def test_an_emotion_absent_from_the_targets_is_left_out_of_the_means():
    scores = compute_scores(["angry", "happy"], ["angry", "sad"], ["angry", "happy", "neutral", "sad"])
    assert scores["ua"] == 0.5
    assert scores["macro_f1"] == 0.5
    assert scores["per_emotion"]["sad"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
@settings(deadline=None, max_examples=30)
@given(PAIRS)
def test_scores_equal_those_of_scikit_learn(pairs):
    targets, predictions = zip(*pairs, strict=True)
    scores = compute_scores(targets, predictions, EMOTIONS)
    present = {"labels": sorted(set(targets)), "average": "macro", "zero_division": 0}
    assert scores["wa"] == pytest.approx(sklearn.metrics.accuracy_score(targets, predictions))
    assert scores["ua"] == pytest.approx(sklearn.metrics.recall_score(targets, predictions, **present))
    assert scores["ua"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(targets, predictions))
    assert scores["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(targets, predictions, **present))
    each = sklearn.metrics.precision_recall_fscore_support(targets, predictions, labels=EMOTIONS, zero_division=0)
    found = [[*scores["per_emotion"][emotion].values()] for emotion in EMOTIONS]
    np.testing.assert_allclose(found, np.transpose(each))
    confusion = sklearn.metrics.confusion_matrix(targets, predictions, labels=EMOTIONS)
    assert scores["confusion"] == confusion.tolist()


@settings(deadline=None)
@given(PAIRS)
def test_scores_are_between_zero_and_one_and_wa_is_the_recall_weighted_by_support(pairs):
    scores = compute_scores(*zip(*pairs, strict=True), EMOTIONS)
    each = scores["per_emotion"].values()
    ratios = [scores[name] for name in ("wa", "ua", "macro_f1")]
    ratios += [emotion[name] for emotion in each for name in ("precision", "recall", "f1")]
    assert all(isinstance(ratio, float) and 0 <= ratio <= 1 for ratio in ratios)
    weighted = sum(emotion["recall"] * emotion["support"] for emotion in each) / len(pairs)
    assert scores["wa"] == pytest.approx(weighted)


@settings(deadline=None)
@given(PAIRS)
def test_scores_are_one_exactly_when_every_prediction_is_right(pairs):
    targets, predictions = zip(*pairs, strict=True)
    perfect = compute_scores(targets, targets, EMOTIONS)
    scores = compute_scores(targets, predictions, EMOTIONS)
    for name in ("wa", "ua", "macro_f1"):
        assert perfect[name] == 1
        assert (scores[name] == 1) == (targets == predictions)


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_scores_depend_neither_on_the_order_of_utterances_nor_on_that_of_emotions(pairs, random):
    shuffled, emotions = random.sample(pairs, len(pairs)), random.sample(EMOTIONS, len(EMOTIONS))
    before = compute_scores(*zip(*pairs, strict=True), EMOTIONS)
    after = compute_scores(*zip(*shuffled, strict=True), emotions)
    for name in ("wa", "ua", "macro_f1"):
        assert after[name] == pytest.approx(before[name])
    assert after["per_emotion"] == before["per_emotion"]


@pytest.mark.parametrize("metric", [wa, ua, macro_f1])
def test_a_stack_of_confusion_matrices_scores_like_each_matrix(metric):
    stack = np.random.default_rng(0).integers(0, 9, size=(5, 2, 3, 3))
    stack[0, 0, 1] = 0  # one matrix lacks an emotion
    expected = [[metric(confusion) for confusion in row] for row in stack]
    np.testing.assert_array_equal(metric(stack), expected)


def test_the_rows_of_the_confusion_matrix_are_targets():
    assert count_confusion(["sad", "sad"], ["angry", "angry"], ["angry", "sad"]).tolist() == [[0, 0], [2, 0]]


def test_an_unknown_emotion_is_an_error_that_names_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown emotion 'hapy': expected one of .* Did you mean 'happy'\?"):
        compute_scores(["happy"], ["hapy"], EMOTIONS)
    with pytest.raises(ValueError, match=r"Unknown emotion 'xyz': expected one of \[[^]]*\]\.$"):
        compute_scores(["xyz"], ["happy"], EMOTIONS)


def test_targets_and_predictions_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="found 1 for 2 targets"):
        compute_scores(["happy", "sad"], ["happy"], EMOTIONS)


def test_scoring_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one utterance"):
        compute_scores([], [], EMOTIONS)


@settings(deadline=None)
@given(SERIES, st.floats(0.5, 2), st.floats(0.01, 1))
def test_ccc_is_one_for_itself_and_at_most_the_correlation_for_a_shifted_and_scaled_copy(series, scale, shift):
    targets = np.array([*series, -1.0, 1.0])
    copy = scale * targets + shift
    assert ccc(targets, targets) == pytest.approx(1)
    assert ccc(targets, -targets + 2 * targets.mean()) == pytest.approx(-1)
    assert ccc(targets, copy) == pytest.approx(ccc(copy, targets))
    assert ccc(targets, copy) < 1


def test_ccc_is_the_value_computed_by_hand():
    # variances 2/3 and 8/3, covariance 4/3, means 2 and 4: 2 * 4/3 / (2/3 + 8/3 + 4)
    assert ccc([1, 2, 3], [2, 4, 6]) == pytest.approx(4 / 11)


def test_importing_the_wing_loads_no_deep_learning_and_no_plotting_library():
    heavy = "('torch', 'transformers', 'matplotlib', 'evaluate')"
    code = f"import sys, ser_hf.evaluation; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
