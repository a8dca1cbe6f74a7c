"""The unit that every corpus yields."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Hold one stretch of speech by one speaker, with its labels; audio is not decoded yet.

    Attributes:
        path: Audio file on disk.
        corpus: Name of the corpus, as in `CORPORA`.
        emotion: Canonical emotion name (see `labels.py`); what the corpus says where there is no canonical one.
        speaker: Speaker within the corpus; None where the corpus does not tell.
        gender: "female" or "male".
        age: Years.
        language: BCP 47 code, such as "en" or "pt-BR".
        session: Recording session or dialogue that several speakers may share.
        style: How the speech came about, in the corpus' own words, such as "improvised" and "scripted".
        split: Part that the corpus' owners assign: "train", "validation", "test", or a name of theirs.
        text: What is said.
        start: First second of the utterance within the file; None for the file's beginning.
        end: Last second of the utterance within the file; None for the file's end.
        duration: Seconds from start to end, known once the file's header has been read.
        intensity: How strongly the emotion is acted, in the corpus' own words.
        repetition: Which take of the same sentence and emotion, from 1.
        vocal_channel: "speech" or "song".
        valence: From unpleasant to pleasant, on the corpus' own scale.
        arousal: From calm to excited (also called activation), on the corpus' own scale.
        dominance: From weak to strong, on the corpus' own scale.
        votes: How many annotators chose each emotion, by canonical name.
    """

    path: str
    corpus: str
    emotion: str
    speaker: str | None = None
    gender: str | None = None
    age: int | None = None
    language: str | None = None
    session: str | None = None
    style: str | None = None
    split: str | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    duration: float | None = None
    intensity: str | None = None
    repetition: int | None = None
    vocal_channel: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    votes: dict[str, float] | None = field(default=None, hash=False)
