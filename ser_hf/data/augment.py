"""Train-time augmentation of the waveform, the same for the same seed, epoch and utterance."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import audiomentations
import numpy as np

from ser_hf.data.audio import SAMPLING_RATE


def build_augmentation(
    *,
    probability: float = 0.5,
    noise_snr: float | None = None,
    time_shift: float | None = None,
    gain: float | None = None,
    pitch: float | None = None,
    tempo: float | None = None,
    speed: float | None = None,
) -> "Augmentation | None":
    """Return an `Augmentation`, or None where nothing is asked for.

    Args:
        probability: Chance of each of the changes below, drawn for each on its own.
        noise_snr: Lowest signal-to-noise ratio of added white noise in dB; the highest is 30 dB above it.
        time_shift: Largest shift either way, as a share of the utterance; silence fills in.
        gain: Largest change of level either way in dB.
        pitch: Largest change of pitch either way in semitones.
        tempo: Largest change of speaking rate either way, 0.1 for 10 %; the pitch stays.
        speed: Largest change of playing speed either way, 0.1 for 10 %: rate, pitch and formants change together, as if
            somebody larger or smaller spoke. Source: Ko et al. 2015, https://doi.org/10.21437/Interspeech.2015-711
    """
    changes = []
    if pitch:
        changes.append(audiomentations.PitchShift(-pitch, pitch, p=probability))
    if tempo:
        stretch = audiomentations.TimeStretch(1 - tempo, 1 + tempo, leave_length_unchanged=False, p=probability)
        changes.append(stretch)
    if speed:  # at another rate, but played at ours
        slowest, fastest = round(SAMPLING_RATE * (1 + speed)), round(SAMPLING_RATE * (1 - speed))
        changes.append(audiomentations.Resample(fastest, slowest, p=probability))
    if noise_snr is not None:
        changes.append(audiomentations.AddGaussianSNR(noise_snr, noise_snr + 30, p=probability))
    if gain:
        changes.append(audiomentations.Gain(-gain, gain, p=probability))
    if time_shift:
        changes.append(audiomentations.Shift(-time_shift, time_shift, rollover=False, p=probability))
    return Augmentation(changes) if changes else None


class Augmentation:
    """Apply each of some changes by its chance; a class, so that loader processes can be handed one.

    Args:
        changes: Transforms of audiomentations.
    """

    def __init__(self, changes: list):
        self.compose = audiomentations.Compose(changes)

    def __call__(self, waveform: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """Return the changed waveform; ``(T,)`` as given, or longer or shorter where tempo or speed changes."""
        with _seeded(seed):
            return self.compose(waveform, sample_rate=SAMPLING_RATE)


@contextmanager
def _seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed the global generators that audiomentations draws from, and put their states back afterwards."""
    states = random.getstate(), np.random.get_state()
    word = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(word)
    np.random.seed(word)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
