"""Emotions over time of several speakers, with a model that is adapted to the turns of each speaker."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ser_hf.serving.adaptation import LEAST_SECONDS
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.speaker_turns import Turn, overlap_test

if TYPE_CHECKING:
    from ser_hf.serving.classifier import EmotionClassifier

logger = logging.getLogger(__name__)


def adapted_timeline(
    classifier: "EmotionClassifier",
    path: str,
    turns: Sequence[Turn],
    *,
    window: float = 4.0,
    hop: float = 1.0,
    speech: str = "energy",
) -> list[Segment]:
    """Return the segments of all speakers, sorted by start; a speaker with less than 3 s is not adapted to.

    Args:
        classifier: A model that was trained with `voice_head`.
        path: Recording, see `timeline`.
        turns: Who speaks when.
        window: As for `timeline`.
        hop: As for `timeline`.
        speech: As for `timeline`.

    Raises:
        ValueError: For the reasons of `EmotionClassifier.adapt` and `timeline`.
    """
    segments: list[Segment] = []
    for speaker in dict.fromkeys(turn.speaker for turn in turns):
        own = [turn for turn in turns if turn.speaker == speaker]
        seconds = sum(turn.end - turn.start for turn in own)
        model = classifier
        if seconds < LEAST_SECONDS:
            logger.warning(f"Not adapted to {speaker}: expected {LEAST_SECONDS:g} s of speech, found {seconds:.1f} s.")
        else:
            model = classifier.adapt([(path, turn.start, turn.end) for turn in own])
        segments += model.timeline(path, window=window, hop=hop, turns=own, speech=speech)
    segments.sort(key=lambda segment: (segment.start, segment.end))
    overlaps = overlap_test(turns)
    return [replace(segment, overlap=overlaps(segment)) for segment in segments]
