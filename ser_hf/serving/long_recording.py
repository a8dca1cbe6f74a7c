"""Predict the emotions of a long recording in constant memory: the algorithm of `ser_hf.serving.stream` in batches."""

import logging
import os
from collections.abc import Iterator
from itertools import chain, islice, pairwise

import numpy as np

from ser_hf.data.audio import follow_levels
from ser_hf.data.checks import Levels
from ser_hf.data.decoder import AudioReader, open_audio
from ser_hf.serving.emotion_segments import Segment, Window, merge
from ser_hf.serving.stream import Recogniser, cut_speech_windows
from ser_hf.tasks import load_task

logger = logging.getLogger(__name__)


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
        path: Recording of any duration, see `open_audio`; channels are averaged.
        window: Longest speech that a score is based on, in seconds.
        hop: Seconds between the starts of two windows in speech without pauses.
        batch_size: Windows per batch.

    Raises:
        ValueError: If the file is unreadable, damaged or has no samples; samples are not finite or far beyond full
            scale; the channels cancel each other; the window is not a multiple of the hop; or the hop is not a multiple
            of 0.05 s.
    """
    reader = open_audio(path)
    chunks, wanted = _read_checked(reader), classifier.sampling_rate
    windows = cut_speech_windows(chunks, reader.sampling_rate, wanted, window=window, hop=hop)
    scored = _score_in_batches(classifier, _drop_replaced(windows), batch_size)
    segments = merge(scored, classifier.emotions, classifier.uncertainty_threshold, load_task(classifier.task).answer)
    yield from (segment for segment in segments if segment.final)


def _read_checked(reader: AudioReader) -> Iterator[np.ndarray]:
    """Yield the mean of the channels ``(T,)`` in blocks; log what the file lacks."""
    levels = Levels(f"'{reader.path}'")
    yield from follow_levels(reader.blocks(), levels)
    if not levels.low.size:
        raise ValueError(f"'{reader.path}' has no samples.")
    levels.check_channels()
    if missing := reader.describe_missing():
        logger.warning(f"'{reader.path}' {missing}.")


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
