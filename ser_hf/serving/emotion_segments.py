"""Merge the scores of overlapping windows into segments of one emotion, in constant memory.

A speech segment is speech without long pauses. Its windows start and end on a common grid of hops. The scores of a hop
are the mean over the windows that contain it. A window that starts where the previous one started contains the same
audio and more, and replaces it. The scores of a hop are final as soon as a later window starts after the hop. Adjacent
hops with the same best emotion form a segment, whose scores are the mean over its time; it ends with the speech segment
at the latest. Only the hops of one window and the current segment are kept in memory.

Shapes: `C` emotions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Window:
    """Hold a window of a speech segment, to be scored.

    Attributes:
        waveform: ``(T,)`` samples, with a part of the pauses around the speech segment.
        edges: Seconds: the start of the first hop, then the end of every hop.
        last: Whether it is the last window of the speech segment.
        speaker: Who speaks, if that is known; the same in all windows of a speech segment.

    Examples:
        >>> window = Window(np.zeros(32_000, dtype=np.float32), edges=(0.0, 1.0, 2.0), last=False)
        >>> len(window.edges) - 1  # hops
        2
    """

    waveform: np.ndarray
    edges: tuple[float, ...]
    last: bool
    speaker: str | None = None


@dataclass(frozen=True)
class Segment:
    """Hold a part of a recording with one emotion.

    Attributes:
        start: Start in seconds.
        end: End in seconds.
        emotion: The emotion with the best score, or what another task answers.
        score: The best score.
        uncertain: Whether the score is below the `uncertainty_threshold` of the classifier.
        scores: Score of every emotion, in the order of the classifier.
        final: False if later audio may change the segment; then the next segment yielded is an update of it.
        speaker: Who speaks, if that is known.
        overlap: Whether somebody else speaks at the same time.

    Examples:
        >>> segment = Segment(1.5, 4.0, "sad", 0.7, False, {"happy": 0.3, "sad": 0.7})
        >>> segment.end - segment.start
        2.5
    """

    start: float
    end: float
    emotion: str
    score: float
    uncertain: bool
    scores: dict[str, float]
    final: bool = True
    speaker: str | None = None
    overlap: bool = False


def caption(segment: Segment) -> str:
    """Return the text that is shown for a segment.

    Examples:
        >>> caption(Segment(0.0, 1.5, "angry", 0.875, False, {"angry": 0.875, "sad": 0.125}))
        'angry 87.5 %'
        >>> caption(Segment(0.0, 1.5, "angry", 0.381, True, {"angry": 0.381, "sad": 0.319, "happy": 0.3}))
        'uncertain (angry 38.1 %)'
    """
    named = segment.emotion in segment.scores  # for other tasks, the prediction contains the scores
    text = f"{segment.emotion} {100 * segment.score:.1f} %" if named else segment.emotion
    return f"uncertain ({text})" if segment.uncertain else text


def name_speaker(segment: Segment) -> str:
    """Return the caption of a segment after the name of its speaker, if that is known.

    Examples:
        >>> name_speaker(Segment(0.0, 1.5, "sad", 0.75, False, {"sad": 0.75}, speaker="Anna", overlap=True))
        'Anna: sad 75.0 %, overlap'
    """
    text = caption(segment) + ", overlap" * segment.overlap
    return text if segment.speaker is None else f"{segment.speaker}: {text}"


@dataclass
class _Span:
    """Hold a hop, or joined hops, with the mean scores ``(C,)`` of a number of windows; times in seconds."""

    start: float
    end: float
    scores: np.ndarray
    windows: int = 1


def merge(
    scored: Iterable[tuple[Window, np.ndarray]],
    emotions: Sequence[str],
    threshold: float | None,
    answer: Callable[[dict[str, float]], str],
) -> Iterator[Segment]:
    """Yield each segment once it is final, and after every window a preliminary version of the current segment.

    Args:
        scored: The windows of a recording in order, each with its scores ``(C,)``.
        emotions: Names of the C scores.
        threshold: Lower scores are uncertain; None if no segment is marked as uncertain.
        answer: `answer` of the task, such as the emotion with the best score; adjacent hops of one answer are joined.

    Examples:
        >>> window = Window(np.zeros(48_000, dtype=np.float32), edges=(0.0, 1.0, 2.0, 3.0), last=True)
        >>> (segment,) = merge([(window, np.array([0.25, 0.75]))], ["happy", "sad"], None, lambda scores: "sad")
        >>> segment.start, segment.end, segment.emotion, segment.final
        (0.0, 3.0, 'sad', True)
    """

    def read(scores: np.ndarray) -> str:
        return answer(dict(zip(emotions, scores.tolist(), strict=True)))

    def describe(span: _Span, *, final: bool) -> Segment:
        scores = dict(zip(emotions, span.scores.tolist(), strict=True))
        best = max(scores.values())
        uncertain = threshold is not None and best < threshold
        return Segment(span.start, span.end, answer(scores), best, uncertain, scores, final, window.speaker)

    settled: list[_Span] = []  # at most one: the final hops of the current segment
    before: list[_Span] = []  # the hops without the scores of the newest window
    hops: list[_Span] = []  # the hops with the scores of all windows
    for window, scores in scored:
        if hops and hops[0].start < window.edges[0]:
            before = hops
        while before and before[0].start < window.edges[0]:
            *closed, run = _join([*settled, before.pop(0)], read)
            settled = [run]
            yield from (describe(span, final=True) for span in closed)
        hops = _cover(before, window, scores)
        runs = _join([*settled, *hops], read)
        if window.last:
            yield from (describe(span, final=True) for span in runs)
            settled, before, hops = [], [], []
        else:
            yield describe(runs[-1], final=False)


def _cover(hops: list[_Span], window: Window, scores: np.ndarray) -> list[_Span]:
    """Average the scores of a window into the hops that it contains, and append its new hops."""
    end = window.edges[-1]  # only the last window ends with the speech: earlier ones may end after it
    covered = [
        _Span(hop.start, min(hop.end, end), hop.scores + (scores - hop.scores) / (hop.windows + 1), hop.windows + 1)
        for hop in hops
        if hop.start < end
    ]
    reached = covered[-1].end if covered else window.edges[0]
    return covered + [_Span(start, stop, scores) for start, stop in pairwise(window.edges) if start >= reached]


def _join(spans: list[_Span], read: Callable[[np.ndarray], str]) -> list[_Span]:
    """Join adjacent spans with the same answer to their scores ``(C,)``; the scores are weighted by duration."""
    joined = spans[:1]
    for span in spans[1:]:
        last = joined[-1]
        if read(last.scores) == read(span.scores):
            share = (span.end - span.start) / (span.end - last.start)
            joined[-1] = _Span(last.start, span.end, last.scores + share * (span.scores - last.scores))
        else:
            joined.append(span)
    return joined
