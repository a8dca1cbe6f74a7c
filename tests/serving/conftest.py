"""A recogniser whose emotion is the pitch of a tone, and recordings of such tones."""

import numpy as np
import pytest
import soundfile

from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend

PITCHES = {"sad": 200, "neutral": 400, "angry": 800}  # Hz


class PitchRecogniser:
    """Scores are the shares of the power near each pitch."""

    task = "categories"
    emotions = list(PITCHES)
    sampling_rate = 16_000
    uncertainty_threshold = 0.7

    def __init__(self):
        self.batches = []

    def score(self, waveforms):
        self.batches.append(len(waveforms))
        return np.array([self._score(waveform) for waveform in waveforms])

    def trim(self, waveform):
        return waveform

    def rescale(self, scores):
        return scores

    def _score(self, waveform):
        power = np.abs(np.fft.rfft(waveform)) ** 2
        hertz = np.fft.rfftfreq(len(waveform), 1 / self.sampling_rate)
        near = [power[np.abs(hertz - pitch) < 60].sum() + 1e-9 for pitch in PITCHES.values()]
        return np.array(near) / sum(near)


@pytest.fixture
def recogniser():
    return PitchRecogniser()


@pytest.fixture
def speak():
    """Return ``(T,)`` of ``(emotion, seconds)`` in turn, "" for a pause, with syllables and a little noise."""
    return _speak


@pytest.fixture
def record(tmp_path):
    """Write ``record(waveform, rate, channels=…)`` and return the path."""

    def write(waveform, rate=16_000, *, channels=1, name="recording.wav"):
        soundfile.write(tmp_path / name, np.repeat(waveform[:, None], channels, 1), rate, subtype="FLOAT")
        return tmp_path / name

    return write


def _speak(*parts, rate=16_000):
    waveforms = []
    for emotion, seconds in parts:
        times = np.arange(round(seconds * rate)) / rate
        syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)
        tone = np.sin(2 * np.pi * PITCHES[emotion] * times) if emotion else np.zeros_like(times)
        waveforms.append(0.3 * syllables * tone)
    waveform = np.concatenate(waveforms)
    return (waveform + 1e-4 * np.random.default_rng(0).standard_normal(len(waveform))).astype(np.float32)


@pytest.fixture
def classifier():
    """An `EmotionClassifier` that recognises pitches."""
    recogniser = PitchRecogniser()
    backend = Backend("torch", recogniser.emotions, recogniser.score, uncertainty_threshold=0.7)
    return EmotionClassifier(backend, Hearing())
