"""Answer requests of the service: from the bytes of a recording to scores and segments, and from chunks to events.

The names are those of tables of predictions and of timelines.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_hf.serving.answers import Answer as Recognised
from ser_hf.serving.answers import answer_segments, find_answers, is_recording
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import segment_samples
from ser_hf.serving.segment_files import describe_segment
from ser_hf.serving.service.errors import UploadError
from ser_hf.serving.service.recordings import WIDTH, check_width, decode_upload, round_missing
from ser_hf.serving.stream import stream

WINDOWS = 8  # of a recording, scored together


@dataclass(frozen=True)
class AnswerSegment:
    """A part of the recording with one emotion; parts without speech have no segment.

    `start` and `end` are seconds from the start of the recording. `uncertain` is null if the model is not calibrated.
    """

    start: float
    end: float
    emotion: str
    score: float
    uncertain: bool | None
    scores: dict[str, float]


@dataclass(frozen=True)
class Answer:
    """What the model recognises in a recording.

    `duration` is in seconds. `missing` is the number of seconds that the header of the file promises and the file
    lacks, and null if it is unknown. `prediction` is the emotion with the best score, or the ratings in words; of more
    than 30 s of audio, it is the emotion of most of the speech, or "mixed".
    `uncertain` is true if the best score is below the threshold of the model, and null if the model is not calibrated.
    `scores` has the score of each emotion, or the rating of each dimension. `notes` has sentences about what was
    unusual in the recording. `segments` is null unless the request asks for segments.
    """

    duration: float
    missing: float | None
    prediction: str
    uncertain: bool | None
    scores: dict[str, float]
    notes: list[str]
    segments: list[AnswerSegment] | None = None


def answer_recording(classifier: EmotionClassifier, content: bytes, *, segments: bool, longest: float) -> Answer:
    """Return the answer to a recording.

    Args:
        classifier: The model.
        content: The bytes of an audio file.
        segments: Whether the answer has segments.
        longest: Longest accepted duration in seconds.

    Raises:
        UploadError: For the reasons of `decode_upload`, or if a long recording has no speech.
    """
    waveform, duration, missing, notes = decode_upload(content, longest=longest)
    rate = classifier.sampling_rate
    found = list(segment_samples(classifier, [waveform], rate, batch_size=WINDOWS)) if segments else []
    is_summary = found and is_recording(len(waveform) / rate, classifier.hearing)  # computed once
    answer = answer_segments(classifier, found) if is_summary else _answer(classifier, waveform)
    return Answer(
        duration=round(duration, 6),  # microseconds, as in tables of predictions
        missing=round_missing(missing),
        prediction=answer.emotion,
        uncertain=answer.uncertain,
        scores=answer.scores,
        notes=notes,
        segments=[AnswerSegment(**_describe(classifier, segment)) for segment in found] if segments else None,
    )


def answer_stream(
    classifier: EmotionClassifier, chunks: Iterable[bytes], sampling_rate: int, send: Callable[[dict], object]
) -> None:
    """Send an event for each segment of live audio, as `ser_hf.serving.stream.stream` yields them.

    Args:
        classifier: The model.
        chunks: Samples of 16 bits, little-endian, mono, of any size.
        sampling_rate: In Hz.
        send: Sends an event: a segment with `final`, which is false if later audio may change it.

    Raises:
        ValueError: If a chunk has an odd number of bytes, or the sampling rate is none.
    """
    for segment in stream(classifier, map(_to_samples, chunks), sampling_rate):
        send(_describe(classifier, segment) | {"final": segment.final})


def _answer(classifier: EmotionClassifier, waveform: np.ndarray) -> Recognised:
    rate = classifier.sampling_rate
    _, outcome = next(find_answers(classifier, [waveform], rate, batch_size=WINDOWS, speech="energy"))
    if isinstance(outcome, RuntimeError):  # of the model
        raise outcome
    if isinstance(outcome, Exception):
        raise UploadError(str(outcome).replace("The array", "The recording")) from outcome
    return outcome


def _describe(classifier: EmotionClassifier, segment: Segment) -> dict[str, Any]:
    row = describe_segment(segment)
    return row if classifier.uncertainty_threshold is not None else row | {"uncertain": None}


def _to_samples(chunk: bytes) -> np.ndarray:
    check_width(chunk)
    return np.frombuffer(chunk, "<i2").astype(np.float32) / np.float32(1 << 8 * WIDTH - 1)
