"""Predict how the annotators of an utterance voted: the share of each emotion in their votes.

A classification head of transformers predicts the shares, as `pipeline` returns them. Utterances of a corpus without
votes count as one vote for their emotion.

Shapes: N utterances, C emotions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
from datasets import Dataset, List, Value

from ser_hf.corpora import Utterance
from ser_hf.corpora.labels import NO_AGREEMENT
from ser_hf.evaluation import figures  # imports matplotlib when it draws
from ser_hf.evaluation import predictions as hard
from ser_hf.evaluation.bootstrap import bootstrap_intervals, choose_interval_unit, score_speakers
from ser_hf.evaluation.paired import Statistic, stack_metrics
from ser_hf.evaluation.vote_scores import cosine, entropy_correlation, jensen_shannon, soft_accuracy, soft_f1
from ser_hf.models.postprocessing import to_scores
from ser_hf.tasks import Metric, categories
from ser_hf.tasks.temperature_scaling import calibrate, describe_calibration

if TYPE_CHECKING:  # imports torch
    from transformers import EvalPrediction, TrainingArguments

__all__ = ["calibrate", "describe_calibration"]

PROBLEM_TYPE, PERCENT = "single_label_classification", True
METRICS = {
    "soft_accuracy": Metric("Soft accuracy", "soft accuracy"),
    "cosine": Metric("Cosine similarity", "cosine"),
    "soft_f1": Metric("Macro F1 of emotions above 1/C", "soft F1"),
}
OPTIONS = ("auxiliary_task", "no_consensus", "vote_dropout", "vote_smoothing")
CARD = {
    section: f'{{% include "votes/{section}.md" %}}'
    for section in ("introduction", "metrics", "details", "calibration", "folds", "limits")
}


@dataclass
class Scores:
    """Hold the scores of one split.

    Attributes:
        utterances: Number of utterances.
        speakers: Number of known speakers.
        soft_accuracy: Mean overlap of votes and scores, 0 to 1.
        cosine: Mean cosine similarity of votes and scores.
        soft_f1: Macro F1 of the emotions with a share above 1/C.
        jensen_shannon: Mean Jensen-Shannon divergence in bits; lower is better.
        entropy_correlation: Rank correlation of the entropies of votes and scores; None if it is undefined.
        intervals: {metric: [low, high]}, 95 % intervals, also of jensen_shannon.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        warning: Sentence that readers of the intervals must know; None if there is none.
        per_emotion: {emotion: {votes, score}}: mean share of the votes, and mean score.
        per_speaker: {speaker: {soft_accuracy, utterances, gender}}.
        majority: Scores as categories of the utterances in which one emotion has the most votes; None without any.
    """

    utterances: int
    speakers: int
    soft_accuracy: float
    cosine: float
    soft_f1: float
    jensen_shannon: float
    entropy_correlation: float | None
    intervals: dict[str, list[float]]
    interval_unit: str
    warning: str | None
    per_emotion: dict[str, dict[str, float]]
    per_speaker: dict[str, dict]
    majority: hard.Scores | None


def list_outputs(utterances: Iterable[Utterance]) -> list[str]:
    """Return the sorted emotions of the utterances, without "no_agreement".

    Raises:
        ValueError: If no utterance has more than one vote.
    """
    utterances = list(utterances)
    most = max((sum((utterance.votes or {}).values()) for utterance in utterances), default=0)
    if most <= 1:
        raise ValueError(
            f"Expected utterances with the votes of several annotators, found {len(utterances)} utterances with at "
            f"most {most:g}. Leave out --task votes, or name the columns of a table with --columns."
        )
    return sorted({utterance.emotion for utterance in utterances} - {NO_AGREEMENT})


def target_feature(outputs: Sequence[str]) -> List:
    """Return the type of the column `label`: the number of votes for each of C emotions."""
    return List(Value("float32"), length=len(outputs))


def target_of(utterance: Utterance, outputs: Sequence[str]) -> list[float] | None:
    """Return the number of votes for each emotion; None if all votes are for emotions that are no outputs."""
    votes = {utterance.emotion: 1.0} if utterance.votes is None else utterance.votes
    counts = [float(votes.get(name, 0.0)) for name in outputs]
    return counts if any(counts) else None


def count_votes(utterances: Iterable[Utterance], outputs: Sequence[str]) -> tuple[dict[str, float], int]:
    """Return the votes that are not used, by emotion, and the number of utterances without votes.

    Votes for emotions that are no outputs are not used; the other votes of the utterance then count as all of its
    votes. An utterance without votes counts as one vote for its emotion.
    """
    unused, without = Counter[str](), 0
    for utterance in utterances:
        without += utterance.votes is None
        for emotion, count in (utterance.votes or {}).items():
            if emotion not in outputs:
                unused[emotion] += count  # type: ignore[assignment]  # counts may be fractions
    return dict(sorted(unused.items())), without


def make_loss(train: Dataset, training: "TrainingArguments") -> Callable:
    """Return the divergence from the votes, with the smoothing and annotator dropout of the training arguments."""
    from ser_hf.tasks.losses import VoteDivergence

    return VoteDivergence(smoothing=training.vote_smoothing, dropout=training.vote_dropout)  # type: ignore[attr-defined]


def compute_metrics(prediction: "EvalPrediction") -> dict[str, float]:
    """Return soft_accuracy, cosine and soft_f1 of logits ``(N, C)`` and numbers of votes ``(N, C)``."""
    scores = to_scores(np.asarray(prediction.predictions), PROBLEM_TYPE)
    return _compute_scores(_shares(np.asarray(prediction.label_ids, dtype=float)), scores)


def tabulate(targets: Sequence[Sequence[float]], scores: np.ndarray, outputs: Sequence[str]) -> pandas.DataFrame:
    """Return the columns target, prediction, target_<emotion> and score_<emotion> of N utterances.

    `target` is the emotion with the most votes, empty if several have as many; `target_<emotion>` is its share.

    Examples:
        >>> tabulate([[1, 3], [1, 1]], np.array([[0.5, 0.5], [0.25, 0.75]]), ["happy", "sad"])["target"].tolist()
        ['sad', '']
    """
    votes = _shares(np.stack(list(targets)).astype(float))
    tied = (votes == votes.max(1, keepdims=True)).sum(1) > 1
    columns = {
        "target": ["" if tie else outputs[row.argmax()] for row, tie in zip(votes, tied, strict=True)],
        "prediction": [outputs[best] for best in scores.argmax(1)],
        **{f"target_{name}": votes[:, i] for i, name in enumerate(outputs)},
        **{f"score_{name}": scores[:, i] for i, name in enumerate(outputs)},
    }
    return pandas.DataFrame(columns)


def make_statistic(table: pandas.DataFrame, outputs: Sequence[str]) -> Statistic:
    """Return a function from R arrays of row numbers to the ``(R,)`` values of each metric, and jensen_shannon."""
    score = _make_score(table, outputs)
    return lambda samples: stack_metrics(map(score, samples))


def _make_score(table: pandas.DataFrame, outputs: Sequence[str]) -> Callable[[np.ndarray], dict[str, float]]:
    """Return a function from row numbers ``(M,)`` to the metrics of these rows, and jensen_shannon."""
    votes, scores = _values(table, outputs)
    divergence = jensen_shannon(votes, scores)
    return lambda rows: _compute_scores(votes[rows], scores[rows]) | {"jensen_shannon": float(divergence[rows].mean())}


def summarize(table: pandas.DataFrame, outputs: Sequence[str]) -> Scores:
    """Score the rows of one split, with 95 % intervals that hold for new speakers if speakers are known."""
    votes, scores = _values(table, outputs)
    statistic, overlaps = _make_score(table, outputs), soft_accuracy(votes, scores)
    groups = table.groupby(["corpus", "speaker"]).indices
    unit, warning = choose_interval_unit(table, len(groups))
    agreed = table[table["target"].fillna("") != ""]
    return Scores(
        utterances=len(table),
        speakers=len(groups),
        **statistic(np.arange(len(table))),
        entropy_correlation=entropy_correlation(votes, scores),
        intervals=bootstrap_intervals(table, statistic, unit=unit),
        interval_unit=unit,
        warning=warning,
        per_emotion={
            name: {"votes": float(votes[:, i].mean()), "score": float(scores[:, i].mean())}
            for i, name in enumerate(outputs)
        },
        per_speaker=score_speakers(table, lambda rows: {"soft_accuracy": float(overlaps[rows].mean())}),
        majority=hard.summarize(agreed, outputs) if len(agreed) else None,
    )


def _values(table: pandas.DataFrame, outputs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of the votes and the scores, each ``(N, C)``."""
    votes, scores = (table[[f"{kind}_{name}" for name in outputs]].to_numpy(float) for kind in ("target", "score"))
    return votes, scores


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(1, keepdims=True)


def _compute_scores(votes: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return {
        "soft_accuracy": float(soft_accuracy(votes, scores).mean()),
        "cosine": float(cosine(votes, scores).mean()),
        "soft_f1": soft_f1(votes, scores),
    }


def draw_scores(scores: Scores, table: pandas.DataFrame, folder: str | Path) -> None:
    """Draw votes and scores by emotion, and the confusion matrix of the utterances with a majority.

    Args:
        scores: Scores of the test utterances.
        table: Rows of these utterances.
        folder: Folder for votes.png and confusion.png; it is created.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures.plot_votes(scores.per_emotion, folder / "votes.png")
    if scores.majority:
        figures.plot_confusion(scores.majority, folder / "confusion.png")


def answer(scores: Mapping[str, float]) -> str:
    """Return the emotion with the largest share; if there are several, the first one."""
    return categories.answer(scores)


def match_outputs(outputs: Sequence[str], utterances: Sequence[Utterance]) -> tuple[list[str], list[str]]:
    """Return the emotions of a model with the names of a corpus, and the sorted emotions that both have."""
    return categories.match_outputs(outputs, [row for row in utterances if row.emotion != NO_AGREEMENT])


def restrict_scores(scores: np.ndarray, names: Sequence[str], shared: Sequence[str]) -> np.ndarray:
    """Return the scores ``(N, S)`` of the shared emotions, see `categories.restrict_scores`."""
    return categories.restrict_scores(scores, names, shared)
