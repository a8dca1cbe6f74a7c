from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr

from ser_hf.corpora import Utterance
from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data import fingerprint
from ser_hf.data.fingerprint import find_identical, find_near_identical, hash_recordings


def narrow(waveform):
    return soxr.resample(soxr.resample(waveform, 16_000, 8_000), 8_000, 16_000)


def write_opus(path, waveform):
    samples = soxr.resample(waveform, 16_000, 48_000)
    soundfile.write(path, samples, 48_000, format="OGG", subtype="OPUS", compression_level=0.9)  # about 24 kbit/s


def write_mp3(path, waveform):
    soundfile.write(path, waveform, 16_000, format="MP3", compression_level=0.9)  # about 16 kbit/s


def write_wav(path, waveform):
    soundfile.write(path, waveform, 16_000)


def utterances_of(paths):
    return [Utterance(path=str(path), corpus="toy", emotion="sad", speaker="1") for path in paths]


@pytest.mark.parametrize(
    ("write", "change"),
    [
        (write_opus, lambda waveform: waveform),
        (write_mp3, lambda waveform: waveform),
        (write_wav, lambda waveform: 0.5 * waveform),
        (write_wav, lambda waveform: -waveform),
        (write_wav, narrow),
        (write_wav, lambda waveform: np.pad(waveform, 960)),
        (write_wav, lambda waveform: waveform[800:-800]),
        (write_opus, lambda waveform: narrow(-0.3 * np.pad(waveform, (960, 480)))),
    ],
    ids=["opus", "mp3", "half volume", "polarity", "8 kHz", "60 ms more", "50 ms less", "all at once"],
)
def test_an_altered_copy_is_found_among_other_takes(tmp_path, write, change):
    takes = [synthesize("happy", speaker, 3, seed=seed) for speaker in (1, 2) for seed in range(3)]
    paths = [tmp_path / f"{i}" for i in range(len(takes) + 1)]
    for path, take in zip(paths, takes, strict=False):
        soundfile.write(path, take, 16_000, format="WAV")
    copy = tmp_path / "copy.wav" if write is write_wav else tmp_path / "copy.ogg"
    write(copy, change(takes[4]))
    (match,) = find_near_identical(utterances_of([*paths[:-1], copy]))
    assert (match.one, match.other) == (4, 6)
    assert match.correlation > 0.9


@pytest.mark.parametrize("shift", [-800, 640])
def test_the_lag_tells_how_much_later_the_other_comes(tmp_path, shift):
    waveform = synthesize("angry", 1, 1)
    write_wav(tmp_path / "a.wav", waveform)
    write_wav(tmp_path / "b.wav", np.pad(waveform, (max(shift, 0), 0))[max(-shift, 0) :])
    (match,) = find_near_identical(utterances_of([tmp_path / "a.wav", tmp_path / "b.wav"]))
    assert match.lag == pytest.approx(shift / 16_000, abs=2e-4)


def test_takes_of_one_sentence_are_no_copies(tmp_path):
    paths = [tmp_path / f"{seed}.wav" for seed in range(30)]
    for seed, path in enumerate(paths):
        write_wav(path, synthesize("neutral", 1, 2, seed=seed))
    assert find_near_identical(utterances_of(paths)) == []
    assert find_identical(utterances_of(paths)) == []


def test_equal_samples_are_identical_whatever_the_file(tmp_path):
    waveform = np.round(32_000 * synthesize("sad", 2, 5)).astype(np.int16)
    write_wav(tmp_path / "a.wav", waveform)
    write_wav(tmp_path / "b.flac", waveform)
    write_wav(tmp_path / "c.aiff", np.stack([waveform, waveform], 1))
    write_wav(tmp_path / "other.wav", waveform // 2)
    utterances = utterances_of(tmp_path / name for name in ("a.wav", "other.wav", "b.flac", "c.aiff"))
    assert find_identical(utterances) == [(0, 2), (0, 3)]
    assert {(match.one, match.other) for match in find_near_identical(utterances)} == {(0, 1), (1, 2), (1, 3)}


def test_silent_utterances_are_not_compared(tmp_path):
    for name in "ab":
        write_wav(tmp_path / f"{name}.wav", np.tile([5e-4, -5e-4], 4_000))
    assert find_identical(utterances_of([tmp_path / "a.wav", tmp_path / "b.wav"])) == []


def test_stretches_of_one_file_are_compared_as_such(tmp_path):
    waveform = synthesize("sad", 2, 5)
    write_wav(tmp_path / "long.wav", np.concatenate([waveform, synthesize("sad", 2, 6), waveform]))
    seconds, whole = len(waveform) / 16_000, soundfile.info(tmp_path / "long.wav").duration
    bounds = [(None, seconds), (seconds, whole - seconds), (whole - seconds, None)]
    utterances = [
        Utterance(path=str(tmp_path / "long.wav"), corpus="toy", emotion="sad", start=start, end=end)
        for start, end in bounds
    ]
    assert find_identical(utterances) == [(0, 2)]


def test_blocks_find_every_pair_within_reach(monkeypatch):
    rng = np.random.default_rng(0)
    durations, sketches = rng.uniform(1, 3, 200), rng.standard_normal((200, 8)).astype(np.float32)
    sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
    alike = (sketches @ sketches.T > 0.7) & (np.abs(durations[:, None] - durations) <= 0.15)
    expected = {(i, j) for i, j in np.argwhere(alike).tolist() if i < j}
    assert expected
    for size in (1, 7, 64, 4096):
        monkeypatch.setattr(fingerprint, "BLOCK", size)
        blocks = fingerprint._similar(durations, sketches)
        found = [tuple(sorted(pair)) for block in blocks for pair in block.tolist()]
        assert sorted(found) == sorted(expected)


def test_the_hash_of_recordings_is_that_of_contents_and_times_not_of_names_places_or_order(tmp_path):
    for name, content in (("a.wav", b"one"), ("b.wav", b"two"), ("elsewhere/1.wav", b"one"), ("other.wav", b"three")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    first = hash_recordings(utterances_of([tmp_path / "a.wav", tmp_path / "b.wav"]))
    # the SHA-256 of a JSON list of [SHA-256 of the file, start, end], sorted
    assert first == "7fb028d187e53d975bf74ecb5dfed580db4ca75ebd164f7eeffe935894ca0b73"
    assert hash_recordings(utterances_of([tmp_path / "b.wav", tmp_path / "elsewhere" / "1.wav"])) == first
    assert hash_recordings(utterances_of([tmp_path / "a.wav", tmp_path / "other.wav"])) != first
    assert hash_recordings(utterances_of([tmp_path / "a.wav"])) != first
    timed = [replace(row, start=0.5, end=1.0) for row in utterances_of([tmp_path / "a.wav", tmp_path / "b.wav"])]
    assert hash_recordings(timed) != first
    assert hash_recordings(utterances_of([tmp_path / "a.wav", tmp_path / "missing.wav"])) != first
