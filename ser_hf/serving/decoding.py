"""Files and arrays -> waveforms, decoded in threads ahead of the model, with a bounded amount of audio in memory.

A long file is never held as a whole: it is decoded window by window. Only where silence has to be trimmed as in
training, which needs the whole file, it is, and such a file may last ten minutes at most.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import soxr

from ser_hf.data.audio import SAMPLING_RATE, audio_duration, decode_audio
from ser_hf.data.dataset import list_windows
from ser_hf.data.silence import remove_pauses, trim_ends

THREADS = min(8, os.cpu_count() or 1)
LEAST_SECONDS = 1.0  # that a piece counts for at least, so that a block of broken files ends as well
LONGEST = 86_400.0  # seconds; a damaged header can claim millions of years
LONGEST_TRIMMED = 600.0  # seconds


class Hearing(NamedTuple):
    """How long audio is heard, as in the evaluation after training.

    Attributes:
        trim: What is done to silence: "none", "ends" or "pauses".
        max_duration: Longest window in seconds.
        overlap: Share of a window that the next one hears again, at least.
    """

    trim: str = "none"
    max_duration: float = 30.0
    overlap: float = 0.5


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
        available = audio_duration(path)
        duration = max(0.0, (available if end is None else min(end, available)) - first)
        check_duration(path, duration, hearing.trim)
    except (ValueError, OSError) as error:
        yield Piece(source, partial(_raise, error), 0.0, True)
        return
    source = source._replace(duration=duration)
    if hearing.trim != "none":
        yield Piece(source, partial(_decode_trimmed, path, first, first + duration, hearing.trim), duration, True)
        return
    windows = list_windows(duration, hearing.max_duration, hearing.overlap)
    for number, (begin, stop) in enumerate(windows, 1):
        decode = partial(decode_audio, path, start=first + begin, end=first + stop)
        yield Piece(source, decode, stop - begin, number == len(windows))


def plan_array(array: np.ndarray, sampling_rate: int | None, hearing: Hearing) -> Iterator[Piece]:
    """Yield the one piece of an array."""
    seconds = len(array) / sampling_rate if sampling_rate and array.ndim else 0.0
    decode = partial(_convert_trimmed, array, sampling_rate, hearing.trim)
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
        ValueError: If the array is empty, of another shape or type, or not finite, or its rate is not said.
    """
    if not sampling_rate or sampling_rate <= 0:
        raise ValueError(
            f"sampling_rate: expected the array's rate in Hz, found {sampling_rate}. Say it: never guessed."
        )
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"Expected samples (T,) or (T, channels), found shape {array.shape}.")
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise ValueError(
            f"Expected (T, channels), found shape {array.shape}: more channels than samples. Pass audio.T."
        )
    if array.dtype in (np.int16, np.int32, np.uint8):
        limits = np.iinfo(array.dtype)
        half = (limits.max - limits.min + 1) / 2
        array = ((array - (limits.min + half)) / half).astype(np.float32)
    elif array.dtype.kind != "f":
        raise ValueError(f"Expected samples as floats within -1 to 1, int16, int32 or uint8, found {array.dtype}.")
    if not np.isfinite(array).all():
        raise ValueError("The array holds samples that are not finite (NaN or infinity).")
    mono = array.astype(np.float32) if array.ndim == 1 else array.mean(axis=1, dtype=np.float32)
    waveform = soxr.resample(mono, sampling_rate, SAMPLING_RATE)
    if not len(waveform):
        raise ValueError(f"The array is shorter than one sample at {SAMPLING_RATE} Hz.")
    return waveform


def trim_silence(waveform: np.ndarray, trim: str) -> np.ndarray:
    """Return a waveform ``(T,)`` as training heard it: "none", "ends" cut off, or "pauses" inside shortened as well."""
    if trim == "none":
        return waveform
    first, last = (round(second * SAMPLING_RATE) for second in trim_ends(waveform))
    return remove_pauses(waveform[first:last]) if trim == "pauses" else waveform[first:last]


def check_duration(path: str | os.PathLike, duration: float, trim: str) -> None:
    """Refuse what would fill the memory.

    Raises:
        ValueError: If the file is too long.
    """
    longest = LONGEST if trim == "none" else LONGEST_TRIMMED
    if duration > longest:
        reason = "" if trim == "none" else ", because the silence of the whole is trimmed as in training"
        raise ValueError(
            f"'{path}' lasts {duration:.0f} s: expected at most {longest:.0f} s{reason}. Cut it, or use "
            "`ser-hf timeline`."
        )


def _decode_trimmed(path: str | os.PathLike, start: float, end: float, trim: str) -> np.ndarray:
    return trim_silence(decode_audio(path, start=start, end=end), trim)


def _convert_trimmed(array: np.ndarray, sampling_rate: int | None, trim: str) -> np.ndarray:
    return trim_silence(to_waveform(array, sampling_rate), trim)


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
