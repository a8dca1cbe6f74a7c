"""Synthesise emotional nonsense speech: a source-filter synthesiser, its speakers, sentences and emotions.

Shapes: T samples, F frames of 5 ms, K resonators.

Source: anger, fear, happiness and sadness from Juslin & Laukka 2003, doi:10.1037/0033-2909.129.5.770;
disgust, which they do not cover, from Murray & Arnott 1993, doi:10.1121/1.405558
"""

import re
from typing import NamedTuple

import numpy as np
import scipy  # its parts are imported when they are used

SAMPLING_RATE = 16_000  # Hz
FRAME = 80  # samples: articulation and pitch change every 5 ms
WINDOW = 400  # samples

# fmt: off
SENTENCES = {
    1: "bami sotu",  2: "kela dino",  3: "soga mide bu",  4: "tunefi lako",  5: "zadu peri mo",
    6: "ʃike gona",  7: "fubo tile",  8: "nadi zoke ra",  9: "pelomi tagu",  10: "moʃa ridu",
}
# Formants F1, F2, F3 of a man (Hz), voicing, noise, centre of the noise (Hz), duration (seconds).
# Source: vowels from Peterson & Barney 1952, table II, doi:10.1121/1.1906875
PHONES = {
    "a": (730, 1090, 2440, 1.0, 0.0, 5000, 0.13),
    "e": (530, 1840, 2480, 1.0, 0.0, 5000, 0.12),
    "i": (270, 2290, 3010, 1.0, 0.0, 5000, 0.11),
    "o": (570,  840, 2410, 1.0, 0.0, 5000, 0.13),
    "u": (300,  870, 2240, 1.0, 0.0, 5000, 0.11),
    "m": (250, 1000, 2200, 0.4, 0.0, 5000, 0.07),
    "n": (250, 1500, 2500, 0.4, 0.0, 5000, 0.06),
    "l": (360, 1300, 2700, 0.6, 0.0, 5000, 0.06),
    "r": (350, 1200, 1600, 0.6, 0.0, 5000, 0.06),
    "z": (300, 1700, 2600, 0.3, 0.3, 6000, 0.07),
    "s": (320, 1700, 2600, 0.0, 0.6, 6200, 0.10),
    "ʃ": (320, 1900, 2600, 0.0, 0.7, 3200, 0.10),
    "f": (320, 1100, 2300, 0.0, 0.2, 5000, 0.09),
    "b": (250,  900, 2200, 0.2, 0.2,  900, 0.02),
    "d": (250, 1700, 2600, 0.2, 0.3, 4200, 0.02),
    "g": (250, 1900, 2300, 0.2, 0.3, 2000, 0.02),
    "p": (350,  900, 2200, 0.0, 0.4,  900, 0.03),
    "t": (350, 1700, 2600, 0.0, 0.6, 4200, 0.03),
    "k": (350, 1900, 2300, 0.0, 0.6, 2000, 0.04),
    "-": (300, 1400, 2400, 0.0, 0.0, 3000, 0.04),  # closure before a plosive
    " ": (300, 1200, 2400, 0.0, 0.0, 5000, 0.03),  # pause
}
# fmt: on
UPPER_FORMANTS = (3500, 4500, 5500)  # Hz


class Voice(NamedTuple):
    """Define a speaker: the part of the voice that is the same in every emotion.

    Examples:
        >>> VOICES[2].gender, VOICES[2].pitch
        ('female', 205)
    """

    gender: str
    pitch: float  # Hz
    tract: float  # formants, relative to a man's
    tempo: float  # speech rate, relative
    level: float  # dB
    open_quotient: float  # added to that of the emotion
    breath: float  # added to that of the emotion


class Delivery(NamedTuple):
    """Define how an emotion changes a voice.

    Examples:
        >>> DELIVERIES["sad"].level, DELIVERIES["angry"].level
        (-3.0, 3.0)
    """

    pitch: float  # semitones
    span: float  # semitones per unit of accent
    slope: float  # semitones from the first frame to the last
    tempo: float  # octaves
    pause: float  # octaves
    level: float  # dB
    stress: float  # dB per unit of accent
    open_quotient: float  # share of the glottal cycle: small is pressed, large is breathy
    tilt: float  # pole of the source filter: near 1 is dull, below 0 is sharp
    breath: float  # aspiration noise
    roughness: float  # jitter, relative; shimmer is four times that
    tremor: float  # semitones
    smile: float  # formants, relative


# fmt: off
VOICES = {
    1: Voice("male",   112, 1.00, 1.00,  0.0,  0.00, 0.00),
    2: Voice("female", 205, 1.16, 1.03, -1.0,  0.02, 0.03),
    3: Voice("male",   106, 0.98, 0.95,  1.5, -0.02, 0.02),
    4: Voice("female", 214, 1.18, 1.05,  0.0,  0.00, 0.00),
    5: Voice("male",   120, 1.02, 1.04, -1.5,  0.02, 0.03),
    6: Voice("female", 196, 1.14, 0.97,  1.0, -0.02, 0.02),
    7: Voice("male",   116, 0.99, 0.98,  0.5,  0.01, 0.00),
    8: Voice("female", 208, 1.15, 1.00, -0.5, -0.01, 0.04),
}
DELIVERIES = {  #       pitch span slope  tempo pause level stress open   tilt breath rough tremor smile
    "angry":   Delivery( 4.5, 2.4,  1.5,  0.20, -0.5,  3.0, 5.0,   0.36, -0.45, 0.03, 0.030, 0.00, 0.96),
    "disgust": Delivery(-3.5, 1.6, -7.0, -0.20,  0.5, -1.0, 3.0,   0.48,  0.70, 0.05, 0.060, 0.00, 0.88),
    "fearful": Delivery( 8.0, 0.6,  2.0,  0.25,  0.0, -1.0, 4.5,   0.70,  0.65, 0.90, 0.012, 1.20, 1.03),
    "happy":   Delivery( 5.5, 4.0,  3.0,  0.15, -0.3,  2.0, 3.5,   0.58,  0.10, 0.03, 0.003, 0.00, 1.12),
    "neutral": Delivery( 0.0, 0.8, -1.5,  0.00,  0.0,  0.0, 2.0,   0.60,  0.60, 0.03, 0.005, 0.00, 1.00),
    "sad":     Delivery(-1.0, 0.5, -3.0, -0.30,  1.2, -3.0, 1.5,   0.80,  0.88, 0.50, 0.010, 0.20, 0.97),
}
# Standard deviation between utterances; that of the level models the distance to the microphone.
SPREAD =       Delivery( 2.0, 0.2,  1.0,  0.06,  0.2,  4.0, 0.5,   0.02,  0.03, 0.02, 0.001, 0.05, 0.025)
# fmt: on
EMOTIONS = tuple(DELIVERIES)


def synthesize(emotion: str, speaker: int, sentence: int, *, seed: int = 0) -> np.ndarray:
    """Synthesise one sentence; equal arguments give equal samples.

    Args:
        emotion: One of `EMOTIONS`.
        speaker: From 1 to 8; even numbers are female.
        sentence: From 1 to 10.
        seed: Random seed of everything that differs between utterances.

    Returns:
        ``(T,)`` float32 samples in [-1, 1] at 16 kHz.

    Raises:
        ValueError: If the emotion is unknown.
        KeyError: If the speaker or the sentence is unknown.

    Examples:
        >>> waveform = synthesize("sad", speaker=2, sentence=3)
        >>> 0.8 < len(waveform) / SAMPLING_RATE < 2.5
        True
    """
    rng = np.random.default_rng([seed, speaker, EMOTIONS.index(emotion), sentence])
    voice, delivery = VOICES[speaker], _deliver(emotion, rng)
    phones = " " + re.sub("([bdgptk])", r"-\1", SENTENCES[sentence]) + " "
    timing = _time(phones, voice.tempo * 2**delivery.tempo, 2**delivery.pause, rng)  # (F,)
    targets = np.array([PHONES[phone] for phone in phones])[timing]  # (F, 7)
    syllable = np.cumsum([phone in "aeiou" for phone in phones])[timing]
    accent = _smooth(rng.standard_normal(len(phones))[syllable], 0.06)  # (F,)

    pitch = voice.pitch * 2 ** (_intone(accent, delivery) / 12)  # (F,) Hz
    loudness = _smooth(targets[:, 3], 0.01) * 10 ** (delivery.stress * accent / 20)
    source = _phonate(pitch, voice, delivery, rng) * _to_samples(loudness)
    speech = _resonate(source, targets, voice.tract * delivery.smile, rng)
    return _record(speech, voice.level + delivery.level, rng)


def deliver(emotion: str, speaker: int, sentence: int, *, seed: int = 0) -> Delivery:
    """Return the delivery with which `synthesize` speaks a sentence, given the same arguments.

    Examples:
        >>> bool(deliver("sad", speaker=2, sentence=3).tempo < 0)  # slower than neutral
        True
    """
    return _deliver(emotion, np.random.default_rng([seed, speaker, EMOTIONS.index(emotion), sentence]))


def _deliver(emotion: str, rng: np.random.Generator) -> Delivery:
    """Draw the delivery of one utterance, with 0.8 to 1.1 of the full difference from neutral."""
    neutral, full = np.array(DELIVERIES["neutral"]), np.array(DELIVERIES[emotion])
    drawn = neutral + rng.uniform(0.8, 1.1) * (full - neutral) + SPREAD * rng.standard_normal(len(SPREAD))
    return Delivery(*drawn)


def _time(phones: str, tempo: float, pause: float, rng: np.random.Generator) -> np.ndarray:
    """Return the index ``(F,)`` of the phone in each frame."""
    seconds = np.array([PHONES[phone][6] * (pause if phone == " " else 1) for phone in phones])
    seconds *= np.exp(0.1 * rng.standard_normal(len(phones))) / tempo
    seconds[-2] *= 1.4  # phrase-final lengthening of the last vowel
    frames = np.maximum(1, seconds * SAMPLING_RATE / FRAME).astype(int)
    return np.repeat(np.arange(len(phones)), frames)


def _intone(accent: np.ndarray, delivery: Delivery) -> np.ndarray:
    """Return the pitch contour ``(F,)`` in semitones relative to the speaker's pitch."""
    seconds = np.arange(len(accent)) * FRAME / SAMPLING_RATE
    line = delivery.pitch + delivery.slope * (seconds / seconds[-1] - 0.5)
    return line + delivery.span * accent + delivery.tremor * np.sin(2 * np.pi * 7 * seconds)


def _phonate(pitch: np.ndarray, voice: Voice, delivery: Delivery, rng: np.random.Generator) -> np.ndarray:
    """Return the glottal source ``(T,)``, pulses and aspiration noise, for a pitch of ``(F,)`` Hz.

    Source:
        Pulse C of Rosenberg 1971, doi:10.1121/1.1912389
    """
    step = _to_samples(pitch) / SAMPLING_RATE  # cycles per sample
    cycle = np.cumsum(step).astype(int)
    jitter, shimmer = delivery.roughness * rng.standard_normal((2, cycle[-1] + 1))[:, cycle]
    phase = np.cumsum(step * (1 + jitter)) % 1
    opening = (delivery.open_quotient + voice.open_quotient) * 2 / 3
    closing = opening / 2
    rise = 0.5 - 0.5 * np.cos(np.pi * phase / opening)
    fall = np.cos(np.pi / 2 * np.clip((phase - opening) / closing, 0, 1))
    flow = np.where(phase < opening, rise, fall)
    pulses = np.diff(flow, prepend=0) * (1 + 4 * shimmer)  # radiation at the lips: derivative of the flow
    breath = (delivery.breath + voice.breath) * rng.standard_normal(len(flow)) * flow
    tilt = min(delivery.tilt, 0.95)  # a pole at 1 is not stable
    source = scipy.signal.lfilter([1 - tilt], [1, -tilt], pulses / pulses.std() + breath)
    return source / source.std()


def _resonate(source: np.ndarray, targets: np.ndarray, tract: float, rng: np.random.Generator) -> np.ndarray:
    """Filter the source ``(T,)`` with the formants of the phones ``(F, 7)`` and add consonant noise."""
    upper = np.tile(UPPER_FORMANTS, (len(targets), 1))
    formants = tract * _smooth(np.hstack([targets[:, :3], upper]), 0.025)  # (F, 6): coarticulation
    noise = np.diff(rng.standard_normal(len(source) + 1)) * _to_samples(_smooth(targets[:, 4], 0.01))
    frames = {"nperseg": WINDOW, "noverlap": WINDOW - FRAME}
    spectrum = scipy.signal.stft(source, **frames)[2] * _response(formants, 50 + 0.04 * formants)
    spectrum += 0.02 * scipy.signal.stft(noise, **frames)[2] * _response(targets[:, 5:6], 1500)
    return scipy.signal.istft(spectrum, **frames)[1]


def _response(centres: np.ndarray, bandwidths: np.ndarray | float) -> np.ndarray:
    """Return the response ``(WINDOW // 2 + 1, F)`` of a cascade of resonators at ``(F, K)`` Hz.

    Source:
        Equations 1 and 2 of Klatt 1980, doi:10.1121/1.383940
    """
    radius = np.exp(-np.pi * bandwidths / SAMPLING_RATE)
    b, c = 2 * radius * np.cos(2 * np.pi * centres / SAMPLING_RATE), -(radius**2)
    delay = np.exp(-2j * np.pi * np.arange(WINDOW // 2 + 1) / WINDOW)[:, None, None]  # one sample
    return (1 - b - c).prod(axis=-1) / (1 - b * delay - c * delay**2).prod(axis=-1)


def _record(speech: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Pad the speech ``(T,)``, set its level to `level` dB as far as the range allows, and add room noise."""
    speech = np.pad(speech / speech.std(), rng.integers(800, 2400, size=2))
    gain = min(10 ** ((level - 26) / 20), 0.95 / np.abs(speech).max())
    noise = 10 ** (rng.uniform(-80, -66) / 20) * rng.standard_normal(len(speech))
    return (gain * speech + noise).astype(np.float32)


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """Smooth a track ``(F, ...)`` with a Hann window of `seconds` width at half maximum."""
    window = np.hanning(2 * round(seconds * SAMPLING_RATE / FRAME) + 1)
    return scipy.ndimage.convolve1d(track, window / window.sum(), axis=0, mode="nearest")


def _to_samples(track: np.ndarray) -> np.ndarray:
    """Interpolate a track from ``(F,)`` frames to ``(T,)`` samples, T = (F - 1) FRAME."""
    return np.interp(np.arange((len(track) - 1) * FRAME) / FRAME, np.arange(len(track)), track)
