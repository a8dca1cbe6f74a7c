"""Waveform augmentation for training, reproducible for each seed, epoch and utterance."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import audiomentations
import numpy as np

from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.degradations import random_codec, random_room, random_telephone


def build_augmentation(
    *,
    probability: float = 0.5,
    noise_snr: float | None = None,
    time_shift: float | None = None,
    gain: float | None = None,
    pitch: float | None = None,
    tempo: float | None = None,
    speed: float | None = None,
    noise_folder: str | None = None,
    reverb: bool = False,
    telephone: bool = False,
    codec: bool = False,
) -> "Augmentation | None":
    """Return an `Augmentation` with the requested transforms, or None if no transform is requested.

    Args:
        probability: Probability with which each transform is applied, independently of the others.
        noise_snr: Lowest signal-to-noise ratio of added white noise in dB; the highest is 30 dB above it.
        time_shift: Largest shift in either direction, as a fraction of the utterance; the gap is zero-padded.
        gain: Largest increase or decrease of the level in dB.
        pitch: Largest pitch shift up or down in semitones.
        tempo: Largest relative change of the speaking rate, 0.1 for 10 %; the pitch is unchanged.
        speed: Largest relative change of the playback speed, 0.1 for 10 %, by resampling: rate, pitch and formants
            change together, so the utterance sounds as if another speaker spoke.
        noise_folder: Folder of noise recordings, added at 0 to 30 dB.
        reverb: Whether to add the reverberation of a random room.
        telephone: Whether to limit the band and encode as a telephone does.
        codec: Whether to encode with MP3 or Opus at a low bitrate.

    Source: speed perturbation: Ko et al. 2015, https://doi.org/10.21437/Interspeech.2015-711

    Examples:
        >>> augmentation = build_augmentation(probability=1.0, gain=6.0)
        >>> augmentation(np.zeros(16_000, np.float32), seed=(0, 1, 2)).shape
        (16000,)
        >>> build_augmentation() is None
        True
    """
    changes = []
    if pitch:
        changes.append(audiomentations.PitchShift(-pitch, pitch, p=probability))
    if tempo:
        stretch = audiomentations.TimeStretch(1 - tempo, 1 + tempo, leave_length_unchanged=False, p=probability)
        changes.append(stretch)
    if speed:  # resampled, but interpreted at the unchanged sampling rate
        slowest, fastest = round(SAMPLING_RATE * (1 + speed)), round(SAMPLING_RATE * (1 - speed))
        changes.append(audiomentations.Resample(fastest, slowest, p=probability))
    if reverb:
        changes.append(Degradation(random_room, probability))
    if noise_folder:
        changes.append(audiomentations.AddBackgroundNoise(noise_folder, 0, 30, p=probability))
    if noise_snr is not None:
        changes.append(audiomentations.AddGaussianSNR(noise_snr, noise_snr + 30, p=probability))
    if gain:
        changes.append(audiomentations.Gain(-gain, gain, p=probability))
    if time_shift:
        changes.append(audiomentations.Shift(-time_shift, time_shift, rollover=False, p=probability))
    if telephone:
        changes.append(Degradation(random_telephone, probability))
    if codec:
        changes.append(Degradation(random_codec, probability))
    return Augmentation(changes) if changes else None


class Degradation:
    """Apply a function of `ser_hf.data.degradations` at random, like a transform of audiomentations.

    Args:
        change: Function ``(waveform, generator)``.
        p: Probability with which it is applied.
    """

    def __init__(self, change: Callable[[np.ndarray, np.random.Generator], np.ndarray], p: float):
        self.change, self.p = change, p

    def __call__(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return the waveform ``(T,)``, degraded or unchanged."""
        if random.random() >= self.p:
            return waveform
        return self.change(waveform, np.random.default_rng(random.getrandbits(32)))


class Augmentation:
    """Apply transforms at random; a class rather than a closure so that data loader workers can unpickle it.

    Args:
        changes: Transforms of audiomentations.
    """

    def __init__(self, changes: list):
        self.compose = audiomentations.Compose(changes)

    def __call__(self, waveform: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """Return the augmented waveform ``(T,)``; the length differs from the input if tempo or speed is changed.

        Args:
            waveform: ``(T,)`` float32 at 16 kHz.
            seed: The same seed gives the same result.
        """
        with _seeded(seed):
            return self.compose(waveform, sample_rate=SAMPLING_RATE)


@contextmanager
def _seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed the global random generators that audiomentations uses, and restore their states afterwards."""
    states = random.getstate(), np.random.get_state()
    word = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(word)
    np.random.seed(word)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
