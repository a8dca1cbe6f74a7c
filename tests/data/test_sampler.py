from collections import Counter

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from ser_hf.data.sampler import EpochRows, LengthGroupedSampler, SecondsBatchSampler

EMOTIONS = ["happy"] * 40 + ["sad"] * 12 + ["angry"] * 4
DURATIONS = np.random.default_rng(0).uniform(1, 9, 56)


def sampler(sampling, *, epoch=0, seed=0, batch_size=8):
    options = {"seed": seed, "epoch": torch.tensor(epoch), "sampling": sampling, "categories": EMOTIONS}
    return LengthGroupedSampler(EpochRows(DURATIONS, **options), batch_size)


def count_emotions(rows):
    return Counter(EMOTIONS[row] for row in rows)


def test_without_sampling_the_order_is_that_of_earlier_versions():
    durations = [1.0, 5.0, 2.0, 4.0, 3.0]
    assert list(LengthGroupedSampler(EpochRows(durations, seed=0, epoch=torch.tensor(1)), 2)) == [1, 3, 2, 0, 4, 2]


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


def seconds_sampler(sampling="all", *, epoch=0, seed=0, batch_seconds=20.0, parts=1):
    options = {"seed": seed, "epoch": torch.tensor(epoch), "sampling": sampling, "categories": EMOTIONS}
    return SecondsBatchSampler(EpochRows(DURATIONS, **options), batch_seconds, parts)


def padded_seconds(batch):
    return len(batch) * DURATIONS[batch].max()


@pytest.mark.parametrize("sampling", ["all", "balanced", "undersample"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_no_batch_has_more_padded_seconds_than_allowed_and_all_epochs_have_equally_many(sampling, parts):
    epochs = [list(seconds_sampler(sampling, epoch=epoch, parts=parts)) for epoch in range(20)]
    assert max(padded_seconds(batch) for batches in epochs for batch in batches) <= 20
    assert {len(batches) for batches in epochs} == {len(seconds_sampler(sampling, parts=parts))}
    sizes = np.array([[len(batch) for batch in batches] for batches in epochs]).reshape(-1, parts)
    assert not np.ptp(sizes, axis=1).any()


def test_batches_by_seconds_draw_each_utterance_once_and_use_most_of_the_seconds():
    batches = list(seconds_sampler())
    assert sorted(row for batch in batches for row in batch) == list(range(56))
    assert len(batches) == 19  # 281 s of audio
    assert list(seconds_sampler(epoch=1)) != batches


def test_an_utterance_that_is_longer_than_allowed_is_a_batch_of_its_own():
    sampler = SecondsBatchSampler(EpochRows([1.0, 7.0, 1.0, 1.0], seed=0, epoch=torch.tensor(0)), 4, 1)
    assert sorted(map(sorted, sampler)) == [[0, 2, 3], [1]]


def test_batches_by_seconds_of_balanced_utterances_have_a_third_of_each_of_three_emotions():
    rows = [row for batch in seconds_sampler("balanced") for row in batch]
    assert count_emotions(rows) == {"happy": 19, "sad": 19, "angry": 19}


def test_processes_have_equally_many_batches_by_seconds_of_equally_many_utterances():
    shards = [list(BatchSamplerShard(seconds_sampler(parts=2), 2, rank)) for rank in (0, 1)]
    assert list(map(len, shards[0])) == list(map(len, shards[1]))
    rows = [row for shard in shards for batch in shard for row in batch]
    assert set(rows) == set(range(56))
    assert len(rows) <= 57  # one is repeated, if their number is odd
