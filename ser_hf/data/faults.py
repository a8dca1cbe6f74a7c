"""Detection of faulty audio in a single utterance: unreadable, silent, clipped or truncated."""

import os
from collections.abc import Iterator
from typing import Literal

import numpy as np
import soundfile

from ser_hf.corpora import Utterance
from ser_hf.data.fingerprint import decode_utterance, is_silent

CLIPPED = 1e-4  # fraction of the samples; RAVDESS has no clipping, and one clipped plosive stays below this
BYTE_ORDERS: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"FORM": "big"}  # of sizes in WAV and AIFF
UNKNOWN_SIZE = 0x7FFFF000  # bytes; programs that write to a pipe put this value or more, as they do not know the size


def find_faults(utterance: Utterance) -> Iterator[tuple[str, str, str]]:
    """Find the faults in the audio of an utterance.

    Yields:
        Kind ("unreadable", "silent", "clipped" or "truncated"), severity ("fault" or "note") and explanation.
    """
    try:
        waveform = decode_utterance(utterance)
        with soundfile.SoundFile(utterance.path) as file:
            first = round((utterance.start or 0.0) * file.samplerate)
            last = file.frames if utterance.end is None else round(utterance.end * file.samplerate)
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)  # (T, channels), before resampling
            missing = (last - first - len(samples)) / file.samplerate
    except (ValueError, OSError) as error:
        yield "unreadable", "fault", str(error)
        return
    if is_silent(waveform):
        yield "silent", "fault", f"the peak is {np.abs(waveform).max():.5f} of full scale"
    if (share := _clipped_share(samples)) > CLIPPED:
        yield "clipped", "note", f"{share:.2%} of the samples are in flat peaks at full scale"
    if missing > 0.05:
        yield "truncated", "fault", f"the last {missing:.2f} s of the expected audio are missing"
    elif (
        utterance.end is None and (count := _missing_bytes(utterance.path)) > 8
    ):  # some programs include the 8 bytes of the header in the size
        yield "truncated", "fault", f"the header declares {count} bytes more than the file has"


def _clipped_share(samples: np.ndarray) -> float:
    """Return the fraction of ``(T, channels)`` samples in flat peaks near full scale, of the worst channel.

    A sample is in a flat peak if it equals the two samples before it.
    """
    samples = np.clip(samples, -1, 32_767 / 32_768)  # as in the cache: float and lossy formats may exceed full scale
    repeated = (samples[1:] == samples[:-1]) & (np.abs(samples[1:]) > 0.99)
    return float((repeated[1:] & repeated[:-1]).sum(axis=0).max() / len(samples))


def _missing_bytes(path: str) -> int:
    with open(path, "rb") as file:
        tag, size = file.read(4), file.read(4)
    order = BYTE_ORDERS.get(tag)  # libsndfile trusts the actual file size
    declared = 8 + int.from_bytes(size, order) if order else 0
    return declared - os.path.getsize(path) if declared < UNKNOWN_SIZE else 0
