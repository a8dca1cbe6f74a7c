import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import Ridge

from ser_hf.heads.ridge import _reduce_offsets, fit_regression, fit_ridge

SPEAKERS, CLIPS, INPUTS = 12, 20, 30


def record(seed=0, offset=0.0, inputs=INPUTS):
    """Return states, labels and speakers: the emotion is in the first two states, the voice in all of them."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(CLIPS) % 4, SPEAKERS)
    names = np.repeat(np.arange(SPEAKERS), CLIPS)
    states = rng.normal(size=(len(labels), inputs)) + offset * rng.normal(size=(SPEAKERS, inputs))[names]
    states[:, :2] += 3 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[labels]
    return states.astype(np.float32), labels, [f"s{name}" for name in names]


def recall(weight, bias, states, labels):
    return float(((states @ weight.T + bias).argmax(1) == labels).mean())


def test_equal_emotions_give_the_ridge_regression_of_scikit_learn():
    states, labels, _ = record()
    weight, bias = fit_ridge(states, labels, 0.5)
    other = Ridge(alpha=0.5 * INPUTS).fit(states, np.eye(4)[labels])
    np.testing.assert_allclose(weight, other.coef_, atol=1e-5)
    np.testing.assert_allclose(bias, other.intercept_, atol=1e-5)


def test_the_regression_is_the_same_in_the_space_of_utterances_and_of_inputs():
    states, labels, _ = record()
    wide = np.concatenate([states, np.zeros((len(states), 400), np.float32)], 1)  # more inputs than utterances
    weight, bias = fit_ridge(states, labels, 0.5)
    other, shift = fit_ridge(wide, labels, 0.5 * INPUTS / (INPUTS + 400))
    np.testing.assert_allclose(other[:, :INPUTS], weight, atol=1e-4)
    np.testing.assert_allclose(shift, bias, atol=1e-3)


def test_an_emotion_without_an_utterance_has_the_score_0():
    states, labels, _ = record()
    weight, bias = fit_ridge(states[labels < 3], labels[labels < 3], 0.5, 4)
    assert weight.shape == (4, INPUTS)
    assert not weight[3].any() and bias[3] == 0


def test_the_units_of_the_states_do_not_matter():
    states, labels, speakers = record()
    units = np.geomspace(0.001, 1000, INPUTS).astype(np.float32)
    weight, bias, strength = fit_regression(states, labels.tolist(), speakers)
    other, shift, same = fit_regression(states * units + 1, labels.tolist(), speakers)
    assert strength == same
    np.testing.assert_allclose((states * units + 1) @ other.T + shift, states @ weight.T + bias, atol=0.02)


def test_the_scores_of_strangers_are_calibrated():
    states, labels, speakers = record(0, 1.0)
    weight, bias, _ = fit_regression(states / 2, labels.tolist(), speakers)
    others, expected, _ = record(1, 1.0)
    scores = softmax(others / 2 @ weight.T + bias, axis=1)
    assert scores.max(1).mean() == pytest.approx((scores.argmax(1) == expected).mean(), abs=0.05)


def test_the_penalty_has_the_lowest_error_on_other_speakers():
    states, labels, speakers = record(inputs=400)
    strengths = (0.001, 1.0, 1000.0)
    others, expected, _ = record(1, inputs=400)
    chosen = fit_regression(states, labels.tolist(), speakers, strengths)
    assert chosen[2] == 1.0
    fits = [fit_ridge(states, labels, strength) for strength in strengths]
    errors = [((others @ weight.T + bias - np.eye(4)[expected]) ** 2).mean() for weight, bias in fits]
    assert np.argmin(errors) == 1


def voice_and_emotion(labels, speakers, seed=0):
    """Return states ``(N, 2)``: a speaker's offset, and an emotion with the same offset."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, 2, (100, 1))[speakers]
    return np.concatenate([offsets, offsets + labels[:, None]], 1) + rng.normal(0, 0.2, (len(labels), 2))


def test_the_offset_of_a_speaker_is_removed_except_for_a_share():
    labels, speakers = np.tile([0, 1], 40), np.repeat(np.arange(4), 20)
    states = voice_and_emotion(labels, speakers)
    reduced = _reduce_offsets(states, labels, speakers.astype(str).astype(object))
    before, after = (np.array([each[speakers == i].mean(0) for i in range(4)]) for each in (states, reduced))
    np.testing.assert_allclose(after - after.mean(0), 0.4 * (before - before.mean(0)), atol=1e-6)
    assert (_reduce_offsets(states, labels, np.full(80, None)) == states).all()


def test_speakers_of_one_emotion_keep_it():
    labels, speakers = np.repeat(np.tile([0, 1], 10), 10), np.repeat(np.arange(20), 10)
    states = np.random.default_rng(0).normal(size=(200, 1)) + 5 * labels[:, None]
    reduced = _reduce_offsets(states, labels, speakers.astype(str).astype(object))
    assert reduced[labels == 1].mean() - reduced[labels == 0].mean() == pytest.approx(5, abs=0.5)


def test_two_classes_give_two_opposite_rows():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    states = rng.normal(size=(40, 3)) + labels[:, None]
    weight, bias, _ = fit_regression(states, labels.tolist(), [str(i % 5) for i in range(40)])
    assert weight.shape == (2, 3)
    assert weight[0] == pytest.approx(-weight[1])
    assert recall(weight, bias, states, labels) > 0.7


@pytest.mark.parametrize("speakers", [["a"] * 240, [None] * 240, [None, "a"] * 120])
def test_one_speaker_and_unknown_speakers_are_enough(speakers):
    states, labels, _ = record()
    weight, bias, _ = fit_regression(states, labels.tolist(), speakers)
    assert recall(weight, bias, *record(1)[:2]) > 0.9


def test_an_emotion_of_one_speaker_is_learned():
    states, labels, speakers = record()
    kept = (labels > 0) | (np.array(speakers) == "s3")
    weight, bias, _ = fit_regression(states[kept], labels[kept].tolist(), np.array(speakers)[kept].tolist())
    others, expected, _ = record(1)
    assert recall(weight, bias, others[expected == 0], 0) > 0.5  # a quarter by chance


def test_a_small_corpus_weighs_as_much_as_a_large_one_in_groups():
    """The sign of the feature means the opposite in the small corpus, so with equal weights it means nothing."""
    signs = np.array([-1, 1] * 20 + [1, -1] * 4)
    labels, speakers = [0, 1] * 24, [str(i // 2 % 4) for i in range(48)]
    states = signs[:, None] + np.random.default_rng(0).normal(0, 0.01, (48, 1))
    groups = [f"{'large' if i < 40 else 'small'}/{label}" for i, label in enumerate(labels)]
    plain, _, _ = fit_regression(states, labels, speakers, (0.1,))
    equal, _, _ = fit_regression(states, labels, speakers, (0.1,), groups)
    assert plain[1, 0] > 0.3 and abs(equal[1, 0]) < 0.02


def test_copies_of_an_utterance_are_never_held_out_without_it():
    """With random labels, a copy in the fit would give its utterance away: the scores would be sure of themselves."""
    rng = np.random.default_rng(0)
    states, labels = rng.normal(size=(61, 300)), rng.integers(0, 2, 61)
    copied = np.concatenate([states, states + rng.normal(0, 0.01, states.shape)])
    weight, bias, _ = fit_regression(copied, labels.tolist(), [None] * 61)
    assert softmax(rng.normal(size=(61, 300)) @ weight.T + bias, axis=1).max(1).mean() < 0.65
