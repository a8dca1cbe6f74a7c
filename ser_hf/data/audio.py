"""Decode audio files to mono float32 waveforms, with an on-disk cache of 16-bit samples for training."""

import hashlib
import io
import logging
import math
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from ser_hf.cache import cache_folder, keep_file
from ser_hf.data.checks import Levels
from ser_hf.data.decoder import open_audio, stat_file
from ser_hf.data.resampling import resample_whole

SAMPLING_RATE = 16_000  # Hz; every supported encoder was pretrained at this rate
LONGEST = 3_600.0  # seconds of an utterance that is held in memory
INT16_SCALE = 32_768  # with this scale the cache is lossless for 16-bit sources at 16 kHz

# numpy parses the header of a .npy file with Python's `ast`, which may raise SystemError when several threads do so at
# the same time (python/cpython#106905).
ONE_AT_A_TIME = Lock()
logger = logging.getLogger(__name__)


class AudioHeader(NamedTuple):
    """Hold the properties of an audio file.

    Examples:
        >>> AudioHeader(duration=1.5, sampling_rate=16_000, channels=1, encoding="WAV PCM_16").duration
        1.5
    """

    duration: float  # seconds that can be decoded
    sampling_rate: int  # Hz
    channels: int
    encoding: str  # format and codec, such as "WAV PCM_16"
    missing: float = 0.0  # seconds that the header promises and the file lacks; NaN for an unknown number


def read_header(path: str | os.PathLike) -> AudioHeader:
    """Read the header of an audio file, and check that the file has the samples that it promises.

    The file is decoded only if the header does not tell the duration, or the file lacks its end.

    Raises:
        ValueError: If the file cannot be read.
    """
    stat = stat_file(path)
    return _read_header(os.fspath(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(10_000)
def _read_header(path: str, *_: int) -> AudioHeader:
    """Read a header once for each size and time of change of a file."""
    reader = open_audio(path)
    rate, missing = reader.sampling_rate, reader.find_missing()
    if math.isnan(missing):
        logger.warning(f"'{path}' {reader.describe_missing()}.")
    return AudioHeader(reader.measure() / rate, rate, reader.channels, reader.encoding, missing)


def audio_duration(path: str | os.PathLike) -> float:
    """Return the duration in seconds of the audio that a file has.

    Raises:
        ValueError: If the file cannot be read.
    """
    return read_header(path).duration


def decode_audio(
    path: str | os.PathLike,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    sampling_rate: int = SAMPLING_RATE,
) -> np.ndarray:
    """Decode an audio file, or a segment of it, and resample it (libsndfile or FFmpeg, and soxr).

    Args:
        path: A file in any format of libsndfile (wav, flac, mp3, ogg, opus, aiff, ...), or of FFmpeg if it is
            installed, detected from its content.
        start: Start of the segment in seconds; None for the start of the file.
        end: End of the segment in seconds; None for the end of the file.
        channel: Number of the channel to return, from 1; None for the mean of the channels.
        sampling_rate: Sampling rate of the result in Hz.

    Returns:
        Mean of the channels or one channel, ``(T,)`` float32, neither rounded nor clipped: peaks may exceed 1.

    Raises:
        SilenceError: If the segment is silent.
        ValueError: If the file cannot be read, the segment contains no sample or more than an hour, a sample is not
            finite or far beyond full scale, or the channels cancel each other.
    """
    reader, levels = open_audio(path), Levels(name_channel(path, channel))
    blocks = select_channel(reader.blocks(start or 0.0, end), channel)
    blocks = follow_levels(blocks, levels, longest=round(LONGEST * reader.sampling_rate))
    try:
        waveform = resample_whole(blocks, reader.sampling_rate, sampling_rate)
    except OverflowError as error:
        raise ValueError(
            f"'{path}' is longer than {LONGEST:.0f} s: expected an utterance. Split it, or give start and end in a "
            "table."
        ) from error
    if waveform is None:
        raise ValueError(f"'{path}' holds no sample between {start or 0} s and {end or 'its end'}.")
    levels.check()
    if not len(waveform):
        raise ValueError(f"'{path}' is shorter than one sample at {sampling_rate} Hz.")
    return waveform


def select_channel(blocks: Iterable[np.ndarray], channel: int | None) -> Iterator[np.ndarray]:
    """Yield blocks ``(T, channels)``, or ``(T, 1)`` with the channel of a number, from 1."""
    return (block if channel is None else block[:, [channel - 1]] for block in blocks)


def name_channel(path: str | os.PathLike, channel: int | None) -> str:
    """Return the name of a file, or of one of its channels, for messages.

    Examples:
        >>> name_channel("a.wav", 2)
        "'a.wav', channel 2,"
    """
    return f"'{path}'" if channel is None else f"'{path}', channel {channel},"


def follow_levels(blocks: Iterable[np.ndarray], levels: Levels, *, longest: float = math.inf) -> Iterator[np.ndarray]:
    """Yield the mean of the channels ``(T,)`` of blocks ``(T, channels)``, and add each block to `levels`.

    Raises:
        OverflowError: If the blocks have more than `longest` samples per channel.
        ValueError: For the reasons of `Levels.add`.
    """
    samples = 0
    for block in blocks:
        samples += len(block)
        if samples > longest:
            raise OverflowError(f"more than {longest} samples")
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        levels.add(block, mono)
        yield mono


def load_audio(
    path: str | os.PathLike,
    *,
    start: float | None = None,
    end: float | None = None,
    window: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return an audio file or a segment of it at 16 kHz, rounded to 16 bits, from the cache if possible.

    The first call decodes the audio and stores it under `cache_folder()`. The cache key consists of the file's path,
    size and modification time, and of the segment. A damaged cache file is replaced.

    Args:
        path: As for `decode_audio`.
        start: Start of the segment in seconds; None for the start of the file.
        end: End of the segment in seconds; None for the end of the file.
        window: Start and end in seconds, relative to `start`, of the part to return; None for the whole segment.

    Returns:
        Mean of the channels, ``(T,)`` float32; peaks beyond full scale are clipped.

    Raises:
        ValueError: As for `decode_audio`.
        RuntimeError: If the cache cannot be written.
    """
    cached = cached_audio(path, start=start, end=end)
    samples = _read_cached_audio(cached, whole=window is None)
    if samples is None:
        samples = _to_int16(decode_audio(path, start=start, end=end))
        content = io.BytesIO()
        np.save(content, samples)
        keep_file(cached, content.getvalue())
    if window is not None:
        samples = samples[round(window[0] * SAMPLING_RATE) : round(window[1] * SAMPLING_RATE)]
    return _from_int16(samples)


def cached_audio(path: str | os.PathLike, *, start: float | None = None, end: float | None = None) -> Path:
    """Return the path of the cache file for the decoded audio of a file or a segment, whether it exists or not."""
    stat = stat_file(path)
    identity = f"{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{start}|{end}|{SAMPLING_RATE}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()
    return cache_folder() / "audio" / digest[:2] / f"{digest[2:]}.npy"


def _read_cached_audio(cached: Path, *, whole: bool) -> np.ndarray | None:
    """Return the cached samples ``(T,)`` int16, or None if the cache file is missing or damaged."""
    if not cached.exists():
        return None
    try:
        with ONE_AT_A_TIME:
            return np.load(cached, allow_pickle=False, mmap_mode=None if whole else "r")
    except (ValueError, EOFError, SyntaxError, BadZipFile) as error:  # what numpy raises for damaged content
        logger.warning(f"Cache file '{cached}' is damaged ({error}); the audio is decoded again.")
        return None


def _to_int16(waveform: np.ndarray) -> np.ndarray:
    scaled = np.round(waveform * INT16_SCALE)
    return np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)


def _from_int16(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(INT16_SCALE)
