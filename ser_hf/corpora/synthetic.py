"""The synthetic corpus: eight invented speakers, six emotions, written on first use. Nothing to download.

**Its scores mean nothing about people.** The corpus exists to exercise the pipeline: a source-filter synthesiser speaks
nonsense with the prosody and voice quality that the literature reports for each emotion, so a model that does well here
has learnt this file, not human emotion.

Speakers: 8 (odd numbers male, even female), each with an own pitch, vocal tract length, tempo, loudness and voice.
Language: none; every speaker says the same ten nonsense sentences once in every emotion, 480 utterances of about 0.7 to
2 seconds, 16 kHz mono. Licence: as the package. Loudness also varies with an invented microphone distance and tempo with
the sentence, so that neither gives the emotion away.

File names: ``speaker_<speaker>/sp<speaker>-<emotion>-<sentence>.wav``. ``speaker_02/sp02-angry-03.wav`` is speaker 2
(female), angry, sentence 3 (``"soga mide bu"``). Nothing is left out.

Source: the cues of anger, fear, happiness and sadness follow Juslin & Laukka (2003), "Communication of emotions in vocal
expression and music performance", Psychological Bulletin 129(5), table 11; disgust, which they leave open, follows Murray &
Arnott (1993), "Toward the simulation of emotion in synthetic speech", JASA 93(2), table 1.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.ndimage import convolve1d
from scipy.signal import istft, lfilter, stft

from ser_hf.corpora.utterance import Utterance

SAMPLING_RATE = 16_000  # Hz
WINDOW = 400  # samples
FRAME = 80  # samples: articulation and intonation move in steps of 5 ms

SENTENCES = (
    "bami sotu", "kela dino", "soga mide bu", "tunefi lako", "zadu peri mo",
    "ʃike gona", "fubo tile", "nadi zoke ra", "pelomi tagu", "moʃa ridu",
)  # fmt: skip

# Phone: formants F1, F2, F3 (Hz, adult male); voicing; noise amplitude; noise centre (Hz); seconds.
# Source: vowels from Peterson & Barney (1952), "Control methods used in a study of the vowels", JASA 24(2).
PHONES = {
    "a": (730, 1090, 2440, 1.0, 0.0, 5000, 0.13),
    "e": (530, 1840, 2480, 1.0, 0.0, 5000, 0.12),
    "i": (270, 2290, 3010, 1.0, 0.0, 5000, 0.11),
    "o": (570, 840, 2410, 1.0, 0.0, 5000, 0.13),
    "u": (300, 870, 2240, 1.0, 0.0, 5000, 0.11),
    "m": (250, 1000, 2200, 0.4, 0.0, 5000, 0.07),
    "n": (250, 1500, 2500, 0.4, 0.0, 5000, 0.06),
    "l": (360, 1300, 2700, 0.6, 0.0, 5000, 0.06),
    "r": (350, 1200, 1600, 0.6, 0.0, 5000, 0.06),
    "z": (300, 1700, 2600, 0.3, 0.3, 6000, 0.07),
    "s": (320, 1700, 2600, 0.0, 0.6, 6200, 0.10),
    "ʃ": (320, 1900, 2600, 0.0, 0.7, 3200, 0.10),
    "f": (320, 1100, 2300, 0.0, 0.2, 5000, 0.09),
    "b": (250, 900, 2200, 0.2, 0.2, 900, 0.02),
    "d": (250, 1700, 2600, 0.2, 0.3, 4200, 0.02),
    "g": (250, 1900, 2300, 0.2, 0.3, 2000, 0.02),
    "p": (350, 900, 2200, 0.0, 0.4, 900, 0.03),
    "t": (350, 1700, 2600, 0.0, 0.6, 4200, 0.03),
    "k": (350, 1900, 2300, 0.0, 0.6, 2000, 0.04),
    "-": (300, 1400, 2400, 0.0, 0.0, 3000, 0.04),  # the closure before a stop's burst
    " ": (300, 1200, 2400, 0.0, 0.0, 5000, 0.03),  # pause
}
VOWELS = "aeiou"


class Voice(NamedTuple):
    """What a speaker brings to every emotion."""

    gender: str
    pitch: float  # Hz
    tract: float  # formant frequencies as a multiple of the adult male ones
    tempo: float  # multiple of the durations' reciprocal
    level: float  # dB
    open_quotient: float  # added to the delivery's
    breath: float  # added to the delivery's


class Delivery(NamedTuple):
    """How an emotion is spoken, relative to the speaker's habit."""

    pitch: float  # semitones
    span: float  # semitones, standard deviation of the accents
    slope: float  # semitones from the first to the last frame
    tempo: float  # log2 of the speech rate
    pause: float  # log2 of the length of pauses
    level: float  # dB
    dynamics: float  # dB, standard deviation of the accents
    open_quotient: float  # share of the glottal cycle; small is pressed
    tilt: float  # pole of the low-pass on the source; near 1 is dull
    breath: float  # aspiration noise per voice
    roughness: float  # jitter as a share of the period; shimmer is four times that
    tremor: float  # semitones, amplitude
    smile: float  # formant frequencies, relative


VOICES = (
    Voice("male", 112, 1.00, 1.00, 0.0, 0.00, 0.00),
    Voice("female", 205, 1.17, 1.04, -1.0, 0.03, 0.02),
    Voice("male", 98, 0.95, 0.92, 1.5, -0.03, 0.01),
    Voice("female", 222, 1.20, 1.08, 0.0, 0.00, 0.00),
    Voice("male", 128, 1.04, 1.06, -1.5, 0.03, 0.02),
    Voice("female", 188, 1.12, 0.95, 1.0, -0.03, 0.01),
    Voice("male", 118, 0.98, 0.97, 0.5, 0.02, 0.00),
    Voice("female", 212, 1.15, 1.00, -0.5, -0.02, 0.03),
)

DELIVERIES = {
    "angry": Delivery(5.0, 2.4, 1.5, 0.20, -0.5, 3.0, 5.0, 0.40, -0.40, 0.02, 0.015, 0.00, 1.00),
    "disgust": Delivery(-3.0, 1.6, -6.0, -0.20, 0.5, -1.0, 3.0, 0.50, 0.60, 0.05, 0.050, 0.00, 0.93),
    "fearful": Delivery(7.0, 0.7, 2.0, 0.25, 0.0, -1.0, 4.5, 0.70, 0.60, 0.18, 0.012, 1.00, 1.02),
    "happy": Delivery(5.5, 4.0, 3.0, 0.15, -0.3, 2.0, 3.5, 0.58, 0.10, 0.02, 0.003, 0.00, 1.10),
    "neutral": Delivery(0.0, 1.0, -1.5, 0.00, 0.0, 0.0, 2.0, 0.60, 0.55, 0.02, 0.005, 0.00, 1.00),
    "sad": Delivery(-1.0, 0.5, -3.0, -0.30, 1.2, -3.0, 1.5, 0.80, 0.88, 0.20, 0.010, 0.20, 0.97),
}
EMOTIONS = tuple(DELIVERIES)
# Standard deviations from one utterance to the next.
SPREAD = Delivery(1.0, 0.2, 1.0, 0.08, 0.2, 4.0, 0.5, 0.03, 0.04, 0.01, 0.001, 0.05, 0.01)


def synthetic(root: str | os.PathLike) -> Iterator[Utterance]:
    """Yield the utterances of the synthetic corpus, which is written first where it is missing.

    Args:
        root: Folder of the corpus. Absent or empty, it is filled once, in a few seconds.

    Raises:
        FileNotFoundError: If ``root`` holds something else.
    """
    root = Path(root)
    with suppress(FileExistsError):  # written before, or just now by another process
        write_synthetic(root)
    paths = sorted(root.glob("speaker_??/sp??-*-??.wav"))
    if not paths:
        raise FileNotFoundError(
            f"No synthetic utterances under {str(root)!r}: expected files like speaker_02/sp02-angry-03.wav. "
            "Name an empty folder, or one that does not exist yet, and they will be written."
        )
    for path in paths:
        speaker, emotion, sentence = path.stem.removeprefix("sp").split("-")
        yield Utterance(
            path=str(path),
            corpus="synthetic",
            emotion=emotion,
            speaker=speaker,
            gender=VOICES[int(speaker) - 1].gender,
            text=SENTENCES[int(sentence) - 1],
        )


def write_synthetic(root: str | os.PathLike, *, seed: int = 0) -> None:
    """Write the corpus: all of it, or, if interrupted, nothing.

    Args:
        root: Folder to make; its parents are made too.
        seed: Another seed gives other utterances by the same speakers.

    Raises:
        FileExistsError: If ``root`` is not empty.
    """
    root = Path(root)
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{str(root)!r} is not empty: expected an empty folder or none yet.")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as folder:
        corpus = Path(folder, "corpus")
        for speaker in range(1, len(VOICES) + 1):
            Path(corpus, f"speaker_{speaker:02}").mkdir(parents=True)
            for emotion in EMOTIONS:
                for sentence in range(1, len(SENTENCES) + 1):
                    path = corpus / f"speaker_{speaker:02}" / f"sp{speaker:02}-{emotion}-{sentence:02}.wav"
                    waveform = synthesize(emotion, speaker, sentence, seed=seed)
                    soundfile.write(path, waveform, SAMPLING_RATE, subtype="PCM_16")
        try:
            corpus.rename(root)
        except OSError as error:  # rename replaces an empty folder but not a full one
            raise FileExistsError(f"{str(root)!r} was filled meanwhile.") from error


def synthesize(emotion: str, speaker: int, sentence: int, *, seed: int = 0) -> np.ndarray:
    """Speak one sentence.

    Args:
        emotion: One of ``EMOTIONS``.
        speaker: From 1.
        sentence: From 1.
        seed: Together with the others it determines every sample.

    Returns:
        ``(T,)`` samples, float32 within [-1, 1], at 16 kHz.
    """
    rng = np.random.default_rng([seed, speaker, EMOTIONS.index(emotion), sentence])
    voice, delivery = VOICES[speaker - 1], _vary(emotion, rng)
    phones = " " + re.sub("([bdgptk])", r"-\1", SENTENCES[sentence - 1]) + " "
    phone = _time(phones, voice.tempo * 2**delivery.tempo, 2**delivery.pause, rng)  # (F,)
    articulation = np.array([PHONES[name][:6] for name in phones])[phone]  # (F, 6)
    syllable = np.cumsum([name in VOWELS for name in phones])[phone]
    accent = _smooth(rng.standard_normal(len(phones))[syllable], 0.12)  # (F,)

    pitch = voice.pitch * 2 ** (_intonate(accent, delivery) / 12)
    voicing = _smooth(articulation[:, 3], 0.02) * 10 ** (delivery.dynamics * accent / 20)
    source = _phonate(pitch, voice, delivery, rng) * _to_samples(voicing)
    formants = articulation[:, :3] * [1, 1, 1]
    upper = np.tile([3500.0, 4500.0, 5500.0], (len(phone), 1))
    formants = _smooth(np.hstack([formants, upper]), 0.05) * voice.tract * delivery.smile
    noise = np.diff(rng.standard_normal(len(source) + 1)) * _to_samples(_smooth(articulation[:, 4], 0.01))
    centre = articulation[:, 5:6]
    stream = {"fs": SAMPLING_RATE, "nperseg": WINDOW, "noverlap": WINDOW - FRAME}
    spectrum = stft(source, **stream)[2] * _resonances(formants, 50 + 0.04 * formants)
    spectrum += 0.02 * stft(noise, **stream)[2] * _resonances(centre, np.full_like(centre, 1500))
    _, speech = istft(spectrum, **stream)
    return _record(speech, voice.level + delivery.level, rng)


def _vary(emotion: str, rng: np.random.Generator) -> Delivery:
    """Draw how one utterance is delivered: somewhere between neutral and exaggerated."""
    neutral, target = np.array(DELIVERIES["neutral"]), np.array(DELIVERIES[emotion])
    strength = rng.uniform(0.8, 1.1)
    drawn = neutral + strength * (target - neutral) + SPREAD * rng.standard_normal(len(SPREAD))
    return Delivery(*drawn)


def _time(phones: str, tempo: float, pause: float, rng: np.random.Generator) -> np.ndarray:
    """Return which phone sounds in each frame, ``(F,)``."""
    seconds = np.array([PHONES[name][6] * (pause if name == " " else 1.0) for name in phones])
    seconds *= np.exp(0.1 * rng.standard_normal(len(phones))) / tempo
    seconds[-2] *= 1.4  # phrase-final lengthening
    frames = np.maximum(1, np.round(seconds * SAMPLING_RATE / FRAME)).astype(int)
    return np.repeat(np.arange(len(phones)), frames)


def _intonate(accent: np.ndarray, delivery: Delivery) -> np.ndarray:
    """Return the melody in semitones from the speaker's pitch, ``(F,)``."""
    seconds = np.arange(len(accent)) * FRAME / SAMPLING_RATE
    line = delivery.pitch + delivery.slope * (seconds / seconds[-1] - 0.5)
    return line + delivery.span * accent + delivery.tremor * np.sin(2 * np.pi * 7 * seconds)


def _phonate(pitch: np.ndarray, voice: Voice, delivery: Delivery, rng: np.random.Generator) -> np.ndarray:
    """Return the glottal source for the pitch ``(F,)`` in Hz: pulses and breath, ``(T,)``.

    Source: Rosenberg (1971), "Effect of glottal pulse shape on the quality of natural vowels", JASA 49(2), pulse C.
    """
    step = _to_samples(pitch) / SAMPLING_RATE  # cycles per sample
    cycle = np.cumsum(step).astype(int)
    roughness = max(delivery.roughness, 0.0) * rng.standard_normal((2, cycle[-1] + 1))[:, cycle]
    phase = np.cumsum(step * (1 + roughness[0])) % 1
    opening = 2 / 3 * np.clip(delivery.open_quotient + voice.open_quotient, 0.3, 0.9)
    closing = opening / 2
    flow = np.where(phase < opening, 0.5 - 0.5 * np.cos(np.pi * phase / opening), 0.0)
    falling = (phase >= opening) & (phase < opening + closing)
    flow = np.where(falling, np.cos(np.pi / 2 * (phase - opening) / closing), flow)
    pulses = np.diff(flow, prepend=0.0) * (1 + 4 * roughness[1])
    breath = max(delivery.breath + voice.breath, 0.0) * rng.standard_normal(len(flow)) * flow
    tilt = np.clip(delivery.tilt, -0.6, 0.95)
    source = lfilter([1 - tilt], [1, -tilt], pulses / pulses.std()) + breath
    return source / source.std()


def _resonances(formants: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """Return the frequency response ``(N, F)`` of a cascade of resonators at ``(F, K)`` Hz.

    Source: Klatt (1980), "Software for a cascade/parallel formant synthesizer", JASA 67(3), equation 2.
    """
    c = -np.exp(-2 * np.pi * bandwidths / SAMPLING_RATE)
    b = 2 * np.exp(-np.pi * bandwidths / SAMPLING_RATE) * np.cos(2 * np.pi * formants / SAMPLING_RATE)
    z = np.exp(-2j * np.pi * np.arange(WINDOW // 2 + 1) / WINDOW)[:, None, None]  # one sample's delay
    return ((1 - b - c) / (1 - b * z - c * z**2)).prod(axis=-1)


def _record(speech: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Set the level (dB) as heard by a microphone in a room: distance, noise floor, no clipping."""
    margin = rng.integers(800, 2400, size=2)  # samples
    speech = np.pad(speech / speech.std(), margin)
    gain = min(10 ** ((level - 26) / 20), 0.95 / np.abs(speech).max())
    noise = rng.standard_normal(len(speech)) * 10 ** (rng.uniform(-80, -66) / 20)
    return (gain * speech + noise).clip(-1, 1).astype(np.float32)


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """Smooth a track ``(F, …)`` with a raised-cosine window."""
    window = np.hanning(round(seconds * SAMPLING_RATE / FRAME) + 2)
    return convolve1d(track, window / window.sum(), axis=0, mode="nearest")


def _to_samples(track: np.ndarray) -> np.ndarray:
    """Interpolate a track from frames ``(F,)`` to samples ``(T,)``."""
    frames = np.arange((len(track) - 1) * FRAME) / FRAME
    return np.interp(frames, np.arange(len(track)), track)
