"""The scales on which corpora rate arousal, valence and dominance, and the conversion of ratings to 0..1."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ser_hf.corpora.utterance import Utterance

DIMENSIONS = ("arousal", "valence", "dominance")
# Lowest and highest rating of each corpus that has ratings, from the papers and readme files of their owners.
RATING_SCALES: dict[str, tuple[float, float]] = {
    "iemocap": (1, 5),
    "msp_improv": (1, 5),
    "msp_podcast": (1, 7),
    "synthetic": (1, 7),
}


def scale_ratings(
    utterances: Iterable[Utterance], scales: Mapping[str, tuple[float, float]], dimensions: Sequence[str]
) -> Iterator[Utterance]:
    """Yield utterances with ratings from 0 to 1 on the requested dimensions, and without ratings on the others.

    Args:
        utterances: Utterances with ratings on the scale of their corpus.
        scales: Lowest and highest rating by corpus.
        dimensions: Some of `DIMENSIONS`.

    Raises:
        ValueError: If the scale of a corpus with ratings is unknown, or a rating is outside the scale.

    Examples:
        >>> rated = Utterance(path="a.wav", corpus="iemocap", emotion="sad", arousal=2.0, valence=1.0)
        >>> (scaled,) = scale_ratings([rated], RATING_SCALES, ["arousal"])
        >>> scaled.arousal, scaled.valence
        (0.25, None)
    """
    for utterance in utterances:
        ratings = {name: getattr(utterance, name) if name in dimensions else None for name in DIMENSIONS}
        scaled = {name: _scale(utterance, name, value, scales) for name, value in ratings.items()}
        yield replace(utterance, **scaled)  # type: ignore[arg-type]


def _scale(
    utterance: Utterance, name: str, value: float | None, scales: Mapping[str, tuple[float, float]]
) -> float | None:
    if value is None:
        return None
    if utterance.corpus not in scales:
        raise ValueError(
            f"rating_scale: the scale of '{utterance.corpus}' is unknown. Pass its lowest and highest rating, such as "
            "--rating_scale 1 5."
        )
    low, high = scales[utterance.corpus]
    if not low <= value <= high:
        raise ValueError(
            f"rating_scale: expected ratings from {low:g} to {high:g} in '{utterance.corpus}', found {name} "
            f"{value:g} of '{utterance.path}'. Pass the right scale with --rating_scale LOWEST HIGHEST."
        )
    return (value - low) / (high - low)
