import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from ser_hf.evaluation.vote_scores import cosine, entropy_correlation, jensen_shannon, soft_accuracy, soft_f1

RANDOM = np.random.default_rng(0)
VOTES, SCORES = RANDOM.dirichlet(np.ones(4), 50), RANDOM.dirichlet(np.ones(4), 50)


def test_the_divergence_is_the_square_of_the_distance_in_scipy():
    np.testing.assert_allclose(jensen_shannon(VOTES, SCORES), jensenshannon(VOTES, SCORES, axis=1, base=2) ** 2)


@pytest.mark.parametrize(
    ("votes", "scores", "divergence", "similarity", "overlap"),
    [
        ([1, 0, 0], [1, 0, 0], 0, 1, 1),
        ([1, 0, 0], [0, 0.5, 0.5], 1, 0, 0),
        ([0.6, 0.4, 0], [0.4, 0.6, 0], 0.029049, 0.923077, 0.8),
    ],
)
def test_scores_of_single_utterances_equal_values_by_hand(votes, scores, divergence, similarity, overlap):
    votes, scores = np.array([votes], float), np.array([scores], float)
    assert jensen_shannon(votes, scores)[0] == pytest.approx(divergence, abs=1e-6)
    assert cosine(votes, scores)[0] == pytest.approx(similarity, abs=1e-6)
    assert soft_accuracy(votes, scores)[0] == pytest.approx(overlap)


def test_an_emotion_that_no_votes_reach_does_not_count_in_the_soft_f1():
    votes = np.array([[0.8, 0.2, 0.0], [0.5, 0.5, 0.0]])
    assert soft_f1(votes, np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])) == pytest.approx((2 / 3 + 0) / 2)


def test_the_entropy_correlation_is_undefined_if_all_annotators_agree():
    assert entropy_correlation(np.eye(4), VOTES[:4]) is None
    assert entropy_correlation(VOTES, VOTES) == pytest.approx(1)
