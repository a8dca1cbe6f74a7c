"""Simulate the annotators of the synthetic corpus: their votes and their ratings of arousal, valence and dominance.

Both follow from the delivery with which an utterance was synthesised, so they can be learnt from its audio: the closer
the delivery is to that of an emotion, the more annotators choose this emotion. Each annotator has a bias of their own.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from ser_hf.corpora.speech_synthesis import DELIVERIES, EMOTIONS, SPREAD, Delivery, deliver

RATING_SCALE = (1, 7)
AUDIBLE = [
    name for name in Delivery._fields if name not in ("level", "pause", "span")
]  # a microphone changes the level
SHARPNESS = 0.15  # of the choices; about three of ten votes then differ from the intended emotion


class Annotator(NamedTuple):
    """Define an annotator: an emotion that this person chooses too often, and offsets of their ratings.

    Examples:
        >>> ANNOTATORS[0].preferred
        'neutral'
    """

    preferred: str
    preference: float  # added to the logarithm of the odds
    arousal: float
    valence: float
    dominance: float


ANNOTATORS = (
    Annotator("neutral", 1.0, -0.3, 0.2, 0.0),
    Annotator("happy", 0.5, 0.3, 0.4, 0.2),
    Annotator("angry", 0.8, 0.2, -0.4, 0.3),
    Annotator("sad", 0.6, -0.4, -0.2, -0.4),
    Annotator("fearful", 0.3, 0.2, 0.0, -0.1),
)


def annotate(emotion: str, speaker: int, sentence: int) -> dict:
    """Return votes and mean ratings of one utterance of the synthetic corpus; equal arguments give equal answers.

    Args:
        emotion: One of the emotions of the corpus.
        speaker: Number of the speaker.
        sentence: Number of the sentence.

    Returns:
        "votes", the number of annotators by emotion; "arousal", "valence" and "dominance", from 1 to 7.

    Examples:
        >>> sum(annotate("sad", speaker=2, sentence=3)["votes"].values())
        5
    """
    delivery = deliver(emotion, speaker, sentence)
    generator = np.random.default_rng([7, speaker, EMOTIONS.index(emotion), sentence])
    votes = Counter(_vote(delivery, annotator, generator) for annotator in ANNOTATORS)
    ratings = np.mean([_rate(delivery, annotator, generator) for annotator in ANNOTATORS], axis=0)
    return {"votes": dict(votes), **dict(zip(("arousal", "valence", "dominance"), ratings.tolist(), strict=True))}


def _vote(delivery: Delivery, annotator: Annotator, generator: np.random.Generator) -> str:
    """Return the emotion that an annotator chooses."""
    odds = [_closeness(delivery, other) + annotator.preference * (annotator.preferred == other) for other in EMOTIONS]
    shares = np.exp(odds) / np.exp(odds).sum()
    return str(generator.choice(EMOTIONS, p=shares))


def _closeness(delivery: Delivery, emotion: str) -> float:
    """Return the logarithm of the odds of an emotion, from the distance to its usual delivery."""
    usual = DELIVERIES[emotion]
    distances = [(getattr(delivery, name) - getattr(usual, name)) / _range(name) for name in AUDIBLE]
    return -float(np.sum(np.square(distances))) * SHARPNESS


def _range(name: str) -> float:
    """Return the standard deviation of a feature over the emotions, and within one emotion."""
    return float(np.hypot(np.std([getattr(usual, name) for usual in DELIVERIES.values()]), getattr(SPREAD, name)))


def _rate(delivery: Delivery, annotator: Annotator, generator: np.random.Generator) -> list[int]:
    """Return arousal, valence and dominance, whole numbers from 1 to 7."""
    d = delivery
    arousal = 4 + 0.15 * d.pitch + 4 * d.tempo + 0.2 * (d.stress - 3)
    valence = 4 + 15 * (d.smile - 1) - d.tremor - 1.5 * d.breath - 12 * d.roughness
    dominance = 4 + 5 * (0.58 - d.open_quotient) + 0.3 * (d.stress - 3) - d.tremor - d.breath
    ratings = np.array([arousal, valence, dominance]) + annotator[2:] + 0.5 * generator.standard_normal(3)
    return np.clip(np.rint(ratings), *RATING_SCALE).astype(int).tolist()
