"""The prediction of one file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """Hold the scores of a file or of a part of it, or the error if it is unreadable or silent.

    Attributes:
        path: Path as given.
        start: Start in the file in seconds, as given; None for the start of the file.
        end: End in the file in seconds, as given; None for the end of the file.
        duration: Seconds of audio before trimming; None if the file is unreadable.
        emotion: The emotion with the best score, "mixed" for a recording without a dominant emotion, or what another
            task answers; None if there is an error.
        scores: Score of every emotion, best first, or rating of every dimension; None if there is an error.
        error: Message of the error; None if there is none.
        missing: Seconds that the header promises and the file lacks; NaN for an unknown number; None if the file is
            unreadable.
        uncertain: Whether the best score, or those of most speech of a recording, are below the `uncertainty_threshold`
            of the classifier; None if the model is not calibrated, or there is an error.
        channel: Number of the channel, from 1; None for the mean of the channels.

    Examples:
        >>> Prediction("a.wav", None, None, 2.5, "sad", {"sad": 0.7, "happy": 0.3}, None).scores["sad"]
        0.7
    """

    path: str
    start: float | None
    end: float | None
    duration: float | None
    emotion: str | None
    scores: dict[str, float] | None
    error: str | None
    missing: float | None = None
    uncertain: bool | None = None
    channel: int | None = None
