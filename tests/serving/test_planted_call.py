"""The planted call and its measures; the slow test plants real speech of RAVDESS."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_hf.corpora import load_corpus
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import channel_timelines, timeline
from ser_hf.serving.speaker_turns import read_turns

SPEC = importlib.util.spec_from_file_location("planted_call", Path(__file__).with_name("planted_call.py"))
planted_call = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted_call)


def perfect(call):
    """Return the timeline that the plan is."""
    return [
        Segment(each.start, each.end, each.what, 1.0, False, {each.what: 1.0}, speaker=each.speaker)
        for each in call.speech
    ]


@pytest.fixture
def call(synthetic_corpus, tmp_path):
    corpus = list(load_corpus("synthetic", synthetic_corpus))
    speakers = sorted({each.speaker for each in corpus})[:2]
    return planted_call.build_call(corpus, speakers, tmp_path, seconds=180.0)


def test_a_call_is_what_its_plan_says(call):
    stereo, rate = soundfile.read(call.stereo)
    assert (rate, stereo.shape, soundfile.info(call.stereo).subtype) == (8_000, (180 * 8_000, 2), "ULAW")
    assert {each.speaker for each in call.speech} == {"agent", "customer"}
    assert all(before.end <= after.start for before, after in zip(call.speech, call.speech[1:], strict=False))
    for each in call.speech + [noise for noise in call.noises if noise.what != "breathing"]:
        part = stereo[round(each.start * rate) : round(each.end * rate), int(each.speaker == "customer")]
        assert np.sqrt(np.mean(part**2)) > 0.005  # -46 dB
    turns = read_turns(call.rttm, call.mono)
    assert all(any(turn.start <= each.start and each.end <= turn.end for turn in turns) for each in call.speech)


def test_the_plan_itself_has_the_best_measures(call):
    measures = planted_call.score_timeline(perfect(call), call)
    assert {name: measures[name] for name in ("right", "found", "changes")} == pytest.approx(
        {"right": 1.0, "found": 1.0, "changes": 1.0}
    )
    assert sum(measures[name] for name in measures if name.startswith("false_")) == 0


def test_wrong_emotions_and_segments_on_noise_are_counted(call):
    music = next(noise for noise in call.noises if noise.what == "music")
    false = Segment(music.start + 1, music.start + 5, "sad", 1.0, False, {"sad": 1.0}, speaker="agent")
    measures = planted_call.score_timeline([*perfect(call), false], call)
    assert (measures["false_music"], measures["false_segments"], measures["right"]) == (4.0, 1, pytest.approx(1.0))
    wrong = [Segment(each.start, each.end, "?", 1.0, False, {"?": 1.0}, speaker=each.speaker) for each in call.speech]
    measures = planted_call.score_timeline(wrong, call)
    assert (measures["right"], measures["changes"], measures["found"]) == (0.0, 0.0, pytest.approx(1.0))


@pytest.mark.slow
def test_silero_leaves_out_the_music_and_the_keyboard_that_the_energy_rule_takes_for_speech(
    shared, tmp_path, recogniser
):
    corpus = list(load_corpus("ravdess", shared / "data" / "ravdess"))
    call = planted_call.build_call(corpus, ("05", "12"), tmp_path)
    recogniser.score = lambda waveforms: np.tile([0.8, 0.1, 0.1], (len(waveforms), 1))
    measures = {
        speech: planted_call.score_timeline(
            channel_timelines(recogniser, call.stereo, planted_call.NAMES, speech=speech), call
        )
        for speech in ("energy", "silero")
    }
    assert measures["energy"]["found"] > 0.95 and measures["silero"]["found"] > 0.75
    assert measures["energy"]["false_music"] > 250 and measures["energy"]["false_keyboard"] > 100
    assert measures["silero"]["false_music"] < 30 and measures["silero"]["false_keyboard"] < 10
    turns = read_turns(call.rttm, call.mono)
    segments = list(timeline(recogniser, call.mono, turns=turns, speech="silero"))
    assert planted_call.score_timeline(segments, call)["found"] > 0.75
