"""Define the unit that every corpus yields."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Hold one utterance of one speaker with its labels; the audio is not decoded.

    A field is None if the corpus does not provide it.

    Attributes:
        path: Audio file on disk.
        corpus: Name of the corpus, a key of `CORPORA`.
        emotion: Canonical emotion name (see `labels.py`), or the corpus' own name if there is no canonical one.
        speaker: Speaker, unique within the corpus.
        gender: "female" or "male".
        age: Age in years.
        language: BCP 47 code, such as "en" or "pt-BR".
        session: Recording session or dialogue, possibly of several speakers.
        style: How the speech was elicited, in the corpus' own words, such as "improvised" or "scripted".
        split: Part defined by the owners: "train", "validation", "test", or a name of their own.
        text: Transcript.
        start: Start of the utterance in the file, in seconds; None for the start of the file.
        end: End of the utterance in the file, in seconds; None for the end of the file.
        duration: Duration in seconds, set when the header of the file has been read.
        intensity: Intensity of the acted emotion, in the corpus' own words.
        repetition: Take of the same sentence and emotion, from 1.
        vocal_channel: "speech" or "song".
        valence: From unpleasant to pleasant, on the corpus' own scale.
        arousal: From calm to excited (also called activation), on the corpus' own scale.
        dominance: From weak to strong, on the corpus' own scale.
        problem: Why the utterance cannot be used, such as times that make no sense; it is skipped and listed.
        votes: Number of annotators who chose each emotion, by canonical name.

    Examples:
        >>> utterance = Utterance(path="a.wav", corpus="table", emotion="sad", start=1.5, end=4.0)
        >>> utterance.end - utterance.start, utterance.speaker
        (2.5, None)
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
    problem: str | None = None
    votes: dict[str, float] | None = field(default=None, hash=False)
