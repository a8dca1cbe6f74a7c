"""Emotions over time of several speakers, with a model that is adapted to the turns of each speaker."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ser_hf.serving.decoding import Part
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import timeline
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

    The recording is read once for the adaptation and once for the segments, and the model is loaded once for all
    speakers. It is adapted to the turns of a speaker during which nobody else speaks. With less than 3 s of them, it
    is not adapted to this speaker. An adapted model has no threshold, so its segments are not marked as uncertain.

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
    overlaps = overlap_test(turns)
    alone: dict[str, list[Part]] = {turn.speaker: [] for turn in turns}
    for turn in turns:
        if not overlaps(turn):
            alone[turn.speaker].append((path, turn.start, turn.end))
    voices = classifier.adapt_to_speakers(alone)
    found = timeline(classifier, path, window=window, hop=hop, turns=turns, speech=speech, voices=voices)
    segments = [replace(segment, uncertain=segment.uncertain and segment.speaker not in voices) for segment in found]
    if voices and classifier.uncertainty_threshold is not None:
        logger.warning("Segments of speakers that the model was adapted to are not marked as uncertain.")
    return segments
