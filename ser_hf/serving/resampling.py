"""A recording piece by piece, so that its length costs no memory: read second by second, and resampled on the way."""

import os
from collections.abc import Iterable, Iterator

import numpy as np
import soundfile
import soxr


def read_chunks(path: str | os.PathLike, start: float = 0.0, end: float | None = None) -> Iterator[np.ndarray]:
    """Yield a file's samples second by second, ``(T, channels)`` float32 at its own rate.

    Args:
        path: Any format of libsndfile.
        start: First second.
        end: Last second; None for the end.

    Raises:
        ValueError: If the file cannot be decoded to its end, holds no sample there, or one that is not finite.
    """
    heard = 0
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            first = round(start * rate)
            file.seek(min(first, file.frames))
            frames = -1 if end is None else round(end * rate) - first
            for chunk in file.blocks(rate, frames=frames, dtype="float32", always_2d=True):
                if not np.isfinite(chunk).all():
                    raise ValueError(f"'{path}' holds samples that are not finite (NaN or infinity).")
                heard += len(chunk)
                yield chunk
    except soundfile.LibsndfileError as error:
        raise ValueError(f"Cannot decode '{path}': {error}.") from error
    if not heard:
        raise ValueError(f"'{path}' holds no sample between {start} s and {end or 'its end'}.")


def resample(chunks: Iterable[np.ndarray], sampling_rate: int, wanted_rate: int) -> Iterator[np.ndarray]:
    """Yield chunks of sound in mono, ``(T,)`` float32 at another rate, as `soxr.resample` gives the whole.

    Args:
        chunks: ``(T,)`` or ``(T, channels)`` floats, of any size.
        sampling_rate: Of the chunks, in Hz.
        wanted_rate: In Hz. What the resampler holds back follows at the end.
    """
    resampler = soxr.ResampleStream(sampling_rate, wanted_rate, 1, dtype="float32")
    for chunk in chunks:
        mono = chunk if chunk.ndim == 1 else chunk.mean(axis=1)
        yield resampler.resample_chunk(mono.astype(np.float32))
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
