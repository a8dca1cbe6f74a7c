"""Scores of overlapping windows -> segments of one emotion, in constant memory.

The windows of a stretch of speech begin and end on a common grid of hops. What is known of a hop is the mean score of
the windows that cover it so far; a window that begins where the last one did has heard the same and more, and takes its
place. A hop is settled once a later window begins after it. Neighbouring hops of one best emotion make a segment, whose
scores are the mean over its time; the end of the stretch ends it. Only the hops of one window are kept, and
the segment that goes on.

Shapes: `C` emotions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Window:
    """A part of a stretch of speech, to be scored.

    Attributes:
        waveform: ``(T,)`` samples, with some of the pause at the ends of the stretch.
        edges: Seconds; the begin of its first hop, the ends of all its hops.
        last: Whether the stretch of speech ends here.
    """

    waveform: np.ndarray
    edges: tuple[float, ...]
    last: bool


@dataclass(frozen=True)
class Segment:
    """Some time of one emotion.

    Attributes:
        start: First second.
        end: Last second.
        emotion: The one with the best score.
        score: The best score.
        uncertain: Whether the score is below the recogniser's `uncertainty_threshold`.
        scores: Every emotion with its score, in the recogniser's order.
        final: False while audio to come may change it: the next segment yielded tells more of the same time.
    """

    start: float
    end: float
    emotion: str
    score: float
    uncertain: bool
    scores: dict[str, float]
    final: bool = True


@dataclass
class _Span:
    """A hop, or joined hops, with the mean scores ``(C,)`` of so many windows."""

    start: float
    end: float
    scores: np.ndarray
    windows: int = 1


def merge(
    scored: Iterable[tuple[Window, np.ndarray]], emotions: Sequence[str], threshold: float | None
) -> Iterator[Segment]:
    """Yield each segment once it is final, and after every window the newest one as far as it is known.

    Args:
        scored: The windows of a recording in order, each with its scores ``(C,)``.
        emotions: Names of the C scores.
        threshold: Scores below it are uncertain; None for never.
    """
    settled: list[_Span] = []  # at most one, the run of one emotion that goes on
    before: list[_Span] = []  # the hops as the windows before the newest have it
    hops: list[_Span] = []  # and as all windows have it
    for window, scores in scored:
        if hops and hops[0].start < window.edges[0]:
            before = hops
        while before and before[0].start < window.edges[0]:
            *closed, run = _join([*settled, before.pop(0)])
            settled = [run]
            yield from (_describe(span, emotions, threshold, final=True) for span in closed)
        hops = _cover(before, window, scores)
        runs = _join([*settled, *hops])
        if window.last:
            yield from (_describe(span, emotions, threshold, final=True) for span in runs)
            settled, before, hops = [], [], []
        else:
            yield _describe(runs[-1], emotions, threshold, final=False)


def _cover(hops: list[_Span], window: Window, scores: np.ndarray) -> list[_Span]:
    """Return the hops with the scores of a window added to each, and those that it is the first to cover."""
    end = window.edges[-1]  # of the last window: where the speech ended, which those before it could not know
    covered = [
        _Span(hop.start, min(hop.end, end), hop.scores + (scores - hop.scores) / (hop.windows + 1), hop.windows + 1)
        for hop in hops
        if hop.start < end
    ]
    reached = covered[-1].end if covered else window.edges[0]
    return covered + [_Span(start, stop, scores) for start, stop in pairwise(window.edges) if start >= reached]


def _join(spans: list[_Span]) -> list[_Span]:
    """Join neighbours of one best emotion, their scores weighted by their time."""
    joined = spans[:1]
    for span in spans[1:]:
        last = joined[-1]
        if last.scores.argmax() == span.scores.argmax():
            share = (span.end - span.start) / (span.end - last.start)
            joined[-1] = _Span(last.start, span.end, last.scores + share * (span.scores - last.scores))
        else:
            joined.append(span)
    return joined


def _describe(span: _Span, emotions: Sequence[str], threshold: float | None, *, final: bool) -> Segment:
    scores = dict(zip(emotions, span.scores.tolist(), strict=True))
    emotion = max(scores, key=scores.get)
    uncertain = threshold is not None and scores[emotion] < threshold
    return Segment(span.start, span.end, emotion, scores[emotion], uncertain, scores, final)
