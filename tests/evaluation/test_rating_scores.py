import numpy as np
import pytest
import torch

from ser_hf.evaluation.rating_scores import rating_scores
from ser_hf.tasks.losses import concordance


def independent_ccc(first, second):
    """CCC by Lin's definition over all pairs of utterances, without means and variances."""
    squared = np.mean((first - second) ** 2)
    chance = np.mean((first[:, None] - second[None]) ** 2)
    return 1 - squared / chance


def test_the_ccc_equals_its_definition_over_pairs():
    generator = np.random.default_rng(1)
    targets = generator.uniform(size=(40, 3))
    values = 0.5 * targets + 0.3 * generator.uniform(size=(40, 3))
    expected = [independent_ccc(targets[:, i], values[:, i]) for i in range(3)]
    np.testing.assert_allclose(rating_scores(targets, values)["ccc"], expected)
    np.testing.assert_allclose(concordance(torch.tensor(values), torch.tensor(targets)), expected, rtol=1e-6)


def test_each_score_equals_values_by_hand():
    targets, values = np.array([[0.0, 0.2], [1.0, 0.8]]), np.array([[0.25, 0.8], [0.75, 0.2]])
    scores = rating_scores(targets, values)
    np.testing.assert_allclose(scores["pearson"], [1, -1])
    np.testing.assert_allclose(scores["mae"], [0.25, 0.6])
    np.testing.assert_allclose(scores["spread"], [0.5, 1])
    np.testing.assert_allclose(scores["ccc"], [0.8, -1])


def test_a_constant_has_no_concordance():
    scores = rating_scores(np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]))
    assert scores["ccc"][0] == 0 and np.isnan(scores["pearson"][0])
    assert concordance(torch.full((3, 1), 0.5), torch.full((3, 1), 0.5)).item() == pytest.approx(0)
