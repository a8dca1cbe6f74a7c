import threading
import time

import numpy as np
import pytest
import soundfile

from ser_hf.data import decode_audio
from ser_hf.serving.decoding import Hearing, Piece, Source, decode_ahead, plan_file, to_waveform

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
        (TONE, None, "expected the array's rate in Hz"),
        (TONE, 0, "expected the array's rate in Hz"),
        (np.stack([TONE, TONE]), 16_000, r"\(2, 24000\): more channels than samples. Pass audio.T"),
        (TONE[:0], 16_000, "Expected samples"),
        (TONE[None, None], 16_000, "Expected samples"),
        (np.float32(0.5), 16_000, "Expected samples"),
        (np.arange(9), 16_000, "found int64"),
        (np.array([0.1, np.nan]), 16_000, "not finite"),
        (TONE[:1], 384_000, "shorter than one sample"),
    ],
)
def test_a_bad_array_is_refused_with_the_reason(array, sampling_rate, message):
    with pytest.raises(ValueError, match=message):
        to_waveform(np.asarray(array), sampling_rate)


def test_a_long_file_is_decoded_window_by_window(write_audio, tmp_path):
    path = tmp_path / "a.wav"
    waveform = write_audio(path, seconds=5.0)
    pieces = list(plan_file(path, None, None, Hearing(max_duration=2.0, overlap=0.5)))
    assert [piece.seconds for piece in pieces] == [2.0] * 4
    assert [piece.final for piece in pieces] == [False, False, False, True]
    assert {piece.source for piece in pieces} == {Source(str(path), None, None, 5.0)}
    for i, piece in enumerate(pieces):
        assert np.allclose(piece.decode(), waveform[i * 16_000 :][:32_000], atol=1e-4)


def test_a_stretch_of_a_file_is_what_training_decodes(write_audio, tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, seconds=2.0, rate=44_100)
    (piece,) = plan_file(path, 0.5, 1.25, Hearing())
    assert np.array_equal(piece.decode(), decode_audio(path, start=0.5, end=1.25))
    assert piece.source == Source(str(path), 0.5, 1.25, 0.75)
    (late,) = plan_file(path, 1.5, 9.0, Hearing())
    assert late.source.duration == 0.5


def test_trimmed_files_are_heard_whole_and_so_may_not_be_long(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(700 * 100, np.int16), 100)
    (piece,) = plan_file(path, None, None, Hearing(trim="ends"))
    with pytest.raises(ValueError, match="lasts 700 s: expected at most 600 s, because the silence"):
        piece.decode()
    assert len(list(plan_file(path, None, None, Hearing()))) == 46


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
    pieces = (piece for i in range(50) for piece in plan_file(tmp_path / f"{i}.wav", None, None, Hearing()))
    blocks = list(decode_ahead(pieces, seconds=10.0))
    assert [len(block) for block in blocks] == [10] * 5
    assert all(isinstance(error, FileNotFoundError) for block in blocks for _, error in block)
