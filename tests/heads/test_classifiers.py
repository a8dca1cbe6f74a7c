from dataclasses import replace

import numpy as np
import pytest
from heads.blobs import LABELS, SPEAKERS, TEST, TEST_LABELS, TRAIN, blobs
from sklearn.metrics import balanced_accuracy_score, log_loss

from ser_hf.heads import classifiers, head_fitting
from ser_hf.heads.classifiers import HEADS
from ser_hf.heads.head_fitting import cross_validate_head, fit_head, inner_folds, rotate
from ser_hf.heads.probe_arguments import HEAD_NAMES

pytestmark = pytest.mark.usefixtures("small_forests")


def test_the_arguments_of_a_probe_name_every_head():
    assert list(HEAD_NAMES) == list(HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_each_head_learns_emotions_of_new_speakers(fitted, name):
    head = fitted[name]
    score = balanced_accuracy_score(TEST_LABELS, head.predict(TEST))
    assert score > 0.85
    assert abs(head.inner_score - score) < 0.1  # what held-out training speakers promise


@pytest.mark.parametrize("name", HEADS)
def test_probabilities_sum_to_one_and_agree_with_the_prediction(fitted, name):
    probabilities = fitted[name].predict_proba(TEST)
    assert probabilities.shape == (len(TEST), 3)
    assert np.allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == fitted[name].predict(TEST)).all()


@pytest.mark.parametrize("name", ["svm_rbf", "logistic_regression", "random_forest"])
def test_speakers_that_tell_nothing_score_chance(name):
    rng = np.random.default_rng(0)
    vectors = np.eye(8, dtype=np.float32)[np.arange(96) // 12] * 5 + rng.normal(0, 0.1, (96, 8)).astype(np.float32)
    labels, speakers = np.arange(96) // 12 % 2, [str(i // 12) for i in range(96)]  # each speaker has one emotion
    assert cross_validate_head(name, vectors, labels, None).score > 0.95
    assert cross_validate_head(name, vectors, labels, speakers).score < 0.6


@pytest.mark.parametrize("name", ["logistic_regression", "knn"])
def test_scaling_is_fitted_on_the_training_rows_only(monkeypatch, fitted, name):
    loud = TRAIN.copy()
    loud[0] *= 1000
    monkeypatch.setattr(classifiers, "GRIDS", {})  # the loud row may change which parameter is best
    fold = next(held for _, held in inner_folds(LABELS, SPEAKERS) if 0 in held)
    others = fold[fold != 0]
    before, after = (cross_validate_head(name, vectors, LABELS, SPEAKERS) for vectors in (TRAIN, loud))
    assert np.allclose(before.margins[others], after.margins[others])
    assert np.allclose(fitted[name].pipeline["scaler"].mean_, TRAIN.mean(0), atol=1e-4)


def test_no_speaker_is_in_both_parts_of_a_fold():
    held = []
    for fit_on, held_out in inner_folds(LABELS, SPEAKERS):
        assert not {SPEAKERS[i] for i in fit_on} & {SPEAKERS[i] for i in held_out}
        held += held_out.tolist()
    assert sorted(held) == list(range(len(LABELS)))


def test_no_utterance_is_in_both_parts_of_a_fold_where_speakers_are_unknown():
    utterances, labels = np.tile(np.arange(24), 3), np.tile(np.arange(24) % 3, 3)  # two augmented copies of each
    held = []
    for fit_on, held_out in inner_folds(labels, None, utterances=utterances):
        assert not set(utterances[fit_on]) & set(utterances[held_out])
        assert set(labels[held_out]) == {0, 1, 2}
        held += held_out.tolist()
    assert sorted(held) == list(range(len(labels)))


def test_copies_of_utterances_that_tell_nothing_score_chance():
    rng = np.random.default_rng(0)
    utterances, labels = np.tile(np.arange(60), 3), np.tile(np.arange(60) % 2, 3)
    vectors = np.tile(rng.normal(size=(60, 100)).astype(np.float32), (3, 1))
    assert cross_validate_head("knn", vectors, labels, None).score > 0.95
    assert cross_validate_head("knn", vectors, labels, None, utterances=utterances).score < 0.7


def test_one_speaker_and_an_unknown_one_are_errors():
    with pytest.raises(ValueError, match="at least two training speakers"):
        cross_validate_head("knn", TRAIN, LABELS, ["s1"] * len(LABELS))
    with pytest.raises(ValueError, match="1 of 216 utterances have no known speaker"):
        cross_validate_head("knn", TRAIN, LABELS, [None, *SPEAKERS[1:]])


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear", "logistic_regression"])
def test_rotating_many_numbers_changes_no_margin(monkeypatch, name):
    vectors, labels, speakers = blobs(dimensions=300, spread=3, each=3)
    rotated = cross_validate_head(name, vectors, labels, speakers)
    monkeypatch.setattr(head_fitting, "ROTATABLE", ())
    plain = cross_validate_head(name, vectors, labels, speakers)
    assert rotated.parameters == plain.parameters
    assert np.abs(rotated.margins - plain.margins).max() < 0.01 * plain.margins.std()


def test_rotation_keeps_distances_and_inner_products():
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(5, 40)), rng.normal(size=(3, 40))
    turned, moved = rotate(rows, others)
    assert turned.shape == (5, 6)
    assert np.allclose(turned @ moved.T, rows @ others.T)
    assert np.allclose((turned**2).sum(1), (rows**2).sum(1))
    assert np.allclose((moved**2).sum(1), (others**2).sum(1))


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear", "random_forest", "extra_trees"])
def test_calibration_lowers_the_log_loss_on_new_speakers(name):
    options = {"spread": 3, "offset": 1, "each": 15}
    head = fit_head(name, *blobs(**options))
    vectors, labels, _ = blobs(**options, seed=1)
    calibrated, raw = (log_loss(labels, each.predict_proba(vectors)) for each in (head, replace(head, temperature=1)))
    assert calibrated < raw - 0.003


@pytest.mark.parametrize("name", HEADS)
def test_the_same_seed_gives_the_same_head(fitted, name):
    again = fit_head(name, TRAIN, LABELS, SPEAKERS)
    assert (again.temperature, again.parameters) == (fitted[name].temperature, fitted[name].parameters)
    assert np.allclose(again.predict_proba(TEST), fitted[name].predict_proba(TEST), rtol=0, atol=0)


def test_an_inner_score_that_is_at_hand_is_not_computed_again(monkeypatch, fitted):
    inner = cross_validate_head("svm_linear", TRAIN, LABELS, SPEAKERS)
    monkeypatch.setattr(head_fitting, "cross_validate_head", None)
    head = fit_head("svm_linear", TRAIN, LABELS, SPEAKERS, inner=inner)
    assert np.allclose(head.predict_proba(TEST), fitted["svm_linear"].predict_proba(TEST))


@pytest.mark.parametrize("name", HEADS)
def test_two_emotions_are_enough(name):
    vectors, labels, speakers = blobs(emotions=2)
    probabilities = fit_head(name, vectors, labels, speakers).predict_proba(vectors)
    assert probabilities.shape == (len(labels), 2)
    assert (probabilities.argmax(1) == labels).mean() > 0.95


def test_an_emotion_of_one_speaker_counts_as_missed_where_that_speaker_is_held_out():
    labels = np.where((LABELS == 2) & (np.array(SPEAKERS) != "s0"), 1, LABELS)
    inner = cross_validate_head("svm_linear", TRAIN, labels, SPEAKERS)
    assert np.isfinite(inner.margins).all()
    assert not (inner.margins.argmax(1) == 2)[labels == 2].any()
    assert inner.score < 0.67


@pytest.mark.parametrize("name", ["svm_linear", "logistic_regression", "random_forest", "gradient_boosting", "mlp"])
def test_a_rare_emotion_weighs_like_the_others(name):
    vectors, labels, speakers = blobs(emotions=2, spread=4, each=40)
    keep = np.flatnonzero((labels == 0) | (np.arange(len(labels)) % 10 == 1))  # one in five of the second emotion
    head = fit_head(name, vectors[keep], labels[keep], np.array(speakers)[keep])
    vectors, labels, _ = blobs(emotions=2, spread=4, each=40, seed=1)
    assert (head.predict(vectors) == 1).mean() > 0.2  # 0.14 of them for a forest whose leaves are pure


@pytest.mark.parametrize("name", HEADS)
def test_constant_numbers_are_no_trouble(name, recwarn):
    vectors = np.hstack([TRAIN, np.full((len(TRAIN), 2), 7, np.float32), TRAIN[:, :1] > 9])
    assert cross_validate_head(name, vectors, LABELS, SPEAKERS).score > 0.85
    assert not [str(warning.message) for warning in recwarn]


def test_bad_input_says_what_was_expected():
    broken = TRAIN.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 216 vectors are not finite .first: row 3"):
        cross_validate_head("gradient_boosting", broken, LABELS, SPEAKERS)
    with pytest.raises(ValueError, match="Labels .1. have no training utterance"):
        cross_validate_head("knn", TRAIN, np.where(LABELS == 1, 0, LABELS), SPEAKERS)
    with pytest.raises(ValueError, match="a label for each of 216 vectors, found 215"):
        cross_validate_head("knn", TRAIN, LABELS[1:], SPEAKERS)
    with pytest.raises(ValueError, match="Did you mean 'svm_rbf'"):
        cross_validate_head("svm_rbb", TRAIN, LABELS, SPEAKERS)


def test_neighbours_are_no_more_than_a_small_corpus_has():
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    vectors = (rng.normal(size=(12, 3)) + 5 * labels[:, None]).astype(np.float32)
    assert cross_validate_head("knn", vectors, labels, [str(i // 3) for i in range(12)]).score == 1.0


def test_a_small_corpus_weighs_as_much_as_a_large_one_in_groups():
    """The sign of the feature means the opposite in the small corpus, so with equal weights it means nothing."""
    signs = np.array([-1, 1] * 20 + [1, -1] * 4)
    labels, speakers = [0, 1] * 24, [str(i // 2 % 4) for i in range(48)]
    vectors = signs[:, None].astype(np.float32)
    groups = [f"{'large' if i < 40 else 'small'}/{label}" for i, label in enumerate(labels)]
    weight = [
        fit_head("logistic_regression", vectors, labels, speakers, groups=each).pipeline[-1].coef_[0, 0]
        for each in (None, groups)
    ]
    assert weight[0] > 0.001 and abs(weight[1]) < 1e-5
