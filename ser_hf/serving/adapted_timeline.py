"""Emotions over time of several speakers, with a model that is adapted to the turns of each speaker."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ser_hf.serving.adaptation import TooLittleSpeechError
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
    """Return the segments of all speakers, sorted by start.

    The model is adapted to the turns of a speaker during which nobody else speaks. With less than 3 s of them, it is
    not adapted to this speaker. An adapted model has no threshold, so its segments are not marked as uncertain.

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
    overlaps = overlap_test(turns)
    for speaker in dict.fromkeys(turn.speaker for turn in turns):
        own = [turn for turn in turns if turn.speaker == speaker]
        try:
            model = classifier.adapt([(path, turn.start, turn.end) for turn in own if not overlaps(turn)])
        except TooLittleSpeechError as error:
            logger.warning(f"Not adapted to {speaker}: {error}")
            model = classifier
        segments += model.timeline(path, window=window, hop=hop, turns=own, speech=speech)
    segments.sort(key=lambda segment: (segment.start, segment.end))
    if classifier.uncertainty_threshold is not None:
        logger.warning("Segments of speakers that the model was adapted to are not marked as uncertain.")
    return [replace(segment, overlap=overlaps(segment)) for segment in segments]
