"""Read and resample a recording of any length second by second, in constant memory."""

import os
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile
import soxr


def read_chunks(path: str | os.PathLike, start: float = 0.0, end: float | None = None) -> Iterator[np.ndarray]:
    """Yield the samples of a file in chunks of one second, ``(T, channels)`` float32 at its own sampling rate.

    Args:
        path: Audio file in any format of libsndfile.
        start: Start in seconds.
        end: End in seconds; None for the end of the file.

    Raises:
        ValueError: If the file cannot be decoded completely, has no samples between start and end, or has samples that
            are not finite.
    """
    samples = 0
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            first = round(start * rate)
            file.seek(min(first, file.frames))
            frames = -1 if end is None else round(end * rate) - first
            for chunk in file.blocks(rate, frames=frames, dtype="float32", always_2d=True):
                if not np.isfinite(chunk).all():
                    raise ValueError(f"'{path}' contains samples that are not finite (NaN or infinity).")
                samples += len(chunk)
                yield chunk
    except soundfile.LibsndfileError as error:
        raise ValueError(f"Cannot decode '{path}': {error}.") from error
    if not samples:
        raise ValueError(f"'{path}' has no samples between {start} s and {end or 'its end'}.")


def resample(chunks: Iterable[np.ndarray], sampling_rate: int, wanted_rate: int) -> Iterator[np.ndarray]:
    """Yield chunks as mono ``(T,)`` float32 at another rate; together they equal `soxr.resample` of the whole.

    The resampler delays its output, so sizes differ from the input, and the last chunk contains the delayed samples.

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
        mono = chunk if chunk.ndim == 1 else chunk.mean(axis=1)
        yield resampler.resample_chunk(mono.astype(np.float32))
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
