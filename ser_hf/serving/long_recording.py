"""Predict the emotions of a long recording in constant memory: the algorithm of `ser_hf.serving.stream` in batches."""

import os
from collections.abc import Iterator
from itertools import chain, islice, pairwise

import numpy as np

from ser_hf.data.audio import read_header
from ser_hf.serving.emotion_segments import Segment, Window, merge
from ser_hf.serving.resampling import read_chunks
from ser_hf.serving.stream import Recogniser, cut_speech_windows
from ser_hf.tasks import load_task


def timeline(
    classifier: Recogniser,
    path: str | os.PathLike,
    *,
    window: float = 4.0,
    hop: float = 1.0,
    batch_size: int = 8,
) -> Iterator[Segment]:
    """Yield the segments of a recording in order; parts without speech have no segment.

    Segments are separated by a pause or a change of emotion. They equal the final segments of `stream` on the same
    audio.

    Args:
        classifier: An `EmotionClassifier`.
        path: wav, flac, mp3, ogg, opus, aiff or any other format of libsndfile, of any duration; channels are averaged.
        window: Longest speech that a score is based on, in seconds.
        hop: Seconds between the starts of two windows in speech without pauses.
        batch_size: Windows per batch.

    Raises:
        ValueError: If the file is unreadable, has no samples, or has samples that are not finite; the window is not a
            multiple of the hop; or the hop is not a multiple of 0.05 s.
    """
    rate = read_header(path).sampling_rate
    windows = cut_speech_windows(read_chunks(path), rate, classifier.sampling_rate, window=window, hop=hop)
    scored = _score_in_batches(classifier, _drop_replaced(windows), batch_size)
    segments = merge(scored, classifier.emotions, classifier.uncertainty_threshold, load_task(classifier.task).answer)
    yield from (segment for segment in segments if segment.final)


def _drop_replaced(windows: Iterator[Window]) -> Iterator[Window]:
    """Drop windows that start where the next one starts, because `merge` would replace them by the next one."""
    for window, following in pairwise(chain(windows, [None])):
        if window.last or following.edges[0] != window.edges[0]:  # type: ignore[union-attr]
            yield window  # type: ignore[misc]


def _score_in_batches(
    classifier: Recogniser, windows: Iterator[Window], size: int
) -> Iterator[tuple[Window, np.ndarray]]:
    while batch := list(islice(windows, size)):
        scores = classifier.score([classifier.trim(window.waveform) for window in batch])
        yield from zip(batch, classifier.rescale(scores), strict=True)
