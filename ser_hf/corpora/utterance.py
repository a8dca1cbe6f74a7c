"""The unit that every corpus yields."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Hold one stretch of speech by one speaker, with its labels; audio is not decoded yet.

    Attributes:
        path: Audio file on disk.
        corpus: Name of the corpus, as in `CORPORA`.
        emotion: Canonical emotion name (see `labels.py`).
        speaker: Speaker within the corpus; None where the corpus does not tell.
        gender: "female" or "male".
        start: First second of the utterance within the file; None for the file's beginning.
        end: Last second of the utterance within the file; None for the file's end.
        text: What is said.
        intensity: How strongly the emotion is acted, in the corpus' own words.
        repetition: Which take of the same sentence and emotion, from 1.
        vocal_channel: "speech" or "song".
        duration: Seconds from start to end, known once the file's header has been read.
    """

    path: str
    corpus: str
    emotion: str
    speaker: str | None = None
    gender: str | None = None
    start: float | None = None
    end: float | None = None
    text: str | None = None
    intensity: str | None = None
    repetition: int | None = None
    vocal_channel: str | None = None
    duration: float | None = None
