"""Summarise the emotions of each speaker of a timeline."""

from collections.abc import Iterable
from dataclasses import dataclass

from ser_hf.serving.emotion_segments import Segment

STRONGEST = 3  # segments


@dataclass(frozen=True)
class SpeakerSummary:
    """Hold what one speaker's segments have in common.

    Attributes:
        speaker: Name of the speaker.
        seconds: Duration of the segments.
        shares: Share of this time per prediction, the largest first.
        scores: Mean of each score over this time.
        changes_per_minute: Changes of the prediction per minute of this time.
        strongest: The segments with the highest scores that are not uncertain, the highest first.
    """

    speaker: str
    seconds: float
    shares: dict[str, float]
    scores: dict[str, float]
    changes_per_minute: float
    strongest: list[Segment]


def summarize_speakers(segments: Iterable[Segment]) -> list[SpeakerSummary]:
    """Return a summary of each speaker, in the order of their first segments; segments without speaker are left out.

    Examples:
        >>> happy = Segment(0.0, 3.0, "happy", 0.75, False, {"happy": 0.75, "sad": 0.25}, speaker="Anna")
        >>> sad = Segment(4.0, 5.0, "sad", 1.0, False, {"happy": 0.0, "sad": 1.0}, speaker="Anna")
        >>> (summary,) = summarize_speakers([happy, sad])
        >>> summary.shares, summary.scores["sad"], summary.changes_per_minute
        ({'happy': 0.75, 'sad': 0.25}, 0.4375, 15.0)
    """
    speakers: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.speaker is not None:
            speakers.setdefault(segment.speaker, []).append(segment)
    return [_summarize(speaker, own) for speaker, own in speakers.items()]


def _summarize(speaker: str, segments: list[Segment]) -> SpeakerSummary:
    durations = [segment.end - segment.start for segment in segments]
    total = sum(durations)
    shares: dict[str, float] = {}
    for segment, duration in zip(segments, durations, strict=True):
        shares[segment.emotion] = shares.get(segment.emotion, 0.0) + duration / total
    scores = {
        name: sum(each.scores[name] * duration for each, duration in zip(segments, durations, strict=True)) / total
        for name in segments[0].scores
    }
    changes = sum(before.emotion != after.emotion for before, after in zip(segments, segments[1:], strict=False))
    certain = sorted((each for each in segments if not each.uncertain), key=lambda each: -each.score)
    shares = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return SpeakerSummary(speaker, total, shares, scores, 60 * changes / total, certain[:STRONGEST])
