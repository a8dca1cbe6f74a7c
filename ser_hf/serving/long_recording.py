"""Predict the emotions of a long recording: the algorithm of `ser_hf.serving.stream` in batches.

Memory is constant. Exceptions are turns of speakers, whose audio is in memory one turn at a time, and the segments of
separate channels, which are sorted by time.
"""

import logging
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np

from ser_hf.data.audio import follow_levels, name_channel, select_channel
from ser_hf.data.checks import Levels
from ser_hf.data.decoder import AudioReader, open_audio
from ser_hf.serving.emotion_segments import Segment, Window, merge
from ser_hf.serving.speaker_turns import Turn, cut_turns, overlap_test
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
    turns: Sequence[Turn] | None = None,
    speech: str = "energy",
    voices: Mapping[str, Recogniser] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Segment]:
    """Yield the segments of a recording in order; parts without speech have no segment.

    Segments are separated by a pause or a change of emotion. Without turns, they equal the final segments of `stream`
    on the same audio. With turns, no segment has speech of two turns, each has a speaker, and the order is by start and
    end, also where turns overlap.

    Args:
        classifier: An `EmotionClassifier`.
        path: Recording of any duration, see `open_audio`; channels are averaged.
        window: Longest speech that a score is based on, in seconds.
        hop: Seconds between the starts of two windows in speech without pauses.
        batch_size: Windows per batch.
        turns: Who speaks when, sorted by start; the rest of the recording has no segment. See `read_turns`.
        speech: How speech is detected: "energy", or "silero" (extra vad), which leaves out music and noises.
        voices: Models of speakers of the turns; `classifier` scores the speech of others.
        progress: Called with the share of the recording that has been read, from 0 to 1; what it raises stops the work.

    Raises:
        ValueError: If the file is unreadable, damaged or has no samples; samples are not finite or far beyond full
            scale; the channels cancel each other; a turn starts after the end of the audio; the window is not a
            multiple of the hop; the hop is not a multiple of 0.05 s; or `speech` is another text.
        ImportError: If Silero is not installed.
    """
    reader = open_audio(path)
    samples = _read_checked(reader, progress)
    options: dict[str, Any] = {"window": window, "hop": hop, "batch_size": batch_size, "voices": voices}
    overlaps = overlap_test(turns or [])
    segments = segment_samples(classifier, samples, reader.sampling_rate, turns=turns, speech=speech, **options)
    for segment in _sort_by_time(segments, turns) if turns else segments:
        yield replace(segment, overlap=overlaps(segment)) if turns else segment


def segment_samples(
    classifier: Recogniser,
    samples: Iterable[np.ndarray],
    sampling_rate: int,
    *,
    window: float = 4.0,
    hop: float = 1.0,
    batch_size: int = 8,
    turns: Sequence[Turn] | None = None,
    speech: str = "energy",
    voices: Mapping[str, Recogniser] | None = None,
) -> Iterator[Segment]:
    """Yield the segments of samples ``(T,)`` that arrive in blocks; overlap is not marked. See `timeline`."""
    windows = _cut_windows(classifier, samples, sampling_rate, turns, window=window, hop=hop, speech=speech)
    scored = _score_in_batches(classifier, windows, batch_size, voices or {})
    answer = load_task(classifier.task).answer
    segments = merge(scored, classifier.emotions, classifier.uncertainty_threshold, answer)
    yield from (segment for segment in segments if segment.final)


def _sort_by_time(segments: Iterable[Segment], turns: Sequence[Turn]) -> Iterator[Segment]:
    """Sort segments in the order of their turns by start and end, with only those of overlapping turns in memory."""
    starts: dict[str | None, list[float]] = {}
    for turn in turns:
        starts.setdefault(turn.speaker, []).append(round(turn.start, 3))  # rounded as the edges of windows
    held: list[Segment] = []
    for segment in segments:
        own = starts[segment.speaker]
        reached = own[bisect_right(own, segment.start) - 1]  # start of its turn: no later segment starts before
        ready = [each for each in held if each.start < reached]
        yield from ready
        held = sorted([*held[len(ready) :], segment], key=lambda each: (each.start, each.end))
    yield from held


def channel_timelines(
    classifier: Recogniser,
    path: str | os.PathLike,
    names: Sequence[str] = (),
    *,
    window: float = 4.0,
    hop: float = 1.0,
    batch_size: int = 8,
    speech: str = "energy",
    progress: Callable[[float], None] | None = None,
) -> list[Segment]:
    """Return the segments of each channel of a recording, as of a call with one speaker per channel, sorted by start.

    Args:
        classifier: An `EmotionClassifier`.
        path: Recording of any duration, see `open_audio`.
        names: Speaker of each channel; without names, they are "channel 1", "channel 2" and so on.
        window: As for `timeline`.
        hop: As for `timeline`.
        batch_size: As for `timeline`.
        speech: As for `timeline`.
        progress: As for `timeline`.

    Raises:
        ValueError: If the number of names is not that of the channels, or as for `timeline`.
        ImportError: If Silero is not installed.
    """
    reader = open_audio(path)
    names = names or [f"channel {number}" for number in range(1, reader.channels + 1)]
    if reader.channels == 1:
        raise ValueError(f"'{path}' has one channel: expected a recording with a speaker per channel.")
    if len({name.strip() for name in names} - {""}) != reader.channels:
        raise ValueError(f"'{path}' has {reader.channels} channels: expected a name of each, found {list(names)}.")
    options: dict[str, Any] = {"window": window, "hop": hop, "batch_size": batch_size, "speech": speech}
    segments: list[Segment] = []
    for channel, name in enumerate(names, 1):
        levels = Levels(name_channel(path, channel))
        blocks = _read_blocks(reader, progress, part=channel - 1, parts=reader.channels)
        samples = follow_levels(select_channel(blocks, channel), levels)
        found = segment_samples(classifier, samples, reader.sampling_rate, **options)
        segments += [replace(segment, speaker=name) for segment in found]
        if not levels.low.size:
            raise ValueError(f"'{path}' has no samples.")
        if levels.is_silent:
            logger.warning(f"'{path}': channel {channel} ({name}) is silent.")
    if missing := reader.describe_missing():
        logger.warning(f"'{path}' {missing}.")
    segments.sort(key=lambda segment: (segment.start, segment.end))
    overlaps = overlap_test(segments)
    return [replace(segment, overlap=overlaps(segment)) for segment in segments]


def warn_of_channels(levels: Levels) -> None:
    """Log a warning if the channels of a recording, which were averaged, are different recordings."""
    if levels.differ:
        logger.warning(
            f"{levels.name} has {len(levels.low)} different channels, which were averaged. If each is a speaker, as in "
            "a call, use --channels separate of ser-hf timeline or predict, or channel_timelines."
        )


def _cut_windows(
    classifier: Recogniser,
    samples: Iterable[np.ndarray],
    sampling_rate: int,
    turns: Sequence[Turn] | None,
    *,
    window: float,
    hop: float,
    speech: str,
) -> Iterator[Window]:
    """Yield the windows of the samples ``(T,)``, in blocks, or those of each turn with their speaker."""
    rates = sampling_rate, classifier.sampling_rate
    if turns is None:
        yield from _drop_replaced(cut_speech_windows(samples, *rates, window=window, hop=hop, speech=speech))
        return
    for turn, waveform in cut_turns(samples, sampling_rate, turns):
        for each in _drop_replaced(cut_speech_windows([waveform], *rates, window=window, hop=hop, speech=speech)):
            edges = tuple(round(turn.start + edge, 3) for edge in each.edges)
            yield replace(each, edges=edges, speaker=turn.speaker)


def _read_blocks(
    reader: AudioReader, progress: Callable[[float], None] | None, *, part: int = 0, parts: int = 1
) -> Iterator[np.ndarray]:
    """Yield the samples ``(T, channels)`` in blocks, in one of several parts of the work; report the progress."""
    if progress is None:
        yield from reader.blocks()
        return
    done, length = 0, max(1, reader.measure())
    for block in reader.blocks():
        yield block
        done += len(block)
        progress((part + done / length) / parts)


def _read_checked(reader: AudioReader, progress: Callable[[float], None] | None) -> Iterator[np.ndarray]:
    """Yield the mean of the channels ``(T,)`` in blocks; log what the file lacks."""
    levels = Levels(f"'{reader.path}'")
    yield from follow_levels(_read_blocks(reader, progress), levels)
    if not levels.low.size:
        raise ValueError(f"'{reader.path}' has no samples.")
    levels.check_channels()
    warn_of_channels(levels)
    if missing := reader.describe_missing():
        logger.warning(f"'{reader.path}' {missing}.")


def _drop_replaced(windows: Iterator[Window]) -> Iterator[Window]:
    """Drop windows that start where the next one starts, because `merge` would replace them by the next one."""
    for window, following in pairwise(chain(windows, [None])):
        if window.last or following.edges[0] != window.edges[0]:  # type: ignore[union-attr]
            yield window  # type: ignore[misc]


def _score_in_batches(
    classifier: Recogniser, windows: Iterator[Window], size: int, voices: Mapping[str, Recogniser]
) -> Iterator[tuple[Window, np.ndarray]]:
    """Yield the windows with their scores ``(C,)``; each model scores about `size` windows at a time."""
    while batch := list(islice(windows, size * max(1, len(voices)))):
        models = [voices.get(window.speaker or "", classifier) for window in batch]
        scores: list[np.ndarray] = [np.empty(0)] * len(batch)
        for model in dict.fromkeys(models):
            own = [number for number, each in enumerate(models) if each is model]
            found = model.score([model.trim(batch[number].waveform) for number in own])
            for number, row in zip(own, found, strict=True):
                scores[number] = row
        yield from zip(batch, classifier.rescale(np.stack(scores)), strict=True)
