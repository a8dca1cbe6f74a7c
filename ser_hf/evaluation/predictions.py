"""Write and read the table `predictions.csv`, and summarise that of the task "categories".

A model is run once; scores, intervals, figures and cards are computed from the saved table, so an evaluation
can be repeated without the model. The table has one row per utterance, in the order of the dataset:

    path, start, end, corpus, speaker, gender, split, <columns of the task>, score_<output>, score_<output>, …

`start` and `end` are in seconds. `start`, `end`, `speaker` and `gender` are empty if unknown. Each `score_<output>` is
what `pipeline` gives to the output of that name, in full float precision. The columns of the task are the targets,
numbers as `target_<output>` or text as `target`, and text such as `prediction`. In the task "categories" they are
`target` and `prediction`, which are emotions, and the scores are probabilities.

Shapes: `C` emotions, `S` speakers, `R` resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import ArrayLike

from ser_hf.cache import whole_file
from ser_hf.escaping import cell, plain_cell
from ser_hf.evaluation.bootstrap import choose_interval_unit, score_speakers
from ser_hf.evaluation.resampling import (
    draw_groups,
    list_blocks,
    number_cells,
    number_groups,
    resample_groups,
    score_blocks,
)
from ser_hf.evaluation.scores import METRICS, compute_scores, count_confusion, ua, wa

COLUMNS = ["path", "start", "end", "corpus", "speaker", "gender", "split"]  # of every task


def average_windows(scores: np.ndarray, utterances: ArrayLike) -> np.ndarray:
    """Return the scores of each utterance as the mean over its windows.

    Args:
        scores: ``(N, C)`` probabilities of N windows.
        utterances: ``(N,)`` index of the utterance of each window, from 0 to U - 1.

    Returns:
        ``(U, C)`` scores by utterance index.

    Examples:
        >>> average_windows(np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]), [0, 1, 0]).tolist()
        [[0.5, 0.5], [0.25, 0.75]]
    """
    index = np.asarray(utterances)
    sums = np.zeros((index.max() + 1, scores.shape[1]))
    np.add.at(sums, index, scores)
    return sums / np.bincount(index)[:, None]


def write_predictions(predictions: pandas.DataFrame, path: str | Path) -> None:
    """Write a table of predictions without loss of precision.

    Args:
        predictions: One row per utterance, with the columns of the module description in that order.
        path: CSV file to write.

    Raises:
        ValueError: If the columns are not those of the module description.
    """
    columns = list(predictions.columns)
    _check_columns(columns, "the predictions to write")
    # as float64 first: the shortest decimal text of a float32 is another number when read as float64
    with whole_file(path) as partial:
        rows = predictions.astype(_float_columns(columns))
        texts = {name: rows[name].map(cell) for name in rows.select_dtypes(exclude="number")}
        rows.assign(**texts).to_csv(partial, index=False, lineterminator="\n")


def read_predictions(path: str | Path) -> pandas.DataFrame:
    """Read a table of predictions.

    Args:
        path: CSV file written by `write_predictions`.

    Returns:
        One row per utterance. Names are strings (speaker '01' stays '01', a corpus may have the name 'NA'), seconds and
        scores are float64, and empty cells are missing values (`isna`). The apostrophe before texts such as "=1+1",
        which keeps spreadsheets from computing them, is removed.

    Raises:
        ValueError: If the columns are not those of the module description.

    Examples:
        >>> import tempfile
        >>> row = ["a.wav", None, None, "ravdess", "01", "male", "test", "sad", "sad", 0.25, 0.75]
        >>> names = [*COLUMNS, "target", "prediction", "score_happy", "score_sad"]
        >>> predictions = pandas.DataFrame([row], columns=names)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_predictions(predictions, f"{folder}/predictions.csv")
        ...     read_predictions(f"{folder}/predictions.csv")["speaker"].tolist()
        ['01']
    """
    empty = {name: [""] for name in ["start", "end", "speaker", "gender"]}
    # read as text, then converted: the float parser of read_csv is not exact in every version of pandas
    predictions = pandas.read_csv(path, dtype=str, keep_default_na=False, na_values=empty)
    columns = list(predictions.columns)
    _check_columns(columns, f"'{path}'")
    numbers = _float_columns(columns)
    texts = {name: predictions[name].map(plain_cell, na_action="ignore") for name in columns if name not in numbers}
    return predictions.assign(**texts).astype(numbers)


@dataclass
class Scores:
    """Hold the scores of one split.

    Attributes:
        utterances: Number of utterances.
        speakers: Number of known speakers.
        wa: Weighted accuracy, the share of correct predictions.
        ua: Unweighted average recall.
        macro_f1: Mean F1 over the emotions.
        intervals: {metric: [low, high]}, 95 % intervals.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        warning: What a reader of the intervals has to know, a sentence; None if nothing.
        per_emotion: {emotion: {precision, recall, f1, support}}.
        confusion: "emotions" and "counts" ``(C, C)``, a row per target.
        per_speaker: {speaker: {ua, wa, utterances, gender}}.
        per_gender: {gender: {ua, wa, utterances, speakers}} of known genders; None in results of older versions.
    """

    utterances: int
    speakers: int
    wa: float
    ua: float
    macro_f1: float
    intervals: dict[str, list[float]]
    interval_unit: str
    warning: str | None
    per_emotion: dict[str, dict]
    confusion: dict[str, list]
    per_speaker: dict[str, dict]
    per_gender: dict[str, dict] | None = None


def summarize(
    predictions: pandas.DataFrame, emotions: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> Scores:
    """Score the rows of one split, with 95 % intervals that hold for new speakers.

    The utterances of a speaker are not independent, so the interval (percentiles of a bootstrap) resamples speakers
    with all their utterances. If speakers are unknown, it resamples utterances, and ``warning`` says so. Emotions
    that are absent from a resample are left out of its means. Equal speaker names in two corpora are two speakers; if
    there are several corpora, speakers are named ``corpus/speaker``.

    Args:
        predictions: Rows of `read_predictions` of one split.
        emotions: The ``C`` emotions in the order of the confusion matrix.
        resamples: Number ``R`` of bootstrap resamples.
        seed: Random seed of the bootstrap.

    Raises:
        ValueError: If there is no row, or a target or prediction is not in `emotions`.

    Source:
        Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B, 2007.

    Examples:
        >>> right = {"corpus": "x", "speaker": "1", "gender": None, "target": "sad", "prediction": "sad"}
        >>> wrong = {**right, "speaker": "2", "prediction": "happy"}
        >>> summary = summarize(pandas.DataFrame([right, wrong]), ["happy", "sad"])
        >>> summary.ua, summary.intervals["ua"], summary.interval_unit
        (0.5, [0.0, 1.0], 'speaker')
    """
    targets, answers = (predictions[name].to_numpy(object) for name in ("target", "prediction"))
    scores = compute_scores(targets, answers, emotions)
    speakers = predictions.groupby(["corpus", "speaker"]).indices  # sorted; unknown speakers are left out
    unit, warning = choose_interval_unit(predictions, len(speakers))
    generator = np.random.default_rng(seed)
    if unit == "speaker":
        draws = draw_groups(len(speakers), resamples, generator)
        cells, groups = number_cells(predictions, "prediction", emotions), number_groups(speakers.values())
        blocks = resample_groups(cells, groups, draws, len(emotions))
    else:
        blocks = _resample_utterances(np.array(scores["confusion"]), resamples, generator)
    resampled = score_blocks(blocks)
    return Scores(
        utterances=len(predictions),
        speakers=len(speakers),
        **{name: scores[name] for name in METRICS},
        intervals={name: np.quantile(values, [0.025, 0.975]).tolist() for name, values in resampled.items()},
        interval_unit=unit,
        warning=warning,
        per_emotion=scores["per_emotion"],
        confusion={"emotions": list(emotions), "counts": scores["confusion"]},
        per_speaker=score_speakers(predictions, lambda rows: _score_speaker(targets[rows], answers[rows], emotions)),
        per_gender=_score_genders(predictions, emotions),
    )


def _check_columns(columns: list[str], where: str) -> None:
    """Raise ValueError unless the columns are `COLUMNS`, then those of a task, and last the scores."""
    own = columns[len(COLUMNS) :]
    scores = [name.startswith("score_") for name in own]
    targets = any(name == "target" or name.startswith("target_") for name in own)
    if columns[: len(COLUMNS)] != COLUMNS or not targets or not any(scores) or scores != sorted(scores):
        expected = ", ".join([*COLUMNS, "target or target_<output>, then one score_<output> per output"])
        raise ValueError(f"Expected the columns {expected}: found {', '.join(columns)} in {where}.")


def _float_columns(columns: list[str]) -> dict[str, str]:
    return {name: "float64" for name in columns if name in ("start", "end") or name.startswith(("score_", "target_"))}


def _score_speaker(targets: np.ndarray, answers: np.ndarray, emotions: Sequence[str]) -> dict[str, float]:
    confusion = count_confusion(targets, answers, emotions)
    return {"ua": float(ua(confusion)), "wa": float(wa(confusion))}


def _score_genders(predictions: pandas.DataFrame, emotions: Sequence[str]) -> dict[str, dict]:
    """Return the scores of all utterances of each gender."""
    genders = {}
    for gender, rows in predictions.groupby("gender"):
        confusion = count_confusion(rows["target"].to_numpy(object), rows["prediction"].to_numpy(object), emotions)
        scores = {"ua": float(ua(confusion)), "wa": float(wa(confusion)), "utterances": len(rows)}
        genders[gender] = scores | {"speakers": len(rows.groupby(["corpus", "speaker"]))}
    return genders


def _resample_utterances(confusion: np.ndarray, resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield blocks ``(B, C, C)`` of the confusion matrices of R resamples, given the ``(C, C)`` of all utterances.

    Drawing an utterance is the same as drawing its cell of the confusion matrix, so the counts are multinomial.
    """
    total = confusion.sum()
    shares = confusion.ravel() / total
    for size in list_blocks(resamples, len(confusion)):
        yield generator.multinomial(total, shares, size=size).reshape(-1, *confusion.shape)
