from collections import Counter

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from ser_hf.data.sampler import LengthGroupedSampler

EMOTIONS = ["happy"] * 40 + ["sad"] * 12 + ["angry"] * 4
DURATIONS = np.random.default_rng(0).uniform(1, 9, 56)


def sampler(sampling, *, epoch=0, seed=0, batch_size=8):
    options = {"seed": seed, "epoch": torch.tensor(epoch), "sampling": sampling, "categories": EMOTIONS}
    return LengthGroupedSampler(DURATIONS, batch_size, **options)


def count_emotions(rows):
    return Counter(EMOTIONS[row] for row in rows)


def test_without_sampling_the_order_is_that_of_earlier_versions():
    durations = [1.0, 5.0, 2.0, 4.0, 3.0]
    assert list(LengthGroupedSampler(durations, 2, seed=0, epoch=torch.tensor(1))) == [1, 3, 2, 0, 4, 2]


def test_balanced_draws_a_third_of_an_epoch_from_each_of_three_emotions():
    rows = list(sampler("balanced", batch_size=3))
    assert len(rows) == 57
    assert count_emotions(rows) == {"happy": 19, "sad": 19, "angry": 19}
    times = Counter(rows)
    assert {times[row] for row in range(40)} == {0, 1}
    assert {times[row] for row in range(40, 52)} == {1, 2}
    assert {times[row] for row in range(52, 56)} == {4, 5}


def test_undersample_draws_as_many_of_each_emotion_as_the_rarest_has():
    rows = list(sampler("undersample", batch_size=4))
    assert count_emotions(rows) == {"happy": 4, "sad": 4, "angry": 4}
    assert max(Counter(rows).values()) == 1


def test_all_utterances_are_drawn_in_some_epoch_of_undersampling():
    drawn = {row for epoch in range(60) for row in sampler("undersample", epoch=epoch)}
    assert drawn == set(range(56))


@pytest.mark.parametrize("sampling", ["balanced", "undersample"])
def test_the_order_depends_on_seed_and_epoch_only(sampling):
    first = list(sampler(sampling, epoch=3))
    assert list(sampler(sampling, epoch=3)) == first
    assert list(sampler(sampling, epoch=4)) != first
    assert list(sampler(sampling, epoch=3, seed=1)) != first


def test_batches_of_balanced_utterances_have_similar_durations():
    rows = np.array(list(sampler("balanced"))).reshape(-1, 8)
    assert np.ptp(DURATIONS[rows], axis=1).max() < 3
    assert np.ptp(DURATIONS[rows]) > 6


@pytest.mark.parametrize("sampling", ["balanced", "undersample"])
def test_two_processes_share_the_batches_of_one(sampling):
    whole = list(BatchSampler(sampler(sampling), 8, drop_last=False))
    halves = BatchSampler(sampler(sampling), 4, drop_last=False)
    first, second = (list(BatchSamplerShard(halves, 2, rank)) for rank in (0, 1))
    assert [one + other for one, other in zip(first, second, strict=True)] == whole
