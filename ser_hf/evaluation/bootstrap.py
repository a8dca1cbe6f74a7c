"""Compute bootstrap intervals of any statistic of a table of predictions, over speakers if they are known.

Shapes: `N` utterances, `R` resamples.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas

DEPENDABLE_SPEAKERS = 10


def choose_interval_unit(predictions: pandas.DataFrame, speakers: int) -> tuple[str, str | None]:
    """Return what the bootstrap resamples, "speaker" or "utterance", and a warning for readers or None.

    Args:
        predictions: Rows of one split, with the column `speaker`.
        speakers: Number of known speakers.
    """
    unnamed = int(predictions["speaker"].isna().sum())
    if unnamed:
        reason = f"{unnamed} of {len(predictions)} utterances have no speaker"
        return "utterance", f"95 % interval over utterances, as {reason}: it is too narrow for new speakers."
    if speakers == 1:
        return "utterance", "95 % interval over the utterances of one speaker: it says nothing about others."
    if speakers < DEPENDABLE_SPEAKERS:
        return "speaker", (
            f"95 % interval from {speakers} speakers only: read it as a rough guide "
            f"({DEPENDABLE_SPEAKERS} or more make it dependable)."
        )
    return "speaker", None


def bootstrap_intervals(
    predictions: pandas.DataFrame,
    statistic: Callable[[np.ndarray], dict[str, float]],
    *,
    unit: str,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Return the 95 % interval of each value of a statistic, from resampled speakers or utterances.

    Resamples in which a value is nan are left out; if it is nan in all of them, the bounds are nan.

    Args:
        predictions: ``N`` rows of one split.
        statistic: Values by name, given the row numbers ``(M,)`` of a resample.
        unit: "speaker" to resample speakers with all their utterances, "utterance" to resample utterances.
        resamples: Number ``R`` of resamples.
        seed: Random seed.

    Source:
        Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B, 2007.

    Examples:
        >>> table = pandas.DataFrame({"corpus": "x", "speaker": ["1", "2"], "error": [0.0, 1.0]})
        >>> errors = table["error"].to_numpy()
        >>> bootstrap_intervals(table, lambda rows: {"mean": errors[rows].mean()}, unit="speaker")
        {'mean': [0.0, 1.0]}
    """
    groups = list(np.arange(len(predictions))[:, None])
    if unit == "speaker":
        groups = list(predictions.groupby(["corpus", "speaker"]).indices.values())
    drawn = draw_rows(groups, resamples, np.random.default_rng(seed))
    values = pandas.DataFrame([statistic(rows) for rows in drawn])
    return {name: _interval(column.dropna().to_numpy(float)) for name, column in values.items()}


def _interval(values: np.ndarray) -> list[float]:
    return np.quantile(values, [0.025, 0.975]).tolist() if len(values) else [np.nan, np.nan]


def draw_rows(groups: Sequence[np.ndarray], resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the row numbers of each resample, given those of each group, such as a speaker."""
    for _ in range(resamples):
        yield np.concatenate([groups[i] for i in generator.integers(len(groups), size=len(groups))])


def score_speakers(predictions: pandas.DataFrame, score: Callable[[np.ndarray], dict]) -> dict[str, dict]:
    """Return the scores, the number of utterances and the gender of each known speaker by name, sorted.

    Args:
        predictions: Rows of one split.
        score: Function from the row numbers of a speaker to the scores.

    Examples:
        >>> table = pandas.DataFrame({"corpus": "x", "speaker": ["1", "2", "1"], "gender": [None, "female", None]})
        >>> score_speakers(table, lambda rows: {"first": int(rows[0])})["2"]
        {'first': 1, 'utterances': 1, 'gender': 'female'}
    """
    several, speakers = predictions["corpus"].nunique() > 1, {}
    for (corpus, speaker), rows in predictions.groupby(["corpus", "speaker"]).indices.items():
        genders = predictions["gender"].iloc[rows].dropna()
        counts = {"utterances": len(rows), "gender": genders.iloc[0] if len(genders) else None}
        speakers[f"{corpus}/{speaker}" if several else str(speaker)] = score(rows) | counts
    return speakers
