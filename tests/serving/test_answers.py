"""Utterances are answered as a whole, recordings of more than 30 s by their speech."""

import numpy as np
import pytest
import soundfile

from ser_hf.data.hearing import RAW, Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.segment_summary import summarize
from ser_hf.tasks.categories import answer


@pytest.fixture
def make_classifier(recogniser):
    def make(hearing=Hearing(max_duration=6.0), threshold=0.7):  # noqa: B008
        backend = Backend("torch", recogniser.emotions, recogniser.score, uncertainty_threshold=threshold)
        return EmotionClassifier(backend, hearing)

    return make


def test_a_recording_has_the_answer_of_its_speech_and_not_of_its_pauses(make_classifier, speak, record):
    path = record(speak(("", 20.0), ("angry", 9.0), ("", 15.0), ("angry", 5.0), ("", 15.0)))
    classifier = make_classifier()
    (prediction,) = classifier.predict_files([path])
    assert (prediction.emotion, prediction.uncertain, prediction.error) == ("angry", False, None)
    assert prediction.scores["angry"] > 0.95
    assert (prediction.duration, prediction.missing) == (64.0, 0.0)
    assert prediction.scores == summarize(list(classifier.timeline(path)), answer).scores
    assert list(prediction.scores)[0] == "angry"


def test_a_recording_of_two_emotions_is_mixed_and_not_uncertain(make_classifier, speak, record):
    path = record(speak(("angry", 9.0), ("", 10.0), ("sad", 8.0), ("", 10.0)))
    (prediction,) = make_classifier().predict_files([path])
    assert (prediction.emotion, prediction.uncertain) == ("mixed", False)
    assert prediction.scores["angry"] == pytest.approx(9 / 17, abs=0.05)


def test_a_recording_is_uncertain_if_most_of_its_speech_is(make_classifier, speak, record):
    doubtful = speak(("sad", 9.0)) + 0.9 * speak(("angry", 9.0))
    path = record(np.concatenate([doubtful, speak(("", 20.0), ("sad", 3.0), ("", 3.0))]))
    (prediction,) = make_classifier().predict_files([path])
    assert (prediction.emotion, prediction.uncertain) == ("sad", True)
    (uncalibrated,) = make_classifier(threshold=None).predict_files([path])
    assert uncalibrated.uncertain is None


def test_audio_of_up_to_30_seconds_is_an_utterance(make_classifier, recogniser, speak, record):
    waveform = speak(("", 9.0), ("angry", 9.0), ("", 12.0))
    (prediction,) = make_classifier(Hearing()).predict_files([record(waveform)])
    expected = dict(zip(recogniser.emotions, recogniser.score([waveform])[0], strict=True))
    assert prediction.scores == pytest.approx(expected, abs=1e-4)


def test_the_preprocessing_of_the_pipeline_knows_no_recordings(make_classifier, recogniser, speak, record):
    waveform = speak(("", 20.0), ("angry", 9.0), ("", 15.0))
    (prediction,) = make_classifier(RAW).predict_files([record(waveform)])
    expected = dict(zip(recogniser.emotions, recogniser.score([waveform])[0], strict=True))
    assert prediction.scores == pytest.approx(expected, abs=1e-4)


def test_files_arrays_and_parts_of_files_are_answered_alike(make_classifier, speak, record):
    waveform = speak(("", 5.0), ("angry", 9.0), ("", 10.0), ("sad", 4.0), ("", 10.0))
    classifier, path = make_classifier(), record(waveform)
    expected = classifier(path)
    assert classifier(waveform, sampling_rate=16_000) == expected
    longer = record(np.concatenate([speak(("neutral", 8.0)), waveform, speak(("neutral", 8.0))]), name="longer.wav")
    (part,) = classifier.predict_files([(str(longer), 8.0, 46.0)])
    assert part.emotion == "angry" and part.scores == pytest.approx(expected, abs=0.02)


def test_utterances_and_recordings_keep_their_order_and_the_first_are_in_batches(
    make_classifier, recogniser, speak, record
):
    long = record(speak(("", 20.0), ("angry", 4.0), ("", 15.0)), name="long.wav")
    short = [record(speak((emotion, 1.0)), name=f"{emotion}.wav") for emotion in ("sad", "neutral", "angry")]
    paths = [*short, long, *short, "gone.wav", long, long]
    found = list(make_classifier().predict_files(paths))
    assert [each.path for each in found] == list(map(str, paths))
    emotions = ["sad", "neutral", "angry"]
    assert [each.emotion for each in found] == [*emotions, "angry", *emotions, None, "angry", "angry"]
    assert 3 in recogniser.batches


def test_a_recording_without_speech_or_sound_or_with_damage_is_an_error_of_its_own(make_classifier, record, tmp_path):
    music = sum(0.1 * np.sin(2 * np.pi * hertz * np.arange(40 * 16_000) / 16_000) for hertz in (220, 277, 330))
    paths = [record(music, name="music.wav"), record(np.zeros(40 * 16_000), name="silent.wav")]
    stereo = np.stack([music, -music], 1)
    soundfile.write(tmp_path / "inverted.wav", stereo, 16_000)
    found = make_classifier().predict_files([*paths, tmp_path / "inverted.wav"], speech="silero")
    errors = [prediction.error for prediction in found]
    assert "has sound but no speech: expected speech" in errors[0]
    assert "is silent" in errors[1]
    assert "2 channels that cancel each other" in errors[2]
    with pytest.raises(ValueError, match="The array has sound but no speech"):
        make_classifier()(music, sampling_rate=16_000, speech="silero")


def test_different_channels_of_a_recording_are_averaged_with_a_warning(make_classifier, speak, tmp_path, caplog):
    both = np.stack([speak(("sad", 16.0), ("", 18.0)), speak(("", 18.0), ("angry", 16.0))], 1)
    soundfile.write(tmp_path / "call.wav", both, 16_000)
    (prediction,) = make_classifier().predict_files([tmp_path / "call.wav"])
    assert prediction.emotion == "mixed"
    assert "has 2 different channels, which were averaged" in caplog.text


def test_an_unknown_detector_is_refused_before_the_first_file(make_classifier, tmp_path):
    with pytest.raises(ValueError, match="speech: expected one of"):
        next(make_classifier().predict_files([tmp_path / "gone.wav"], speech="loud"))


def test_ratings_are_never_mixed():
    segments = [
        Segment(start, start + 1.0, f"valence {value:.1f}", value, False, {"valence": value})
        for start, value in ((0.0, 2.0), (1.0, 4.0))
    ]
    assert summarize(segments, lambda scores: f"valence {scores['valence']:.1f}").emotion == "valence 3.0"
