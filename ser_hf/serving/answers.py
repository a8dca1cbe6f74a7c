"""Answer audio of any duration: utterances as a whole, in batches, and recordings by their speech, one by one.

Audio of more than 30 s is a recording: it has pauses, and often several emotions. Therefore only its speech counts: the
segments of `ser_hf.serving.long_recording` are summarised, so that the answer and the timeline agree. An utterance is
scored with all that is in the file, as the stock pipeline does.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ser_hf.data.audio import follow_levels, name_channel, select_channel
from ser_hf.data.checks import Levels, SilenceError
from ser_hf.data.decoder import open_audio
from ser_hf.data.hearing import Hearing
from ser_hf.serving.decoding import (
    LONGEST,
    SECONDS_AHEAD,
    Item,
    Piece,
    Source,
    decode_ahead,
    find_source,
    plan,
    split_item,
    to_waveform,
)
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import segment_samples, warn_of_channels
from ser_hf.serving.prediction import Prediction
from ser_hf.serving.segment_summary import summarize
from ser_hf.tasks import load_task

if TYPE_CHECKING:
    from ser_hf.serving.classifier import EmotionClassifier

LONG = 30.0  # seconds; longer audio is a recording


class Answer(NamedTuple):
    """Hold the answer to some audio; the fields are those of `Prediction`."""

    emotion: str
    scores: dict[str, float]
    uncertain: bool | None


Outcome = tuple[Source, Answer | Exception]


def find_answers(
    classifier: "EmotionClassifier",
    items: Iterable[Item],
    sampling_rate: int | None = None,
    *,
    batch_size: int,
    speech: str,
) -> Iterator[Outcome]:
    """Yield each source in order with its answer, or with the error that it has instead.

    Args:
        classifier: The model.
        items: Paths, paths with start and end in seconds, the same with a channel, and arrays.
        sampling_rate: Sampling rate of the arrays in Hz.
        batch_size: Utterances, or windows of a recording, per batch.
        speech: How the speech of recordings is detected, see `timeline`.
    """
    found = ((item, _find_recording(item, sampling_rate, classifier.hearing)) for item in items)
    for is_utterance, group in groupby(found, key=lambda pair: pair[1] is None):
        if is_utterance:
            pieces = chain.from_iterable(plan(item, sampling_rate, classifier.hearing) for item, _ in group)
            yield from _answer_utterances(classifier, pieces, batch_size)
            continue
        for item, source in group:
            assert source is not None
            try:
                yield source, _answer_recording(classifier, item, sampling_rate, batch_size=batch_size, speech=speech)
            except (ValueError, OSError) as error:
                yield source, error


def _find_recording(item: Item, sampling_rate: int | None, hearing: Hearing) -> Source | None:
    """Return the source of a recording; None for an utterance, a model that needs the audio whole, and an error."""
    try:
        source = find_source(item, sampling_rate)
    except (ValueError, OSError):
        return None
    assert source.duration is not None
    return source if is_recording(source.duration, hearing) else None


def is_recording(seconds: float, hearing: Hearing) -> bool:
    """Return whether audio is answered by its speech."""
    return max(LONG, hearing.max_duration) < seconds <= LONGEST


def _answer_utterances(classifier: "EmotionClassifier", pieces: Iterable[Piece], batch_size: int) -> Iterator[Outcome]:
    """Answer each source with the mean scores of its pieces; silent pieces do not count, unless all are silent."""
    answer, threshold = load_task(classifier.task).answer, classifier.uncertainty_threshold
    scored: list[np.ndarray] = []
    failure: Exception | None = None
    silence: Exception | None = None
    for block in decode_ahead(pieces, seconds=SECONDS_AHEAD * batch_size):
        waveforms = [decoded for _, decoded in block if not isinstance(decoded, Exception)]
        scores = iter(classifier.score(waveforms, batch_size=batch_size))
        for piece, decoded in block:
            if isinstance(decoded, SilenceError):
                silence = decoded
            elif isinstance(decoded, Exception):
                failure = failure or decoded
            else:
                scored.append(next(scores))
            if not piece.final:
                continue
            if failure or not scored:
                yield piece.source, failure or silence  # type: ignore[misc]
            else:
                named = _order(classifier, classifier.rescale(np.mean(scored, axis=0)).tolist())
                uncertain = None if threshold is None else max(named.values()) < threshold
                yield piece.source, Answer(answer(named), named, uncertain)
            scored, failure, silence = [], None, None


def _answer_recording(
    classifier: "EmotionClassifier", item: Item, sampling_rate: int | None, *, batch_size: int, speech: str
) -> Answer:
    """Answer a recording by the summary of its segments, which are found in constant memory.

    Raises:
        SilenceError: If it is silent.
        ValueError: If it has no speech, or as for `timeline`.
    """
    if hasattr(item, "__array__"):
        name, rate = "The array", classifier.sampling_rate
        samples: Iterable[np.ndarray] = [to_waveform(np.asarray(item), sampling_rate)]
        levels = None
    else:
        path, start, end, channel = split_item(item)
        reader, name = open_audio(path), name_channel(path, channel)
        rate, levels = reader.sampling_rate, Levels(name)
        samples = follow_levels(select_channel(reader.blocks(start or 0.0, end), channel), levels)
    segments = list(segment_samples(classifier, samples, rate, batch_size=batch_size, speech=speech))
    if levels is not None:
        levels.check()
        warn_of_channels(levels)
    if not segments:
        raise ValueError(f"{name} has sound but no speech: expected speech. Is it too quiet, or music?")
    return answer_segments(classifier, segments)


def answer_segments(classifier: "EmotionClassifier", segments: Sequence[Segment]) -> Answer:
    """Return the answer to a recording from its segments, of which there is at least one."""
    found = summarize(segments, load_task(classifier.task).answer)
    uncertain = None if classifier.uncertainty_threshold is None else found.uncertain
    return Answer(found.emotion, _order(classifier, list(found.scores.values())), uncertain)


def to_prediction(source: Source, outcome: Answer | Exception) -> Prediction:
    """Return the prediction of a file from what `find_answers` yields for it."""
    assert source.path is not None
    error, answer = (str(outcome), (None, None, None)) if isinstance(outcome, Exception) else (None, outcome)
    emotion, scores, uncertain = answer
    return Prediction(
        source.path,
        source.start,
        source.end,
        source.duration,
        emotion,
        scores,
        error,
        source.missing,
        uncertain,
        source.channel,
    )


def _order(classifier: "EmotionClassifier", scores: list[float]) -> dict[str, float]:
    """Return the scores of the emotions by name, best first; ratings stay in their order."""
    order = range(len(scores)) if classifier.rating_scale else np.argsort(-np.array(scores), kind="stable")
    return {classifier.emotions[i]: scores[i] for i in order}
