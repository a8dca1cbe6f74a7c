"""Emotions over time with a model for each speaker."""

import numpy as np
import pytest
import soundfile
from voices import RATE, say, write_voice_checkpoint

from ser_hf.serving import EmotionClassifier, adaptation, long_recording
from ser_hf.serving.adapted_timeline import adapted_timeline
from ser_hf.serving.speaker_turns import Turn

OPTIONS = {"window": 1.0, "hop": 1.0}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = write_voice_checkpoint(tmp_path_factory.mktemp("voices") / "whisper", "whisper")
    return EmotionClassifier.from_pretrained(folder)


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """A recording of two speakers in turns of a second, and a third one who says one word."""
    path = tmp_path_factory.mktemp("meeting") / "meeting.wav"
    order = [(speaker, emotion) for emotion in range(4) for speaker in (11, 12)]
    soundfile.write(path, np.concatenate([say(*each, seed=0) for each in [*order, (13, 0)]]), RATE, subtype="FLOAT")
    turns = [Turn(float(i), i + 1.0, f"speaker {speaker}") for i, (speaker, _) in enumerate(order)]
    return str(path), [*turns, Turn(8.0, 9.0, "guest")]


def test_each_speaker_is_answered_by_a_model_of_the_own_turns(classifier, meeting):
    path, turns = meeting
    segments = adapted_timeline(classifier, path, turns, **OPTIONS)
    own = [turn for turn in turns if turn.speaker == "speaker 12"]
    model = classifier.adapt([(path, turn.start, turn.end) for turn in own])
    alone = list(model.timeline(path, turns=own, **OPTIONS))
    assert [segment for segment in segments if segment.speaker == "speaker 12"] == alone
    plain = list(classifier.timeline(path, turns=own, **OPTIONS))
    assert (
        max(abs(a.scores[name] - b.scores[name]) for a, b in zip(alone, plain, strict=False) for name in a.scores)
        > 0.05
    )
    assert [segment.start for segment in segments] == sorted(segment.start for segment in segments)
    assert {segment.speaker for segment in segments} == {"speaker 11", "speaker 12", "guest"}


def test_who_says_too_little_is_answered_by_the_model_for_all(classifier, meeting, caplog):
    path, turns = meeting
    segments = adapted_timeline(classifier, path, turns, **OPTIONS)
    plain = list(classifier.timeline(path, turns=turns[-1:], **OPTIONS))
    assert [segment for segment in segments if segment.speaker == "guest"] == plain
    assert "Not adapted to guest: expected at least 3 s of speech while nobody else speaks, found 1.0 s." in caplog.text


def test_speech_of_two_is_marked(classifier, meeting):
    path, turns = meeting
    both = [*turns[:8], Turn(0.2, 0.9, "speaker 12")]
    assert any(
        segment.overlap
        for segment in adapted_timeline(classifier, path, sorted(both, key=lambda t: t.start), **OPTIONS)
    )


def test_the_recording_and_the_checkpoint_are_read_once_whatever_the_number_of_speakers(
    classifier, meeting, monkeypatch
):
    path, turns = meeting
    loaded, opened = [], []
    load, read = adaptation.load_trained, long_recording.open_audio
    monkeypatch.setattr(adaptation, "load_trained", lambda name: loaded.append(name) or load(name))
    monkeypatch.setattr(long_recording, "open_audio", lambda file: opened.append(file) or read(file))
    adapted_timeline(classifier, path, turns, **OPTIONS)
    assert (len(loaded), opened) == (1, [path])
