"""Summarise segments: the answer of a long recording, and the emotions of each speaker.

Source of `DOMINANT`: own measurement with a linear readout of Whisper tiny.en on the four validation actors of fold 1
of RAVDESS, who were not in the training data. Of 32 recordings of eight utterances of one emotion, 78 % were answered
right and 22 % were mixed; of 32 recordings of two emotions, 100 % were mixed. With a share of 50 %, these are 81, 19
and 47 %; with 70 %, 75, 25 and 100 %.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ser_hf.escaping import one_line
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.segment_files import clock

MIXED = "mixed"  # the answer for a recording without a dominant emotion
DOMINANT = 0.6  # smallest share of the time that a dominant emotion has
STRONGEST = 3  # segments

Answer = Callable[[dict[str, float]], str]


@dataclass(frozen=True)
class Summary:
    """Hold what segments have in common.

    Attributes:
        speaker: Name of the speaker; None if it is unknown, or they are of several.
        seconds: Duration of the segments.
        emotion: The emotion with the best mean score if it has at least 60 % of this time, else "mixed"; for ratings,
            their means as text.
        uncertain: Whether more than half of this time is uncertain.
        shares: Share of this time per prediction, the largest first.
        scores: Mean of each score over this time.
        changes_per_minute: Changes of the prediction per minute of this time.
        strongest: The segments with the highest scores that are not uncertain, the highest first.
    """

    speaker: str | None
    seconds: float
    emotion: str
    uncertain: bool
    shares: dict[str, float]
    scores: dict[str, float]
    changes_per_minute: float
    strongest: list[Segment]


def summarize(segments: Sequence[Segment], answer: Answer, speaker: str | None = None) -> Summary:
    """Return what segments have in common.

    Args:
        segments: At least one segment, in order.
        answer: `answer` of the task, such as the emotion with the best score.
        speaker: Name of the speaker.

    Examples:
        >>> happy = Segment(0.0, 3.0, "happy", 0.75, False, {"happy": 0.75, "sad": 0.25})
        >>> sad = Segment(4.0, 5.0, "sad", 1.0, False, {"happy": 0.0, "sad": 1.0})
        >>> best = lambda scores: max(scores, key=scores.get)
        >>> summarize([happy, sad], best).emotion, summarize([happy, sad, sad], best).emotion
        ('happy', 'mixed')
    """
    durations = [segment.end - segment.start for segment in segments]
    total = sum(durations)
    shares: dict[str, float] = {}
    for segment, duration in zip(segments, durations, strict=True):
        shares[segment.emotion] = shares.get(segment.emotion, 0.0) + duration / total
    scores = {
        name: sum(each.scores[name] * duration for each, duration in zip(segments, durations, strict=True)) / total
        for name in segments[0].scores
    }
    best = answer(scores)
    changes = sum(before.emotion != after.emotion for before, after in zip(segments, segments[1:], strict=False))
    certain = sorted((each for each in segments if not each.uncertain), key=lambda each: -each.score)
    doubtful = sum(duration for each, duration in zip(segments, durations, strict=True) if each.uncertain)
    return Summary(
        speaker=speaker,
        seconds=total,
        emotion=best if best not in scores or shares.get(best, 0.0) >= DOMINANT else MIXED,
        uncertain=doubtful > total / 2,
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
        scores=scores,
        changes_per_minute=60 * changes / total,
        strongest=certain[:STRONGEST],
    )


def summarize_speakers(segments: Iterable[Segment], answer: Answer) -> list[Summary]:
    """Return a summary of each speaker, in the order of their first segments; segments without speaker are left out.

    Examples:
        >>> happy = Segment(0.0, 3.0, "happy", 0.75, False, {"happy": 0.75, "sad": 0.25}, speaker="Anna")
        >>> sad = Segment(4.0, 5.0, "sad", 1.0, False, {"happy": 0.0, "sad": 1.0}, speaker="Anna")
        >>> (summary,) = summarize_speakers([happy, sad], lambda scores: max(scores, key=scores.get))
        >>> summary.shares, summary.scores["sad"], summary.changes_per_minute
        ({'happy': 0.75, 'sad': 0.25}, 0.4375, 15.0)
    """
    speakers: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.speaker is not None:
            speakers.setdefault(segment.speaker, []).append(segment)
    return [summarize(own, answer, speaker) for speaker, own in speakers.items()]


def describe_speaker(summary: Summary, of: str = "speech") -> str:
    """Return the summary of a speaker on one line of the terminal.

    Args:
        summary: The summary.
        of: What the segments consist of: "speech", or "audio" with its pauses.
    """
    shares = ", ".join(f"{one_line(emotion)} {100 * share:.0f} %" for emotion, share in summary.shares.items())
    strongest = ", ".join(f"{one_line(each.emotion)} at {clock(each.start)}" for each in summary.strongest)
    return (
        f"{one_line(summary.speaker or '')}: {clock(summary.seconds)} of {of}: {shares}; "
        f"{summary.changes_per_minute:.1f} changes per minute" + (f"; strongest: {strongest}" if strongest else "")
    )
