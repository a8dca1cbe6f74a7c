"""Predict the ratings of an utterance on dimensions such as arousal, each from 0 to 1.

The ratings of a corpus are scaled to 0..1 before they come here, see `ser_hf.corpora.ratings`. A regression head of
transformers predicts them; `pipeline` returns its values as they are, so that they may lie slightly outside 0..1.

Shapes: N utterances, D dimensions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
from datasets import Dataset, List, Value

from ser_hf.corpora import Utterance
from ser_hf.corpora.ratings import DIMENSIONS
from ser_hf.evaluation import figures  # imports matplotlib when it draws
from ser_hf.evaluation.bootstrap import bootstrap_intervals, choose_interval_unit, score_speakers
from ser_hf.evaluation.paired import Statistic, stack_metrics
from ser_hf.evaluation.rating_scores import rating_scores
from ser_hf.tasks import Metric

if TYPE_CHECKING:  # imports torch
    from transformers import EvalPrediction, TrainingArguments

PROBLEM_TYPE, PERCENT = "regression", False
METRICS = {
    "ccc": Metric("Concordance correlation coefficient, mean over the dimensions", "CCC", lowest=-1.0),
    "pearson": Metric("Pearson correlation, mean over the dimensions", "Pearson", lowest=-1.0, hub="pearsonr"),
}
OPTIONS = ("dimensions", "rating_scale", "regression_loss", "sampling")
CARD = {
    section: f'{{% include "dimensions/{section}.md" %}}'
    for section in ("introduction", "metrics", "details", "folds", "limits")
}
calibrate = describe_calibration = None


@dataclass
class Scores:
    """Hold the scores of one split.

    Attributes:
        utterances: Number of utterances.
        speakers: Number of known speakers.
        ccc: Concordance correlation coefficient, mean over the dimensions.
        pearson: Pearson correlation, mean over the dimensions.
        intervals: {metric: [low, high]}, 95 % intervals.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        warning: Sentence that readers of the intervals must know; None if there is none.
        per_dimension: {dimension: {ccc, pearson, mae, spread: [value, low, high]}}; mae as a share of the scale. Of a
            constant, pearson and spread are None.
        per_speaker: {speaker: {ccc, mae, utterances, gender, dimensions: {dimension: ccc}}}; ccc and mae are means
            over the dimensions.
    """

    utterances: int
    speakers: int
    ccc: float
    pearson: float
    intervals: dict[str, list[float]]
    interval_unit: str
    warning: str | None
    per_dimension: dict[str, dict[str, list[float] | None]]
    per_speaker: dict[str, dict]


def list_outputs(utterances: Iterable[Utterance]) -> list[str]:
    """Return the dimensions with at least one rating, in the order of `DIMENSIONS`.

    Raises:
        ValueError: If no utterance has a rating.
    """
    utterances = list(utterances)
    rated = [name for name in DIMENSIONS if any(getattr(utterance, name) is not None for utterance in utterances)]
    if not rated:
        raise ValueError(
            f"Expected ratings of {', '.join(DIMENSIONS)}, found none in {len(utterances)} utterances. Choose a corpus "
            "with ratings, name the columns of a table with --columns arousal=COLUMN, or leave out --task dimensions."
        )
    return rated


def target_feature(outputs: Sequence[str]) -> List:
    """Return the type of the column `label`: D ratings."""
    return List(Value("float32"), length=len(outputs))


def target_of(utterance: Utterance, outputs: Sequence[str]) -> list[float] | None:
    """Return the D ratings of an utterance; None if one is missing."""
    ratings = [getattr(utterance, name) for name in outputs]
    return None if None in ratings else ratings


def make_loss(train: Dataset, training: "TrainingArguments") -> Callable:
    """Return the loss that `regression_loss` of the training arguments names."""
    from ser_hf.tasks.losses import RegressionLoss

    return RegressionLoss(training.regression_loss)  # type: ignore[attr-defined]  # of SerTrainingArguments


def compute_metrics(prediction: "EvalPrediction") -> dict[str, float]:
    """Return ccc and pearson of values ``(N, D)`` and ratings ``(N, D)``; a constant prediction counts as 0."""
    return _means(np.asarray(prediction.label_ids), np.asarray(prediction.predictions))


def tabulate(targets: Sequence[Sequence[float]], scores: np.ndarray, outputs: Sequence[str]) -> pandas.DataFrame:
    """Return the columns target_<dimension> and score_<dimension> of N utterances.

    Examples:
        >>> tabulate([[0.5]], np.array([[0.25]]), ["arousal"]).to_dict("records")
        [{'target_arousal': 0.5, 'score_arousal': 0.25}]
    """
    rated = pandas.DataFrame(np.stack(list(targets)), columns=[f"target_{name}" for name in outputs])
    return rated.join(pandas.DataFrame(scores, columns=[f"score_{name}" for name in outputs]))


def make_statistic(table: pandas.DataFrame, outputs: Sequence[str]) -> Statistic:
    """Return a function from R arrays of row numbers of a table to the ``(R,)`` values of each metric."""
    targets, values = _values(table, outputs)
    return lambda samples: stack_metrics(_means(targets[rows], values[rows]) for rows in samples)


def summarize(table: pandas.DataFrame, outputs: Sequence[str]) -> Scores:
    """Score the rows of one split, with 95 % intervals that hold for new speakers if speakers are known.

    Examples:
        >>> rows = [["x", speaker, None, 0.2, 0.3] for speaker in "ab"] + [["x", "b", None, 0.8, 0.7]]
        >>> names = ["corpus", "speaker", "gender", "target_arousal", "score_arousal"]
        >>> round(summarize(pandas.DataFrame(rows, columns=names), ["arousal"]).ccc, 4)
        0.9143
    """
    targets, values = _values(table, outputs)
    groups = table.groupby(["corpus", "speaker"]).indices
    unit, warning = choose_interval_unit(table, len(groups))

    def statistic(rows: np.ndarray) -> dict[str, float]:
        scores = rating_scores(targets[rows], values[rows])
        each = {f"{name} {dimension}": scores[name][i] for name in scores for i, dimension in enumerate(outputs)}
        return each | _means(targets[rows], values[rows])

    scores, intervals = statistic(np.arange(len(table))), bootstrap_intervals(table, statistic, unit=unit)
    kinds = ("ccc", "pearson", "mae", "spread")
    return Scores(
        utterances=len(table),
        speakers=len(groups),
        **{name: scores[name] for name in METRICS},
        intervals={name: intervals[name] for name in METRICS},
        interval_unit=unit,
        warning=warning,
        per_dimension={
            dimension: {
                kind: _known([scores[f"{kind} {dimension}"], *intervals[f"{kind} {dimension}"]]) for kind in kinds
            }
            for dimension in outputs
        },
        per_speaker=score_speakers(table, lambda rows: _rate_speaker(targets[rows], values[rows], outputs)),
    )


def _values(table: pandas.DataFrame, outputs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets and the predicted values, each ``(N, D)``."""
    targets, values = (table[[f"{kind}_{name}" for name in outputs]].to_numpy(float) for kind in ("target", "score"))
    return targets, values


def _means(targets: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return ccc and pearson, means over the dimensions, in which an undefined correlation counts as 0."""
    scores = rating_scores(targets, values)
    return {name: float(np.nan_to_num(scores[name]).mean()) for name in METRICS}


def _known(values: list[float]) -> list[float] | None:
    """Return a score and its interval; None if the score is undefined."""
    return None if np.isnan(values).any() else values


def _rate_speaker(targets: np.ndarray, values: np.ndarray, outputs: Sequence[str]) -> dict:
    """Return the scores of the utterances of a speaker, in which an undefined CCC counts as 0."""
    each = np.nan_to_num(rating_scores(targets, values)["ccc"])
    return {
        "ccc": float(each.mean()),
        "dimensions": dict(zip(outputs, each.tolist(), strict=True)),
        "mae": float(np.abs(targets - values).mean()),
    }


def draw_scores(scores: Scores, table: pandas.DataFrame, folder: str | Path) -> None:
    """Draw the predicted against the rated values of each dimension, and the plane of valence and arousal.

    Args:
        scores: Scores of the test utterances.
        table: Rows of these utterances.
        folder: Folder for ratings.png and plane.png; it is created.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures.plot_ratings(table, list(scores.per_dimension), folder / "ratings.png")
    if {"arousal", "valence"} <= scores.per_dimension.keys():
        figures.plot_plane(table, folder / "plane.png")


def answer(scores: Mapping[str, float]) -> str:
    """Return the values of all outputs as text.

    Examples:
        >>> answer({"arousal": 5.25, "valence": 2.0})
        'arousal 5.2, valence 2.0'
    """
    return ", ".join(f"{name} {value:.1f}" for name, value in scores.items())


def match_outputs(outputs: Sequence[str], utterances: Sequence[Utterance]) -> tuple[list[str], list[str]]:
    """Return the dimensions of a model, and those that the corpus has rated too.

    Raises:
        ValueError: If there is no such dimension.
    """
    rated = list_outputs(utterances)
    if not (shared := [name for name in outputs if name in rated]):
        raise ValueError(f"Expected ratings of {list(outputs)}, as the model predicts them, found {rated}.")
    return list(outputs), shared


def restrict_scores(scores: np.ndarray, names: Sequence[str], shared: Sequence[str]) -> np.ndarray:
    """Return the values ``(N, S)`` of the shared dimensions, given all values ``(N, D)``."""
    return scores[:, [list(names).index(name) for name in shared]]
