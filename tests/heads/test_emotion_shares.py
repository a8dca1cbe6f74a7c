"""The shares of the emotions in clips without labels."""

import numpy as np

from ser_hf.heads.emotion_shares import estimate_shares


def draw(shares, count, seed=0):
    """Return logits ``(N, 3)`` and labels of clips whose calibrated classifier is right most of the time."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=shares)
    values = rng.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels]
    return 1.5 * values, labels  # the log likelihood ratio of two emotions


def test_the_shares_of_many_clips_are_found():
    logits, _ = draw([0.7, 0.2, 0.1], 2000)
    np.testing.assert_allclose(estimate_shares(logits), [0.7, 0.2, 0.1], atol=0.05)


def test_few_clips_say_little():
    logits, _ = draw([1.0, 0.0, 0.0], 2)
    assert 0.33 < estimate_shares(logits)[0] < 0.5


def test_more_answers_are_right_with_the_shares():
    logits, labels = draw([0.8, 0.1, 0.1], 1000)
    corrected = logits + np.log(estimate_shares(logits))
    assert (corrected.argmax(1) == labels).mean() > (logits.argmax(1) == labels).mean() + 0.02
