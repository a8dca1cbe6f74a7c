import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import stft
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ser_hf.corpora.speech_synthesis import SENTENCES, VOICES, synthesize
from ser_hf.corpora.synthetic import synthetic, write_synthetic

module = importlib.import_module("ser_hf.corpora.synthetic")  # in the package, the function has this name


@pytest.fixture(scope="module")
def utterances(synthetic_corpus):
    return list(synthetic(synthetic_corpus))


@pytest.fixture(scope="module")
def waveforms(utterances):
    return [soundfile.read(utterance.path)[0] for utterance in utterances]


@pytest.fixture(scope="module")
def pitches(waveforms):
    return [np.log2(pitch_track(waveform)) for waveform in waveforms]


@pytest.fixture
def small(monkeypatch):
    """Leave two speakers and one sentence, for the tests that write."""
    monkeypatch.setattr(module, "VOICES", {speaker: VOICES[speaker] for speaker in (1, 2)})
    monkeypatch.setattr(module, "SENTENCES", {3: SENTENCES[3]})


def cross_validated_ua(features, utterances, classifier):
    """Return the UA on two unseen speakers at a time."""
    emotions = [utterance.emotion for utterance in utterances]
    pairs = [(int(utterance.speaker) - 1) // 2 for utterance in utterances]  # a man and a woman each
    model = make_pipeline(StandardScaler(), classifier)
    predicted = cross_val_predict(model, features, emotions, groups=pairs, cv=GroupKFold(4))
    return recall_score(emotions, predicted, average="macro")


def band_levels(waveform, bands=25):
    """Return log levels ``(bands, F)`` of the frames with speech, free of the recording's gain."""
    frequencies, _, spectrum = stft(waveform, 16_000, nperseg=512, noverlap=352)
    edges = np.searchsorted(frequencies, np.geomspace(60, 7800, bands + 1))
    levels = [
        np.log((np.abs(spectrum[low : max(high, low + 1)]) ** 2).sum(axis=0) + 1e-12)
        for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    levels = np.array(levels)[:, np.max(levels, axis=0) > np.max(levels) - 8]
    return levels - levels.mean()


def pitch_track(waveform):
    """Return the pitch (Hz) of the voiced frames, from the first high peak of the autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 800)[::160] * np.hanning(800)
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(800), 2048)) ** 2)[:250]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :250] / taper
    correlation /= correlation[:, :1]
    inner = correlation[:, 32:249]  # 64 to 500 Hz
    best = inner.max(axis=1, keepdims=True)
    peaks = (inner > 0.88 * best) & (inner > correlation[:, 31:248]) & (inner >= correlation[:, 33:250])
    loud = frames.std(axis=1) > 0.1 * frames.std(axis=1).max()
    voiced = loud & (best[:, 0] > 0.6) & peaks.any(axis=1)
    return 16_000 / (32 + peaks.argmax(axis=1)[voiced])


@pytest.mark.parametrize(
    ("emotion", "speaker", "sentence", "samples", "level", "step"),
    [
        ("angry", 1, 1, 13004, 27.9849, 5.4166),
        ("disgust", 2, 2, 16896, 24.742, 4.5822),
        ("fearful", 3, 3, 18833, 21.0142, 4.2288),
        ("happy", 4, 4, 16827, 26.9719, 7.3332),
        ("neutral", 5, 5, 18286, 52.571, 7.2403),
        ("sad", 6, 6, 24926, 30.8575, 5.3125),
        ("angry", 7, 7, 17222, 14.9098, 2.9504),
        ("disgust", 8, 8, 23247, 26.634, 6.1942),
        ("fearful", 1, 9, 16896, 59.7354, 11.5609),
        ("happy", 2, 10, 16341, 22.5072, 5.5038),
    ],
)
def test_every_phone_voice_and_delivery_sounds_as_it_did(emotion, speaker, sentence, samples, level, step):
    waveform = synthesize(emotion, speaker, sentence).astype(np.float64)
    assert len(waveform) == samples
    means = 1000 * np.abs(waveform).mean(), 1000 * np.abs(np.diff(waveform)).mean()
    assert means == pytest.approx((level, step), rel=1e-4)


def test_every_speaker_says_every_sentence_in_every_emotion(utterances):
    assert len(utterances) == 8 * 6 * 10
    assert set(Counter((u.speaker, u.emotion) for u in utterances).values()) == {10}
    assert set(Counter((u.text, u.emotion) for u in utterances).values()) == {8}
    assert {u.emotion for u in utterances} == {"angry", "disgust", "fearful", "happy", "neutral", "sad"}
    assert {u.corpus for u in utterances} == {"synthetic"}


def test_even_speakers_are_female_and_odd_ones_male(utterances):
    genders = {u.speaker: u.gender for u in utterances}
    assert genders == {f"{n:02}": "female" if n % 2 == 0 else "male" for n in range(1, 9)}


def test_file_name_of_the_docstring_decodes_as_it_says(utterances):
    [utterance] = [u for u in utterances if u.path.endswith("speaker_02/sp02-angry-03.wav")]
    assert (utterance.speaker, utterance.gender, utterance.emotion) == ("02", "female", "angry")
    assert utterance.text == "soga mide bu"


def test_utterances_come_sorted_by_path(utterances):
    paths = [u.path for u in utterances]
    assert paths == sorted(paths)


def test_files_are_16_khz_mono_and_16_bit(utterances):
    info = soundfile.info(utterances[0].path)
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")


def test_durations_stay_between_half_a_second_and_two(waveforms):
    seconds = np.array([len(waveform) for waveform in waveforms]) / 16_000
    assert 0.5 < seconds.min() < 1 < seconds.max() < 2.2


def test_nothing_is_clipped_or_silent(waveforms):
    peaks = np.array([np.abs(waveform).max() for waveform in waveforms])
    assert peaks.max() < 0.97
    assert peaks.min() > 0.01


@pytest.mark.parametrize("seed", [0, 1])
def test_same_arguments_give_the_same_samples(seed):
    first, again = (synthesize("happy", 4, 2, seed=seed) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()


def test_seed_speaker_emotion_and_sentence_each_change_the_samples():
    waveforms = [
        synthesize("happy", 4, 2),
        synthesize("happy", 4, 2, seed=1),
        synthesize("sad", 4, 2),
        synthesize("happy", 6, 2),
        synthesize("happy", 4, 5),
    ]
    assert len({waveform.tobytes() for waveform in waveforms}) == len(waveforms)


def test_corpus_is_bit_identical_wherever_it_is_written(tmp_path, small):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_synthetic(tmp_path / name, seed=seed)
    a, b, c = ([path.read_bytes() for path in sorted((tmp_path / n).rglob("*.wav"))] for n in "abc")
    assert len(a) == 12
    assert a == b
    assert not set(a) & set(c)


def test_second_call_does_not_write_again(tmp_path, small):
    first = [(u, Path(u.path).stat().st_mtime_ns) for u in synthetic(tmp_path / "corpus")]
    again = [(u, Path(u.path).stat().st_mtime_ns) for u in synthetic(tmp_path / "corpus")]
    assert first == again


def test_an_empty_folder_is_filled(tmp_path, small):
    assert len(list(synthetic(tmp_path))) == 12


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_write_leaves_nothing(tmp_path, small, monkeypatch, error):
    calls = []

    def stop_at_fifth(*args, **kwargs):
        calls.append(args)
        if len(calls) == 5:
            raise error
        return synthesize(*args, **kwargs)

    monkeypatch.setattr(module, "synthesize", stop_at_fifth)
    with pytest.raises(error):
        list(synthetic(tmp_path / "corpus"))
    assert list(tmp_path.iterdir()) == []


def test_slower_of_two_writers_yields_the_corpus_of_the_faster(tmp_path, small, monkeypatch):
    root = tmp_path / "corpus"

    def overtaken(*args, **kwargs):
        monkeypatch.setattr(module, "synthesize", synthesize)
        write_synthetic(root, seed=7)  # the other process, which also finishes first
        return synthesize(*args, **kwargs)

    monkeypatch.setattr(module, "synthesize", overtaken)
    paths = [u.path for u in synthetic(root)]
    assert list(tmp_path.iterdir()) == [root]
    expected = synthesize("angry", 1, 3, seed=7)
    np.testing.assert_allclose(soundfile.read(next(p for p in paths if "sp01-angry-03" in p))[0], expected, atol=1e-4)


def test_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="expected an empty folder"):
        write_synthetic(tmp_path)
    with pytest.raises(FileNotFoundError, match="No synthetic utterances under"):
        list(synthetic(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_duration_and_loudness_do_not_give_the_emotion_away(utterances, waveforms):
    features = [[len(waveform), np.log(waveform.std())] for waveform in waveforms]
    assert cross_validated_ua(features, utterances, LogisticRegression()) < 0.6


def test_emotion_is_heard_in_the_spectrum_and_pitch_of_unseen_speakers(utterances, waveforms, pitches):
    features = []
    for levels, pitch in zip(map(band_levels, waveforms), pitches, strict=True):
        slope = np.polyfit(np.linspace(-0.5, 0.5, len(pitch)), pitch, 1)[0]
        movement = [pitch.mean(), pitch.std(), np.abs(np.diff(pitch)).mean(), slope]
        features.append([*levels.mean(axis=1), *levels.std(axis=1), *np.diff(levels).std(axis=1), *movement])
    assert cross_validated_ua(features, utterances, SVC(C=10)) >= 0.85


def test_pitch_and_tempo_follow_juslin_and_laukka(utterances, waveforms, pitches):
    def mean_by_emotion(values):
        emotions = np.array([u.emotion for u in utterances])
        return {emotion: np.mean(np.array(values)[emotions == emotion]) for emotion in set(emotions)}

    pitch = mean_by_emotion([track.mean() for track in pitches])
    duration = mean_by_emotion([len(waveform) for waveform in waveforms])  # of the same ten sentences
    for aroused in ("angry", "fearful", "happy"):
        assert pitch[aroused] > pitch["neutral"] > pitch["sad"]
        assert duration[aroused] < duration["neutral"] < duration["sad"]
