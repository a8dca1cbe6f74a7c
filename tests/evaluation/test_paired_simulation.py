"""Intervals and p-values of paired differences, in simulated studies of 24 speakers."""

import numpy as np
import pandas
import pytest

from ser_hf.evaluation.paired import paired_differences
from ser_hf.tasks import categories

STUDIES, SPEAKERS, UTTERANCES, EMOTIONS = 1000, 24, 60, ["angry", "calm", "happy", "sad"]


def study(generator, gain):
    """Return the tables of two models that differ by `gain`, on speakers who differ in difficulty and in the gain."""
    size = (SPEAKERS, UTTERANCES)
    first, second = 0.7 + generator.normal(0, 0.12, (2, SPEAKERS, 1)) @ np.array([[1.0]])
    second = first + gain + generator.normal(0, 0.04, (SPEAKERS, 1))
    difficulty = 0.5 * generator.random(size) + 0.5 * generator.random(size)  # shared by both models
    rows = pandas.DataFrame({"corpus": "x", "speaker": np.repeat(np.arange(SPEAKERS), UTTERANCES).astype(str)})
    targets = np.tile(np.arange(4), SPEAKERS * UTTERANCES // 4)
    wrong = (targets + generator.integers(1, 4, len(targets))) % 4
    tables = []
    for share in (first, second):
        threshold = np.quantile(difficulty, share.clip(0, 1).ravel())[:, None]
        noise = generator.random(size) < 0.2
        right = np.where(noise, generator.random(size) < share, difficulty < threshold).ravel()
        answers = np.where(right, targets, wrong)
        tables.append(rows.assign(target=np.take(EMOTIONS, targets), prediction=np.take(EMOTIONS, answers)))
    return tables


def compare(generator, gain):
    first, second = study(generator, gain)
    return paired_differences(first, second, lambda rows: categories.make_statistic(rows, EMOTIONS), resamples=400)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 0.03])
def test_the_interval_covers_the_true_difference_and_the_test_raises_few_false_alarms(gain):
    generator = np.random.default_rng(0)
    true = np.mean([compare_means(*study(generator, gain)) for _ in range(20 * STUDIES)])
    found = [compare(generator, gain)["ua"] for _ in range(STUDIES)]
    covered = np.mean([one.interval[0] <= true <= one.interval[1] for one in found])
    detected = np.mean([one.p_value < 0.05 for one in found])
    above = np.mean([one.interval[0] > 0 or one.interval[1] < 0 for one in found])
    print(f"gain {true:.4f}: coverage {covered:.3f}, p < 0.05 {detected:.3f}, interval without 0 {above:.3f}")
    assert 0.93 < covered < 0.97
    if gain:
        assert detected > 0.5
    else:
        assert 0.03 < detected < 0.07


def compare_means(first, second):
    """Return the difference of the shares of right answers, which is that of the UA with emotions of equal size."""
    return (second["target"] == second["prediction"]).mean() - (first["target"] == first["prediction"]).mean()
