"""Audio files -> mono float32 waveforms; the cache of training keeps them on disk, rounded to 16 bits."""

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

SAMPLING_RATE = 16_000  # Hz, what every supported encoder was pretrained on
INT16_SCALE = 32_768  # 16-bit sources at 16 kHz survive the cache unchanged

# numpy has Python parse the header, which in several threads at once may end in SystemError (python/cpython#106905).
ONE_AT_A_TIME = Lock()
logger = logging.getLogger(__name__)


class AudioHeader(NamedTuple):
    """What a file says about its audio before any of it is decoded."""

    duration: float  # seconds
    sampling_rate: int  # Hz
    channels: int
    encoding: str  # libsndfile's format and subtype, such as "WAV PCM_16"


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
    """Decode a file, or the stretch between two times, by soundfile and soxr.

    Args:
        path: wav, flac, mp3, ogg, opus, aiff or any other format of libsndfile, recognised by content.
        start: First second; None for the beginning.
        end: Last second; None for the end.
        sampling_rate: Wanted rate in Hz.

    Returns:
        Mean of the channels, ``(T,)`` float32, as decoded and resampled: not rounded, and peaks above 1 not clipped.

    Raises:
        ValueError: If the file cannot be read, holds no sample in that stretch, or a sample is not finite.
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
    """Return `decode_audio(path, start, end)` at 16 kHz, rounded to 16 bits, decoding at the first call only.

    Peaks beyond full scale are clipped. The decoded audio lies under `cache_folder()`, named by the file's path, size
    and time of change; where it is damaged there, it is decoded anew.

    Args:
        path: As for `decode_audio`.
        start: First second within the file.
        end: Last second within the file.
        window: First and last second, counted from `start`, of the part to return; None for all of it.

    Raises:
        ValueError: As `decode_audio`.
        RuntimeError: If the cache cannot be written.
    """
    cached = cached_audio(path, start=start, end=end)
    samples = _read_kept(cached, whole=window is None)
    if samples is None:
        samples = _to_int16(decode_audio(path, start=start, end=end))
        content = io.BytesIO()
        np.save(content, samples)
        keep_file(cached, content.getvalue())
    if window is not None:
        samples = samples[round(window[0] * SAMPLING_RATE) : round(window[1] * SAMPLING_RATE)]
    return _from_int16(samples)


def cached_audio(path: str | os.PathLike, *, start: float | None = None, end: float | None = None) -> Path:
    """Return where the decoded audio of a file, or of a stretch of it, is or will be kept."""
    stat = os.stat(path)
    identity = f"{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}|{start}|{end}|{SAMPLING_RATE}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return cache_folder() / "audio" / digest[:2] / f"{digest[2:]}.npy"


def _read_kept(cached: Path, *, whole: bool) -> np.ndarray | None:
    """Return the kept samples ``(T,)`` int16; None where there are none, or none that can be read."""
    if not cached.exists():
        return None
    try:
        with ONE_AT_A_TIME:
            return np.load(cached, allow_pickle=False, mmap_mode=None if whole else "r")
    except (ValueError, EOFError, SyntaxError, BadZipFile) as error:  # what numpy makes of any other bytes
        logger.warning(f"'{cached}' of the cache is damaged ({error}); the audio is decoded anew.")
        return None


def _open(path: str | os.PathLike) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"Cannot read '{path}': expected a format of libsndfile (wav, flac, mp3, ogg, opus, aiff), found "
            f"{os.path.getsize(path)} bytes that it does not recognise. Convert it: ffmpeg -i IN OUT.wav"
        ) from error


def _to_int16(waveform: np.ndarray) -> np.ndarray:
    scaled = np.round(waveform * INT16_SCALE)
    return np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)


def _from_int16(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(INT16_SCALE)
