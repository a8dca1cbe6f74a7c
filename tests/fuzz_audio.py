"""Damage audio files at random, and check that every path that reads audio counts each of them.

``python tests/fuzz_audio.py 10000`` runs without pytest, and prints what it finds.
"""

import faulthandler
import io
import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import soundfile

from ser_hf.corpora import Utterance
from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data.audit import audit_split
from ser_hf.data.hearing import Hearing
from ser_hf.data.preparation import prepare_audio
from ser_hf.data.summary import read_headers
from ser_hf.serving.backends import Backend
from ser_hf.serving.classifier import EmotionClassifier

LIMIT = 20.0  # seconds for one file in one step
MEMORY = 1 << 30  # bytes, beyond what the process had at the start
SEEDS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
}
HEADER = 120  # bytes in which fields of headers are
EXTREMES = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff")


def write_seeds() -> dict[str, bytes]:
    """Return a short utterance in each format, by its extension."""
    waveform = synthesize("sad", 1, 1)[:8_000]
    stereo = np.stack([waveform, 0.5 * waveform], axis=1)
    seeds = {}
    for extension, (container, codec) in SEEDS.items():
        content = io.BytesIO()
        soundfile.write(content, stereo if extension in ("wav", "flac") else waveform, 16_000, codec, format=container)
        seeds[extension] = content.getvalue()
    return seeds


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return the content of a file with one kind of damage."""
    kind, damaged = chance.randrange(9), bytearray(content)
    if kind == 0:  # cut off
        return content[: chance.randrange(len(content))]
    if kind == 1:  # bits flipped
        for _ in range(chance.choice((1, 3, 30, 300))):
            damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind in (2, 3, 4):  # a field of the header lies
        place, width = chance.randrange(min(HEADER, len(content))), chance.choice((1, 2, 4, 8))
        lie = chance.choice([*(byte * width for byte in EXTREMES), chance.randbytes(width)])
        damaged[place : place + width] = lie
    elif kind == 5:  # zeros
        first = chance.randrange(len(content))
        damaged[first : first + chance.choice((16, 512, len(content)))] = bytes(chance.choice((16, 512, 4_096)))
    elif kind == 6:  # random
        return content[: chance.choice((0, 4, 12, 44))] + chance.randbytes(chance.choice((0, 1, 100, 5_000)))
    elif kind == 7:  # bytes lost or repeated
        first, last = sorted(chance.randrange(len(content)) for _ in range(2))
        return content[:first] + content[last:] if chance.random() < 0.5 else content[:last] + content[first:]
    else:  # more follows than the header says
        return content + chance.choice((content, chance.randbytes(2_000), bytes(1 << 16)))
    return bytes(damaged)


def write_batch(folder: Path, seeds: dict[str, bytes], first: int, count: int) -> list[str]:
    """Write files `first` to `first + count`; the content depends on the number only."""
    paths = []
    for number in range(first, first + count):
        chance = random.Random(number)
        extension = chance.choice(list(seeds))
        path = folder / f"{number:05d}.{extension}"
        path.write_bytes(damage(seeds[extension], chance))
        paths.append(str(path))
    return paths


def build_classifier(hearing: Hearing) -> EmotionClassifier:
    """Return a classifier whose scores depend on the audio, and cost no time."""

    def run(waveforms: list[np.ndarray]) -> np.ndarray:
        share = np.array([1 / (1 + np.abs(waveform).mean()) for waveform in waveforms])
        return np.stack([share, 1 - share], axis=1)

    return EmotionClassifier(Backend("torch", ["happy", "sad"], run), hearing)


def check_batch(paths: list[str]) -> Counter[str]:
    """Run a batch through all paths that read audio, and return the number of files by outcome.

    Raises:
        AssertionError: If a file is not counted, or a score is not finite.
    """
    outcomes: Counter[str] = Counter()
    for hearing in (Hearing(max_duration=0.25), Hearing(trim="ends")):
        classifier = build_classifier(hearing)
        rows = list(classifier.predict_files(paths))
        assert [row.path for row in rows] == paths
        for row in rows:
            assert (row.error is None) == (row.emotion is not None)
            assert row.scores is None or np.isfinite(list(row.scores.values())).all()
            outcomes["error" if row.error else "partial" if row.missing else "predicted"] += 1
    for path in paths:
        try:
            end = max((segment.end for segment in classifier.timeline(path)), default=0.0)
            assert end < 1_000_000
            outcomes["timeline"] += 1
        except ValueError:
            outcomes["no timeline"] += 1
    utterances = [Utterance(path=path, corpus="x", emotion="sad") for path in paths]
    table = read_headers(utterances)
    assert len(table) == len(paths)
    assert (table["duration"].notna() == table["readable"]).all()
    split, problems = prepare_audio({"all": utterances})
    left_out = [problem for problem in problems if problem.action in ("skipped", "too short")]
    assert len(split["all"]) + len(left_out) == len(paths)
    outcomes["trained on"] += len(split["all"])
    unreadable = {u for f in audit_split({"all": utterances}) if f.kind == "unreadable" for u in f.utterances}
    assert unreadable <= {problem.path for problem in left_out}
    return outcomes


def fuzz(folder: Path, count: int, *, first: int = 0, batch: int = 20) -> Counter[str]:
    """Check `count` files in batches with a watchdog that ends the process when a batch hangs.

    Raises:
        AssertionError: If a file is not counted, a batch takes too long or too much memory.
    """
    seeds, outcomes = write_seeds(), Counter[str]()
    process = psutil.Process()
    start = process.memory_info().rss
    for number in range(first, first + count, batch):
        paths = write_batch(folder, seeds, number, min(batch, first + count - number))
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        began = time.perf_counter()
        try:
            outcomes += check_batch(paths)
        except Exception as error:
            raise AssertionError(f"files {number} to {number + batch}: {error!r}") from error
        outcomes["slow batches"] += time.perf_counter() - began > LIMIT / 4
        faulthandler.cancel_dump_traceback_later()
        assert process.memory_info().rss - start < MEMORY, f"files {number} to {number + batch}: memory"
        for path in paths:
            Path(path).unlink()
    return outcomes


if __name__ == "__main__":
    import logging
    import tempfile

    logging.disable(logging.WARNING)
    total = int(sys.argv[1])
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as temporary:
        for part in range(begin, begin + total, 500):
            clock = time.perf_counter()
            found = fuzz(Path(temporary), min(500, begin + total - part), first=part)
            print(part, dict(found), f"{time.perf_counter() - clock:.0f} s", flush=True)
