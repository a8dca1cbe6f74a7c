"""Decode files and arrays into waveforms, in threads ahead of the model, with a bounded amount of audio in memory.

A long file is decoded window by window. If silence is trimmed or the audio must stay whole, the file is decoded as a
whole into mono at 16 kHz and is limited to ten minutes.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import soxr

from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import SAMPLING_RATE, decode_audio, read_header
from ser_hf.data.checks import check_rate, check_samples, check_signal
from ser_hf.data.hearing import Hearing

SECONDS_AHEAD = 30.0  # audio decoded in advance per utterance of a batch
THREADS = min(8, usable_cpus())
LEAST_SECONDS = 1.0  # minimum that a piece counts for, so that a block of unreadable files is bounded too
LONGEST = 86_400.0  # seconds
LONGEST_WHOLE = 600.0  # seconds; for files that are decoded as a whole


# A file, a part of it (path, start and end in seconds), or a channel of a part (and its number, from 1).
Part = tuple[str | os.PathLike, float | None, float | None]
Item = str | os.PathLike | Part | tuple[str | os.PathLike, float | None, float | None, int] | np.ndarray


class Source(NamedTuple):
    """Hold one requested file, part of a file, or array.

    Attributes:
        path: The file; None for an array.
        start: Start in the file in seconds; None for the start of the file.
        end: End in the file in seconds; None for the end of the file.
        duration: Seconds before trimming; None if the audio is unreadable.
        missing: Seconds that the header of the file promises and the file lacks; NaN for an unknown number; None if the
            audio is unreadable.
        channel: Number of the channel, from 1; None for the mean of the channels.

    Examples:
        >>> Source("a.wav", start=1.0, end=2.5)
        Source(path='a.wav', start=1.0, end=2.5, duration=None, missing=None, channel=None)
    """

    path: str | None = None
    start: float | None = None
    end: float | None = None
    duration: float | None = None
    missing: float | None = None
    channel: int | None = None


class Piece(NamedTuple):
    """Hold a part of a source that is decoded at once.

    Attributes:
        source: The source; its pieces are consecutive.
        decode: Returns ``(T,)`` float32 at 16 kHz, or raises an error.
        seconds: Duration of the piece.
        final: Whether it is the last piece of its source.

    Examples:
        >>> piece = Piece(Source("a.wav"), lambda: np.zeros(16_000, dtype=np.float32), seconds=1.0, final=True)
        >>> len(piece.decode())
        16000
    """

    source: Source
    decode: Callable[[], np.ndarray]
    seconds: float
    final: bool


def plan(item: Item, sampling_rate: int | None, hearing: Hearing) -> Iterator[Piece]:
    """Yield the pieces of a path, of a path with start and end in seconds, or of an array, see the functions below.

    Raises:
        TypeError: If the item is nothing of these.
        ValueError: As for `plan_array`.
    """
    if hasattr(item, "__array__"):
        return plan_array(np.asarray(item), sampling_rate, hearing)
    return plan_file(item, hearing)


def find_source(item: Item, sampling_rate: int | None) -> Source:
    """Return a source with its duration; files are not decoded.

    Args:
        item: A path, a path with start and end in seconds, or an array.
        sampling_rate: Sampling rate of an array in Hz.

    Raises:
        ValueError: If a file is unreadable, or has no sample between start and end; or if the sampling rate of an array
            is missing or invalid.
        OSError: If a file does not exist.
        TypeError: If the item is nothing of these.
    """
    if hasattr(item, "__array__"):
        array = np.asarray(item)
        check_rate(sampling_rate)
        return Source(duration=len(array) / sampling_rate if array.ndim else 0.0, missing=0.0)  # type: ignore[operator]
    path, start, end, channel = split_item(item)
    first = start or 0.0
    if not first >= 0:
        raise ValueError(f"start: expected at least 0 s from the start of '{path}', found {start} s.")
    header = read_header(path)
    if channel is not None and header.channels == 1 < channel:
        raise ValueError(f"'{path}' has one channel: expected a recording with a speaker per channel.")
    if channel is not None and not 1 <= channel <= header.channels:
        raise ValueError(f"'{path}': expected a channel from 1 to {header.channels}, found channel {channel}.")
    duration = max(0.0, (header.duration if end is None else min(end, header.duration)) - first)
    missing = header.missing if end is None else min(max(0.0, end - header.duration), header.missing)
    if not duration:
        last = "its end" if end is None else f"{end:g} s"
        raise ValueError(f"'{path}' holds no sample between {first:g} s and {last}: it ends at {header.duration:g} s.")
    return Source(os.fspath(path), start, end, duration, missing, channel)


def plan_file(item: Item, hearing: Hearing) -> Iterator[Piece]:
    """Yield the pieces of a file, of its part, or of a channel, without decoding them.

    A file that is missing, unreadable or too long yields one piece that raises the error when it is decoded.

    Args:
        item: Path, path with start and end in seconds, or these with the number of a channel.
        hearing: Defines whether the file is split into windows.
    """
    path, start, end, channel = split_item(item)
    try:
        source = find_source(item, None)
        assert source.duration is not None
        check_duration(path, source.duration, hearing)
    except (ValueError, OSError) as error:
        yield Piece(Source(os.fspath(path), start, end, channel=channel), partial(_raise, error), 0.0, True)
        return
    first, duration = start or 0.0, source.duration
    if hearing.needs_whole:
        decode = partial(_decode_trimmed, path, first, first + duration, channel, hearing)
        yield Piece(source, decode, duration, True)
        return
    windows = hearing.list_windows(duration)
    for number, (begin, stop) in enumerate(windows, 1):
        decode = partial(decode_audio, path, start=first + begin, end=first + stop, channel=channel)
        yield Piece(source, decode, stop - begin, number == len(windows))


def plan_array(array: np.ndarray, sampling_rate: int | None, hearing: Hearing) -> Iterator[Piece]:
    """Yield the single piece of an array.

    Args:
        array: ``(T,)`` or ``(T, channels)``, see `to_waveform`.
        sampling_rate: Sampling rate of the array in Hz.
        hearing: Defines how silence is trimmed.

    Raises:
        ValueError: If the sampling rate is missing or invalid.
    """
    source = find_source(array, sampling_rate)
    decode = partial(_convert_trimmed, array, sampling_rate, hearing)
    yield Piece(source, decode, source.duration or 0.0, True)


def decode_ahead(pieces: Iterable[Piece], *, seconds: float) -> Iterator[list[tuple[Piece, np.ndarray | Exception]]]:
    """Yield the pieces in order, in blocks, each with its waveform ``(T,)`` or its error.

    While the caller processes a block, the next one is decoded.

    Args:
        pieces: Pieces, read one block ahead.
        seconds: Longest total duration of a block; a longer piece is a block of its own.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        ahead: list[tuple[Piece, Future]] = []
        for block in _gather(pieces, seconds):
            ready, ahead = ahead, [(piece, pool.submit(_attempt, piece.decode)) for piece in block]
            if ready:
                yield [(piece, future.result()) for piece, future in ready]
        if ahead:
            yield [(piece, future.result()) for piece, future in ahead]


def to_waveform(array: np.ndarray, sampling_rate: int | None) -> np.ndarray:
    """Convert an array of samples to a mono waveform ``(T,)`` float32 at 16 kHz.

    Args:
        array: ``(T,)`` or ``(T, channels)``: floats within -1 to 1, or int16, int32 or uint8 over their full range.
        sampling_rate: Sampling rate of the array in Hz.

    Raises:
        SilenceError: If the array is silent.
        ValueError: If the array is empty, not finite, or of another shape, type or range, its channels cancel each
            other, or the sampling rate is missing or invalid.

    Examples:
        >>> waveform = to_waveform(np.tile([[16_384], [-16_384]], (4_000, 2)).astype(np.int16), 8_000)
        >>> waveform.shape
        (16000,)
    """
    check_rate(sampling_rate)
    if not array.size:
        raise ValueError(f"Expected samples (T,) or (T, channels), found no samples: shape {array.shape}.")
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
    check_signal(array, "The array")
    return waveform


def check_duration(path: str | os.PathLike, duration: float, hearing: Hearing) -> None:
    """Check that a file is not too long for the memory.

    Args:
        path: The file, for the message.
        duration: Seconds to decode.
        hearing: Defines whether the file is decoded as a whole: then the limit is 10 minutes, else 24 hours.

    Raises:
        ValueError: If the file is too long.
    """
    longest = LONGEST_WHOLE if hearing.needs_whole else LONGEST
    if duration > longest:
        reason = ", because this preprocessing needs the whole file in memory" if hearing.needs_whole else ""
        raise ValueError(
            f"'{path}' is {duration:.0f} s long: expected at most {longest:.0f} s{reason}. Split it, or use "
            "`ser-hf timeline`."
        )


def split_item(item: Item) -> tuple[str | os.PathLike, float | None, float | None, int | None]:
    """Return path, start, end and channel of an item that is no array.

    Raises:
        TypeError: If it is none of these.
    """
    if not isinstance(item, str | os.PathLike | tuple):
        raise TypeError(f"Expected paths or arrays, found {type(item).__name__}.")
    path, start, end, channel = (*item, None)[:4] if isinstance(item, tuple) else (item, None, None, None)
    return path, start, end, channel


def _decode_trimmed(
    path: str | os.PathLike, start: float, end: float, channel: int | None, hearing: Hearing
) -> np.ndarray:
    return hearing.trim_silence(decode_audio(path, start=start, end=end, channel=channel))


def _convert_trimmed(array: np.ndarray, sampling_rate: int | None, hearing: Hearing) -> np.ndarray:
    return hearing.trim_silence(to_waveform(array, sampling_rate))


def _gather(pieces: Iterable[Piece], seconds: float) -> Iterator[list[Piece]]:
    block: list[Piece] = []
    total = 0.0
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
