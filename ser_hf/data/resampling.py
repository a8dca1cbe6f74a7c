"""Resample audio of any length chunk by chunk, in constant memory."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
import soxr

LARGEST = 1 << 18  # samples of a channel that are resampled at once; those of larger chunks would take memory


def resample_whole(chunks: Iterable[np.ndarray], sampling_rate: int, wanted_rate: int) -> np.ndarray | None:
    """Return chunks as one waveform ``(T,)`` float32 at another rate; None if there is no chunk.

    Args:
        chunks: ``(T,)`` floats, of any size.
        sampling_rate: Sampling rate of the chunks in Hz.
        wanted_rate: Sampling rate of the output in Hz.
    """
    chunks = iter(chunks)
    begin = list(islice(chunks, 2))
    if len(begin) < 2:  # most utterances are one chunk
        return soxr.resample(begin[0], sampling_rate, wanted_rate) if begin else None
    return np.concatenate(list(resample(chain(begin, chunks), sampling_rate, wanted_rate)))


def resample(chunks: Iterable[np.ndarray], sampling_rate: int, wanted_rate: int) -> Iterator[np.ndarray]:
    """Yield chunks as mono ``(T,)`` float32 at another rate; together they equal `soxr.resample` of the whole.

    Large chunks are resampled in parts. The resampler delays its output, so sizes differ from the input, and the last
    chunk contains the delayed samples.

    Args:
        chunks: ``(T,)`` or ``(T, channels)`` floats, of any size.
        sampling_rate: Sampling rate of the chunks in Hz.
        wanted_rate: Sampling rate of the output in Hz.

    Examples:
        >>> chunks = [np.zeros(4_000, dtype=np.float32)] * 3
        >>> sum(len(chunk) for chunk in resample(chunks, 8_000, 16_000))
        24000
    """
    resampler = soxr.ResampleStream(sampling_rate, wanted_rate, 1, dtype="float32")
    for chunk in chunks:
        for first in range(0, len(chunk), LARGEST):
            part = chunk[first : first + LARGEST]
            mono = part if part.ndim == 1 else part.mean(axis=1)
            yield resampler.resample_chunk(mono.astype(np.float32))
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
