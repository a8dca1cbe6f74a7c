"""Decode audio files to mono float32 waveforms, with an on-disk cache of 16-bit samples for training."""

import hashlib
import io
import logging
import os
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import soundfile
import soxr

from ser_hf.cache import cache_folder, keep_file

SAMPLING_RATE = 16_000  # Hz; every supported encoder was pretrained at this rate
INT16_SCALE = 32_768  # with this scale the cache is lossless for 16-bit sources at 16 kHz

# numpy parses the header of a .npy file with Python's `ast`, which may raise SystemError when several threads do so at
# the same time (python/cpython#106905).
ONE_AT_A_TIME = Lock()
logger = logging.getLogger(__name__)


class AudioHeader(NamedTuple):
    """Hold the properties of an audio file that its header states, without decoding.

    Examples:
        >>> AudioHeader(duration=1.5, sampling_rate=16_000, channels=1, encoding="WAV PCM_16").duration
        1.5
    """

    duration: float  # seconds
    sampling_rate: int  # Hz
    channels: int
    encoding: str  # format and subtype as named by libsndfile, such as "WAV PCM_16"


def read_header(path: str | os.PathLike) -> AudioHeader:
    """Read the header of an audio file.

    Raises:
        ValueError: If libsndfile cannot read the file.
    """
    with _open(path) as file:
        encoding = f"{file.format} {file.subtype}"
        return AudioHeader(file.frames / file.samplerate, file.samplerate, file.channels, encoding)


def audio_duration(path: str | os.PathLike) -> float:
    """Return the duration of an audio file in seconds, from its header.

    Raises:
        ValueError: If libsndfile cannot read the file.
    """
    return read_header(path).duration


def decode_audio(
    path: str | os.PathLike,
    *,
    start: float | None = None,
    end: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
) -> np.ndarray:
    """Decode an audio file, or a segment of it, and resample it (soundfile and soxr).

    Args:
        path: A file in any format of libsndfile (wav, flac, mp3, ogg, opus, aiff, ...), detected from its content.
        start: Start of the segment in seconds; None for the start of the file.
        end: End of the segment in seconds; None for the end of the file.
        sampling_rate: Sampling rate of the result in Hz.

    Returns:
        Mean of the channels, ``(T,)`` float32, neither rounded nor clipped: peaks may exceed 1.

    Raises:
        ValueError: If the file cannot be read, the segment contains no sample, or a sample is not finite.
    """
    with _open(path) as file:
        rate = file.samplerate
        first = round((start or 0.0) * rate)
        frames = -1 if end is None else round(end * rate) - first
        try:
            file.seek(min(first, file.frames))
            channels = file.read(frames, dtype="float32", always_2d=True)  # (T, channels)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"Cannot decode '{path}': {error}.") from error
    if not len(channels):
        raise ValueError(f"'{path}' holds no sample between {start or 0.0} s and {end or 'its end'}.")
    if not np.isfinite(channels).all():
        raise ValueError(f"'{path}' holds samples that are not finite (NaN or infinity).")
    waveform = soxr.resample(channels.mean(axis=1), rate, sampling_rate)
    if not len(waveform):
        raise ValueError(f"'{path}' is shorter than one sample at {sampling_rate} Hz.")
    return waveform


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
    stat = os.stat(path)
    identity = f"{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{start}|{end}|{SAMPLING_RATE}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
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


def _open(path: str | os.PathLike) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"Cannot read '{path}': expected a format of libsndfile (wav, flac, mp3, ogg, opus, aiff), found "
            f"{os.path.getsize(path)} bytes that it does not recognise. Convert the file: ffmpeg -i IN OUT.wav"
        ) from error


def _to_int16(waveform: np.ndarray) -> np.ndarray:
    scaled = np.round(waveform * INT16_SCALE)
    return np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)


def _from_int16(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(INT16_SCALE)
