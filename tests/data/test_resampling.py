"""Resampling of chunks of any size in constant memory."""

import tracemalloc

import numpy as np
import pytest
import soxr

from ser_hf.data.resampling import resample


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_chunk_of_any_size_is_resampled_as_a_whole_file(rate):
    waveform = np.random.default_rng(0).normal(0, 0.1, 600_000).astype(np.float32)
    parts = list(resample([waveform], rate, 16_000))
    assert np.allclose(np.concatenate(parts), soxr.resample(waveform, rate, 16_000), atol=1e-6)
    assert max(map(len, parts)) < 600_000  # what computes on parts needs little memory
    assert len(parts) == 4


def test_a_chunk_of_ten_minutes_takes_the_memory_of_a_part():
    chunk = np.zeros((48_000 * 600, 2), np.float32)
    tracemalloc.start()
    for _ in resample([chunk], 48_000, 16_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6
