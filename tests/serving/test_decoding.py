import math
import threading
import time

import numpy as np
import pytest
import soundfile

from ser_hf.data import decode_audio
from ser_hf.data.hearing import Hearing
from ser_hf.data.resampling import resample
from ser_hf.serving.decoding import (
    Piece,
    Source,
    decode_ahead,
    plan_array,
    plan_file,
    to_waveform,
)

TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(24_000) / 16_000)).astype(np.float32)
INTEGERS = {"int16": TONE * 32_767, "int32": TONE.astype(np.float64) * (2**31 - 1), "uint8": TONE * 127 + 128}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_scaled_to_floats_within_one(name):
    waveform = to_waveform(INTEGERS[name].astype(name), 16_000)
    assert waveform.dtype == np.float32
    assert np.abs(waveform - TONE).max() < (0.02 if name == "uint8" else 1e-4)


def test_channels_are_averaged_and_the_rate_is_changed():
    channels = np.stack([TONE, np.zeros_like(TONE)] * 4, axis=1)  # (T, 8)
    assert np.allclose(to_waveform(channels, 16_000), TONE / 2, atol=1e-6)
    assert len(to_waveform(channels, 48_000)) == 8_000


@pytest.mark.parametrize(
    ("array", "sampling_rate", "message"),
    [
        (TONE, None, "expected the rate of the array in Hz"),
        (TONE, 0, "expected the rate of the array in Hz"),
        (TONE, 1, "a whole number from 1000 to 768000, found 1"),
        (TONE, 16, "a whole number from 1000 to 768000, found 16"),
        (TONE, 768_001, "found 768001"),
        (TONE, 22_050.5, "found 22050.5"),
        (TONE, float("inf"), "found inf"),
        (TONE, float("nan"), "found nan"),
        (TONE, "16000", "found '16000'"),
        (TONE * 32_767, 16_000, "found a peak of 98[0-9][0-9].*original integers: 32768 for int16"),
        (np.stack([TONE, TONE]), 16_000, r"\(2, 24000\): more channels than samples. Pass audio.T"),
        (TONE[:0], 16_000, "Expected samples"),
        (TONE[None, None], 16_000, "Expected samples"),
        (np.float32(0.5), 16_000, "Expected samples"),
        (np.arange(9), 16_000, "found int64"),
        (np.array([0.1, np.nan]), 16_000, "found NaN or infinity"),
        (TONE[:1], 384_000, "shorter than one sample"),
        (TONE > 0, 16_000, "found bool"),
    ],
)
def test_a_bad_array_is_refused_with_the_reason(array, sampling_rate, message):
    with pytest.raises(ValueError, match=message):
        to_waveform(np.asarray(array), sampling_rate)


@pytest.mark.parametrize("rate", [1, 16, float("inf"), "16000", None])
def test_an_array_of_an_impossible_rate_is_refused_before_anything_is_planned(rate):
    with pytest.raises(ValueError, match="sampling_rate: expected"):
        list(plan_array(TONE, rate, Hearing()))


@pytest.mark.parametrize("rate", [16_000.0, np.int64(16_000), np.float32(16_000)])
def test_a_whole_rate_of_any_type_is_taken(rate):
    assert np.allclose(to_waveform(TONE, rate), TONE, atol=1e-6)


def test_a_long_file_is_decoded_window_by_window(write_audio, tmp_path):
    path = tmp_path / "a.wav"
    waveform = write_audio(path, seconds=5.0)
    pieces = list(plan_file((path, None, None), Hearing(max_duration=2.0, window_overlap=0.5)))
    assert [piece.seconds for piece in pieces] == [2.0] * 4
    assert [piece.final for piece in pieces] == [False, False, False, True]
    assert {piece.source for piece in pieces} == {Source(str(path), None, None, 5.0, 0.0)}
    for i, piece in enumerate(pieces):
        assert np.allclose(piece.decode(), waveform[i * 16_000 :][:32_000], atol=1e-4)


def test_a_stretch_of_a_file_is_decoded_as_by_decode_audio(write_audio, tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, seconds=2.0, rate=44_100)
    (piece,) = plan_file((path, 0.5, 1.25), Hearing())
    assert np.array_equal(piece.decode(), decode_audio(path, start=0.5, end=1.25))
    assert piece.source == Source(str(path), 0.5, 1.25, 0.75, 0.0)
    (late,) = plan_file((path, 1.5, 9.0), Hearing())
    assert late.source.duration == 0.5


@pytest.mark.parametrize("whole", [Hearing(trim="ends"), Hearing(max_duration=math.inf)])
def test_files_that_are_held_whole_may_not_be_long(tmp_path, whole):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(700 * 1_000, np.int16), 1_000)
    (piece,) = plan_file((path, None, None), whole)
    with pytest.raises(
        ValueError, match="is 700 s long: expected at most 600 s, because this preprocessing needs the whole file"
    ):
        piece.decode()
    assert len(list(plan_file((path, None, None), Hearing()))) == 46


@pytest.mark.parametrize("trim", ["none", "ends"])
def test_a_file_of_more_than_a_day_is_refused(tmp_path, monkeypatch, trim):
    monkeypatch.setattr("ser_hf.serving.decoding.LONGEST", 5.0)
    monkeypatch.setattr("ser_hf.serving.decoding.LONGEST_WHOLE", 5.0)
    soundfile.write(tmp_path / "a.wav", np.zeros(6_000), 1_000)
    (piece,) = plan_file((tmp_path / "a.wav", None, None), Hearing(trim=trim))
    with pytest.raises(ValueError, match="is 6 s long: expected at most 5 s"):
        piece.decode()


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 8), (16_000, 1), (22_050, 2), (8_000, 1), (96_000, 3)])
@pytest.mark.parametrize("stretch", [(None, None), (0.777, 3.3)])
def test_trimmed_files_are_decoded_as_by_decode_audio(tmp_path, rate, channels, stretch):
    samples = np.random.default_rng(0).normal(0, 0.5, (round(4.31 * rate), channels))
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    (piece,) = plan_file((tmp_path / "a.wav", *stretch), Hearing(trim="ends"))
    start, end = stretch
    expected = Hearing("ends").trim_silence(decode_audio(tmp_path / "a.wav", start=start, end=end))
    found = piece.decode()
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6


def test_the_channels_of_a_file_are_read_in_small_blocks(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, (100_000, 8)), 48_000)
    sizes, read = [], soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *args, **kw: sizes.append(read(*args, **kw)) or sizes[-1])
    (piece,) = plan_file((tmp_path / "a.wav", None, None), Hearing(trim="ends"))
    piece.decode()
    assert sizes
    assert max(map(len, sizes)) == 32_768


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_trimmed_file_with_a_bad_sample_or_none_is_refused_by_name(tmp_path, rate):
    samples = np.zeros(3 * rate)
    samples[2 * rate] = np.inf
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    for stretch, message in (
        ((None, None), "a.wav' holds samples that are not finite"),
        ((9, None), "holds no sample"),
    ):
        (piece,) = plan_file((tmp_path / "a.wav", *stretch), Hearing(trim="ends"))
        with pytest.raises(ValueError, match=message):
            piece.decode()


@pytest.mark.parametrize("start", [-1.0, float("nan")])
@pytest.mark.parametrize("trim", ["none", "ends"])
def test_a_start_before_the_file_is_refused(write_audio, tmp_path, start, trim):
    write_audio(tmp_path / "a.wav")
    (piece,) = plan_file((tmp_path / "a.wav", start, None), Hearing(trim=trim))
    with pytest.raises(ValueError, match="start: expected at least 0 s from the start"):
        piece.decode()


def test_chunks_of_any_size_are_resampled_as_the_whole():
    chunks = np.split(TONE, np.cumsum([1, 700, 0, 9_000, 3]))
    assert np.allclose(np.concatenate(list(resample(chunks, 44_100, 16_000))), to_waveform(TONE, 44_100), atol=1e-6)


def test_what_is_decoded_but_not_yet_taken_never_exceeds_two_blocks():
    lock, decoded, most = threading.Lock(), 0.0, 0.0

    def decode(seconds):
        nonlocal decoded, most
        with lock:
            decoded += seconds
            most = max(most, decoded)
        return np.zeros(round(seconds * 16))

    durations = np.random.default_rng(0).uniform(0.5, 9.0, 200)
    pieces = [Piece(Source(), lambda s=s: decode(s), s, True) for s in durations]
    taken = []
    for block in decode_ahead(iter(pieces), seconds=40.0):
        assert sum(piece.seconds for piece, _ in block) <= 40.0
        time.sleep(0.005)  # the model works, while the next block is decoded
        with lock:
            decoded -= sum(piece.seconds for piece, _ in block)
        taken += block
    assert [piece for piece, _ in taken] == pieces
    assert 40.0 < most <= 80.0


def test_the_sources_are_read_only_a_block_ahead():
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield Piece(Source(), lambda: np.zeros(16), 1.0, True)

    blocks = decode_ahead(endless(), seconds=10.0)
    next(blocks)
    assert len(asked) <= 21
    blocks.close()


def test_broken_files_fill_a_block_too(tmp_path):
    pieces = (piece for i in range(50) for piece in plan_file((tmp_path / f"{i}.wav", None, None), Hearing()))
    blocks = list(decode_ahead(pieces, seconds=10.0))
    assert [len(block) for block in blocks] == [10] * 5
    assert all(isinstance(error, FileNotFoundError) for block in blocks for _, error in block)
