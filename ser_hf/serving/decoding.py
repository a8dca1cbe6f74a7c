"""Files and arrays -> waveforms, decoded in threads ahead of the model, with a bounded amount of audio in memory.

A long file is decoded window by window. Where silence is trimmed or the audio has to stay whole, the file is held as a
whole in mono at 16 kHz, and may last ten minutes at most.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from numbers import Real
from typing import NamedTuple

import numpy as np
import soxr

from ser_hf.data.audio import INT16_SCALE, SAMPLING_RATE, audio_duration, decode_audio, read_header
from ser_hf.data.hearing import Hearing
from ser_hf.serving.resampling import read_chunks, resample

THREADS = min(8, os.cpu_count() or 1)
LEAST_SECONDS = 1.0  # that a piece counts for at least, so that a block of broken files ends as well
LONGEST = 86_400.0  # seconds; a damaged header can claim millions of years
LONGEST_WHOLE = 600.0  # seconds; of files that are held as a whole
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; below are rates in kHz, above nothing that records
LOUDEST = 8.0  # of floats: full scale is 1, and what lies far beyond are floats of whole numbers
MOST_CHANNELS = 32  # that a chunk of fewer samples may have


class Source(NamedTuple):
    """What was asked for.

    Attributes:
        path: The file; None for an array.
        start: First second within the file; None for its beginning.
        end: Last second within the file; None for its end.
        duration: Seconds, before silence is trimmed; None where the audio is unreadable.
    """

    path: str | None = None
    start: float | None = None
    end: float | None = None
    duration: float | None = None


class Piece(NamedTuple):
    """A stretch of a source that is decoded in one go.

    Attributes:
        source: Its pieces follow one another.
        decode: Returns ``(T,)`` float32 at 16 kHz, or raises.
        seconds: Its duration.
        final: Whether it is the last of its source.
    """

    source: Source
    decode: Callable[[], np.ndarray]
    seconds: float
    final: bool


def plan_file(path: str | os.PathLike, start: float | None, end: float | None, hearing: Hearing) -> Iterator[Piece]:
    """Yield the pieces of a file, or of the stretch from `start` to `end` seconds; only its header is read."""
    source = Source(os.fspath(path), start, end)
    try:
        first = start or 0.0
        if not first >= 0:
            raise ValueError(f"start: expected 0 s or more, counted from the beginning of '{path}', found {start} s.")
        available = audio_duration(path)
        duration = max(0.0, (available if end is None else min(end, available)) - first)
        check_duration(path, duration, hearing)
    except (ValueError, OSError) as error:
        yield Piece(source, partial(_raise, error), 0.0, True)
        return
    source = source._replace(duration=duration)
    if hearing.needs_whole:
        decode = partial(_decode_trimmed, path, first, first + duration, hearing)
        yield Piece(source, decode, duration, True)
        return
    windows = hearing.list_windows(duration)
    for number, (begin, stop) in enumerate(windows, 1):
        decode = partial(decode_audio, path, start=first + begin, end=first + stop)
        yield Piece(source, decode, stop - begin, number == len(windows))


def plan_array(array: np.ndarray, sampling_rate: int | None, hearing: Hearing) -> Iterator[Piece]:
    """Yield the one piece of an array.

    Raises:
        ValueError: If its rate makes no sense.
    """
    check_rate(sampling_rate)
    seconds = len(array) / sampling_rate if array.ndim else 0.0
    decode = partial(_convert_trimmed, array, sampling_rate, hearing)
    yield Piece(Source(duration=seconds), decode, seconds, True)


def decode_ahead(pieces: Iterable[Piece], *, seconds: float) -> Iterator[list[tuple[Piece, np.ndarray | Exception]]]:
    """Yield the pieces in order, in blocks, each with its waveform ``(T,)`` or with what went wrong.

    While the caller works on a block, the next one is decoded.

    Args:
        pieces: Read as far ahead as a block.
        seconds: A block holds as many pieces as make so many seconds; at least one.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        ahead = []
        for block in _gather(pieces, seconds):
            ready, ahead = ahead, [(piece, pool.submit(_attempt, piece.decode)) for piece in block]
            if ready:
                yield [(piece, future.result()) for piece, future in ready]
        if ahead:
            yield [(piece, future.result()) for piece, future in ahead]


def to_waveform(array: np.ndarray, sampling_rate: int | None) -> np.ndarray:
    """Return an array of samples as a waveform ``(T,)`` float32 at 16 kHz.

    Args:
        array: ``(T,)`` or ``(T, channels)``: floats within -1 to 1, or int16, int32 or uint8 over their whole range.
        sampling_rate: Of the array, in Hz.

    Raises:
        ValueError: If the array is empty, of another shape, type or range, or not finite, or its rate makes no sense.
    """
    check_rate(sampling_rate)
    if not array.size:
        raise ValueError(f"Expected samples (T,) or (T, channels), found none: shape {array.shape}.")
    if array.dtype in (np.int16, np.int32, np.uint8):
        limits = np.iinfo(array.dtype)
        half = (limits.max - limits.min + 1) / 2
        array = ((array - (limits.min + half)) / half).astype(np.float32)
    elif array.dtype.kind != "f":
        raise ValueError(f"Expected samples as floats within -1 to 1, int16, int32 or uint8, found {array.dtype}.")
    check_samples(array)
    mono = array.astype(np.float32) if array.ndim == 1 else array.mean(axis=1, dtype=np.float32)
    waveform = soxr.resample(mono, sampling_rate, SAMPLING_RATE)
    if not len(waveform):
        raise ValueError(f"The array is shorter than one sample at {SAMPLING_RATE} Hz.")
    return waveform


def check_rate(sampling_rate: int | None) -> None:
    """Refuse what is no rate of recorded sound.

    Raises:
        ValueError: If it is no whole number from 1000 to 768000 Hz.
    """
    whole = isinstance(sampling_rate, Real) and float(sampling_rate).is_integer()
    if not (whole and LOWEST_RATE <= sampling_rate <= HIGHEST_RATE):
        raise ValueError(
            f"sampling_rate: expected the array's rate in Hz, a whole number from {LOWEST_RATE} to {HIGHEST_RATE}, "
            f"found {sampling_rate!r}. Say it: never guessed."
        )


def check_samples(samples: np.ndarray) -> None:
    """Refuse what is no sound in floats; it may be empty.

    Args:
        samples: ``(T,)`` or ``(T, channels)``.

    Raises:
        ValueError: If the shape, the type or the range is another, or a sample is not finite.
    """
    if samples.ndim not in (1, 2):
        raise ValueError(f"Expected samples (T,) or (T, channels), found shape {samples.shape}.")
    if samples.ndim == 2 and samples.shape[1] > max(len(samples), MOST_CHANNELS):
        raise ValueError(
            f"Expected (T, channels), found shape {samples.shape}: more channels than samples. Pass audio.T."
        )
    if samples.dtype.kind != "f":
        raise ValueError(
            f"Expected finite float samples within -1 to 1, found {samples.dtype}. Divide whole numbers by their "
            f"range: int16 by {INT16_SCALE}."
        )
    if not np.isfinite(samples).all():
        raise ValueError("Expected finite float samples, found some that are not finite (NaN or infinity).")
    if (peak := np.max(np.abs(samples), initial=0)) > LOUDEST:
        raise ValueError(
            f"Expected float samples within -1 to 1, found a peak of {peak:g}. Divide them by the range of the whole "
            f"numbers that they were: by {INT16_SCALE} where these were int16, by {2**31} where int32."
        )


def check_duration(path: str | os.PathLike, duration: float, hearing: Hearing) -> None:
    """Refuse what would fill the memory.

    Raises:
        ValueError: If the file is too long.
    """
    longest = LONGEST_WHOLE if hearing.needs_whole else LONGEST
    if duration > longest:
        reason = ", because this preprocessing needs the whole file in memory" if hearing.needs_whole else ""
        raise ValueError(
            f"'{path}' lasts {duration:.0f} s: expected at most {longest:.0f} s{reason}. Cut it, or use "
            "`ser-hf timeline`."
        )


def _decode_trimmed(path: str | os.PathLike, start: float, end: float, hearing: Hearing) -> np.ndarray:
    return hearing.trim_silence(_decode_by_second(path, start, end))


def _decode_by_second(path: str | os.PathLike, start: float, end: float) -> np.ndarray:
    """Return the waveform of `decode_audio`, with no more than a second of the file's channels in memory."""
    rate = read_header(path).sampling_rate
    return np.concatenate(list(resample(read_chunks(path, start, end), rate, SAMPLING_RATE)))


def _convert_trimmed(array: np.ndarray, sampling_rate: int | None, hearing: Hearing) -> np.ndarray:
    return hearing.trim_silence(to_waveform(array, sampling_rate))


def _gather(pieces: Iterable[Piece], seconds: float) -> Iterator[list[Piece]]:
    block, total = [], 0.0
    for piece in pieces:
        counted = max(piece.seconds, LEAST_SECONDS)
        if block and total + counted > seconds:
            yield block
            block, total = [], 0.0
        block.append(piece)
        total += counted
    if block:
        yield block


def _attempt(decode: Callable[[], np.ndarray]) -> np.ndarray | Exception:
    try:
        return decode()
    except (ValueError, OSError, RuntimeError) as error:
        return error


def _raise(error: Exception) -> np.ndarray:
    raise error
