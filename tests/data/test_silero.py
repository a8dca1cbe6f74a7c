import sys

import numpy as np
import pytest
import torch

from ser_hf.corpora.speech_synthesis import synthesize
from ser_hf.data.hearing import Hearing, read_hearing
from ser_hf.data.silence import find_speech, remove_pauses, trim_ends
from ser_hf.data.silero import FRAME, SileroDetector, check_silero, find_frames

TIMES = np.arange(4 * 16_000) / 16_000
CHORD = sum(0.1 * np.sin(2 * np.pi * hertz * TIMES) for hertz in (220, 277, 330)).astype(np.float32)
SPEECH = synthesize("neutral", 2, 3)


@pytest.mark.parametrize("spoken", [("angry", 1, 1), ("sad", 2, 3), ("happy", 5, 6)], ids=str)
def test_speech_between_music_is_found_and_the_music_is_not(spoken):
    speech = synthesize(*spoken)
    waveform = np.concatenate([CHORD, speech, CHORD])
    first, last = trim_ends(waveform, "silero")
    assert 3.9 < first < 4.5
    assert 3.5 < last - len(speech) / 16_000 < 5.0  # it listens on for up to a second
    assert trim_ends(waveform) == (0.0, len(waveform) / 16_000)  # the energy rule takes all of it


def test_a_pause_with_music_is_shortened_like_silence():
    waveform = np.concatenate([SPEECH, CHORD, SPEECH])
    assert len(find_speech(waveform, "silero")) == 2
    shortened = remove_pauses(waveform, "silero")
    assert len(shortened) < len(waveform) - 3.5 * 16_000
    assert Hearing("pauses", speech="silero").trim_silence(waveform).shape < shortened.shape


def test_audio_without_speech_is_left_whole():
    assert find_speech(CHORD, "silero") == [(0.0, 4.0)]


@pytest.mark.parametrize("sizes", [[1], [3, 50, 2], [1000]], ids=str)
def test_blocks_of_any_number_get_the_same_answers(sizes):
    waveform = np.concatenate([np.zeros(16_000, np.float32), SPEECH, CHORD, SPEECH])
    blocks = waveform[: len(waveform) // 800 * 800].reshape(-1, 800)
    at_once = SileroDetector().detect(blocks)
    detector, found, place = SileroDetector(), [], 0
    while place < len(blocks):
        for size in sizes:
            found += detector.detect(blocks[place : place + size])
            place += size
    assert found == at_once
    assert sum(at_once[:20]) == 0 and sum(at_once) > 20


def test_a_block_is_speech_if_a_frame_of_speech_ends_in_it():
    waveform = np.concatenate([SPEECH, CHORD])
    waveform = waveform[: len(waveform) // 800 * 800]
    ends = (find_frames(waveform) + 1) * FRAME
    expected = [any((start < ends) & (ends <= start + 800)) for start in range(0, len(waveform), 800)]
    assert SileroDetector().detect(waveform.reshape(-1, 800)) == expected


def test_a_short_last_block_is_like_the_one_before():
    detector = SileroDetector()
    spoken = detector.detect(SPEECH[: 20 * 800].reshape(-1, 800))[-1]
    assert detector.detect(np.zeros((1, 100))) == [spoken]
    assert SileroDetector().detect(np.zeros((1, 100))) == [False]


def test_the_number_of_threads_of_torch_stays(monkeypatch):
    monkeypatch.delitem(sys.modules, "silero_vad", raising=False)  # another test may have imported it
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    find_frames(SPEECH)
    assert torch.get_num_threads() == 2 and "silero_vad" not in sys.modules
    torch.set_num_threads(before)


def test_a_missing_package_is_named_with_the_extra(monkeypatch):
    monkeypatch.setattr("ser_hf.data.silero.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "ser_hf\[vad\]"'):
        check_silero()
    with pytest.raises(ImportError, match="silero-vad"):
        read_hearing({"trim": "ends", "speech": "silero"}, "config.json")
    assert read_hearing({"trim": "none", "speech": "silero"}, "config.json").speech == "silero"


def test_an_unknown_detector_in_a_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"speech: expected one of \['energy', 'silero'\], found 'loud'"):
        read_hearing({"trim": "ends", "speech": "loud"}, "config.json")
