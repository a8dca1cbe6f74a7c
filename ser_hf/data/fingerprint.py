"""Detection of duplicate recordings: identical samples, or re-encoded, rescaled, resampled or slightly shifted copies.

Two takes of a sentence by one actor may sound the same, but their phases always differ. Candidate pairs are found by
comparing a coarse sketch of the spectrogram; the correlation of the waveforms then decides.

Source: own measurement on the 1440 utterances of RAVDESS and 12 altered copies of each of 120 of them: Ogg Opus at
24 kbit/s, MP3 at 12 and 16 kbit/s, resampling to 8 kHz, half volume, inverted polarity, 56 ms added or removed at the
ends, combinations of these, and the telephone band (300 to 3400 Hz).

                                    altered copies                    distinct recordings
    similarity of the sketches      at least 0.89 (telephone 0.70)    0.1 % of 277 740 pairs above 0.70
    correlation of the waveforms    at least 0.93 (telephone 0.79)    at most 0.57 (6884 pairs: same actor, sentence)

Of the 1735 words of TurEV-DB (1 s each), five pairs of different words by one speaker reach 0.76 to 0.80.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from scipy.signal import butter, correlate, sosfilt

from ser_hf.corpora import Utterance
from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import SAMPLING_RATE, load_audio

SILENCE = 1e-3  # peak relative to full scale, -60 dB; the quietest utterance of RAVDESS peaks at -47 dB
MAX_LAG = 0.15  # seconds that a codec may add or remove, at both ends together
MIN_SIMILARITY = 0.7  # of the sketches of a candidate pair
MIN_CORRELATION = 0.7  # of the waveforms of a duplicate
BLOCK = 2048  # utterances per block of the similarity matrix: 16 MB

WINDOW, HOP = 512, 320  # samples: 32 ms and 20 ms
BANDS = np.geomspace(100, 3400, 9)  # Hz, band edges; Opus, MP3 and 8 kHz audio contain this range
DYNAMIC_RANGE = 30  # dB below the loudest band of an utterance; codecs change softer parts
MODULATIONS = slice(1, 41)  # of a 256-point transform at 50 frames per second: 0.2 to 7.8 Hz

RATE = 8_000  # Hz, sampling rate for the correlation
PASSBAND = butter(4, (300, 2000), "bandpass", fs=RATE, output="sos")  # preserved by telephone lines and all codecs


class Match(NamedTuple):
    """Name two utterances that contain the same recording."""

    one: int  # index into the utterances
    other: int  # index into the utterances
    correlation: float  # of the waveforms, from 0 to 1, regardless of polarity
    lag: float  # seconds by which `other` is delayed


def find_identical(utterances: Sequence[Utterance]) -> list[tuple[int, int]]:
    """Return the index pairs (first occurrence, copy) of utterances whose decoded samples are identical.

    Silent utterances are not compared.

    Raises:
        ValueError: If a file cannot be read.
    """
    first: dict[bytes, int] = {}
    pairs = []
    for i, digest in enumerate(map_in_threads(_hash_samples, utterances)):
        if digest is not None and first.setdefault(digest, i) != i:
            pairs.append((first[digest], i))
    return pairs


def hash_recordings(utterances: Sequence[Utterance]) -> str:
    """Return a SHA-256 of the content of audio files and the times of utterances, to compare copies of a corpus.

    It depends neither on the names and places of the files nor on the order of the utterances. Files are not decoded,
    so it is the same on all machines; a missing file counts as an empty one.
    """
    paths = list(dict.fromkeys(utterance.path for utterance in utterances))
    contents = dict(zip(paths, map_in_threads(_hash_file, paths), strict=True))
    rows = sorted((contents[row.path], row.start or 0.0, row.end or 0.0) for row in utterances)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def find_near_identical(utterances: Sequence[Utterance]) -> list[Match]:
    """Return the pairs of utterances that contain the same recording with different samples.

    Args:
        utterances: Utterances that are not silent. Utterances whose durations differ by more than `MAX_LAG` are never
            a pair.

    Returns:
        The pairs, sorted by index.

    Raises:
        ValueError: If a file cannot be read.
    """
    fingerprints = map_in_threads(_fingerprint, utterances)
    durations = np.array([duration for duration, _ in fingerprints])
    sketches = np.array([sketch for _, sketch in fingerprints])
    candidates = [pair for block in _similar(durations, sketches) for pair in block.tolist()]
    matches = map_in_threads(lambda pair: _match(utterances, *sorted(pair)), candidates)
    return sorted(match for match in matches if match is not None)


def map_in_threads(function: Callable, items: Sequence) -> list:
    """Return `function` of each item, computed in threads: decoding and array operations release the GIL."""
    with ThreadPoolExecutor(usable_cpus()) as pool:
        return list(pool.map(function, items))


def decode_utterance(utterance: Utterance) -> np.ndarray:
    """Return the waveform of an utterance, ``(T,)`` float32 at 16 kHz, through the cache.

    Raises:
        ValueError: If the file cannot be read.
    """
    return load_audio(utterance.path, start=utterance.start, end=utterance.end)


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether the peak of a ``(T,)`` waveform is below `SILENCE`."""
    return np.abs(waveform).max() < SILENCE


def _hash_file(path: str) -> str:
    if not Path(path).is_file():
        return hashlib.sha256().hexdigest()
    stat = os.stat(path)
    return _hash_content(path, stat.st_size, stat.st_mtime_ns)


@functools.cache
def _hash_content(path: str, size: int, modified: int) -> str:
    """Return the SHA-256 of a file; the folds of a process share it, as long as size and modification time stay."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_samples(utterance: Utterance) -> bytes | None:
    waveform = decode_utterance(utterance)
    return None if is_silent(waveform) else hashlib.blake2b(waveform.data, digest_size=16).digest()


def _fingerprint(utterance: Utterance) -> tuple[float, np.ndarray]:
    waveform = decode_utterance(utterance)
    return len(waveform) / SAMPLING_RATE, _sketch(waveform)


def _sketch(waveform: np.ndarray) -> np.ndarray:
    """Return a unit vector that describes the modulation of the band levels, invariant to delay and gain."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, WINDOW // 2), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2  # (F, bins)
    edges = np.round(BANDS * WINDOW / SAMPLING_RATE).astype(int)
    levels = 10 * np.log10(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1) + 1e-12)  # (F, bands) dB
    levels = np.maximum(levels - levels.max() + DYNAMIC_RANGE, 0)  # ignores silence added by a codec
    # A delay changes only the phase of the modulation spectrum, so the magnitude is invariant. Differences along the
    # modulation axis remove what all speech has in common: much slow and little fast modulation.
    modulation = np.abs(np.fft.rfft(levels, 256, axis=0))[MODULATIONS]
    sketch = np.diff(np.sqrt(modulation), axis=0).ravel().astype(np.float32)
    return sketch / (np.linalg.norm(sketch) + 1e-9)


def _similar(durations: np.ndarray, sketches: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``(pairs, 2)`` indices with similar duration and sketch, block by block to bound the memory use."""
    order = np.argsort(durations, kind="stable")
    durations, sketches = durations[order], sketches[order]
    for top in range(0, len(order), BLOCK):
        rows = slice(top, top + BLOCK)
        end = np.searchsorted(durations, durations[rows][-1] + MAX_LAG, side="right")
        for left in range(top, end, BLOCK):
            columns = slice(left, left + BLOCK)
            alike = sketches[rows] @ sketches[columns].T > MIN_SIMILARITY
            alike &= durations[columns] - durations[rows, None] <= MAX_LAG
            i, j = np.nonzero(alike)
            later = j + left > i + top
            yield order[np.column_stack((i + top, j + left))[later]]


def _match(utterances: Sequence[Utterance], one: int, other: int) -> Match | None:
    waveform, counterpart = decode_utterance(utterances[one]), decode_utterance(utterances[other])
    if np.array_equal(waveform, counterpart):
        return None
    correlation, lag = _correlate(waveform, counterpart)
    return Match(one, other, correlation, lag) if correlation >= MIN_CORRELATION else None


def _correlate(waveform: np.ndarray, counterpart: np.ndarray) -> tuple[float, float]:
    """Return the highest correlation of two ``(T,)`` waveforms within `MAX_LAG`, and the lag in seconds."""
    x, y = (sosfilt(PASSBAND, soxr.resample(samples, SAMPLING_RATE, RATE)) for samples in (waveform, counterpart))
    correlation = np.abs(correlate(x, y, method="fft")) / np.sqrt((x @ x) * (y @ y) + 1e-12)
    lags = len(y) - 1 - np.arange(len(correlation))
    correlation[np.abs(lags) > MAX_LAG * RATE] = 0
    best = correlation.argmax()
    return float(correlation[best]), float(lags[best] / RATE)
