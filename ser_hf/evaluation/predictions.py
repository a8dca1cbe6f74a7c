"""The table `predictions.csv`, and everything that is computed from it.

A model is run once; scores, intervals, figures and cards are computed from the saved table, so an evaluation
can be redone without the model. One row per utterance, in the order of the dataset:

    path, start, end, corpus, speaker, gender, split, target, prediction, score_<emotion>, score_<emotion>, …

`start` and `end` are seconds. `target` and `prediction` are emotions, each `score_<emotion>` is the model's
probability in full float precision. `start`, `end`, `speaker` and `gender` are empty where unknown.

Shapes: `C` emotions, `S` speakers, `R` resamples.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from ser_hf.cache import whole_file
from ser_hf.evaluation.scores import METRICS, compute_scores, count_confusion, ua, wa

COLUMNS = ["path", "start", "end", "corpus", "speaker", "gender", "split", "target", "prediction"]
DEPENDABLE_SPEAKERS = 10


def average_windows(scores: np.ndarray, utterances: Sequence[int]) -> np.ndarray:
    """Return the mean scores of each utterance over the windows in which it was heard.

    Args:
        scores: ``(N, C)`` probabilities of N windows.
        utterances: which utterance each window belongs to, ``(N,)`` whole numbers from 0 to U - 1.

    Returns:
        ``(U, C)`` in the order of these numbers.

    Examples:
        >>> average_windows(np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]), [0, 1, 0]).tolist()
        [[0.5, 0.5], [0.25, 0.75]]
    """
    utterances = np.asarray(utterances)
    sums = np.zeros((utterances.max() + 1, scores.shape[1]))
    np.add.at(sums, utterances, scores)
    return sums / np.bincount(utterances)[:, None]


def write_predictions(predictions: pandas.DataFrame, path: str | Path) -> None:
    """Write the table of predictions, losslessly.

    Args:
        predictions: one row per utterance, with the columns of the module's description in that order.
        path: the CSV file to write.

    Raises:
        ValueError: the columns are not those of the module's description.
    """
    columns = list(predictions.columns)
    _check_columns(columns, "the predictions to write")
    # widened before it is printed: the shortest text of a float32 reads back as another double
    with whole_file(path) as partial:
        predictions.astype(_float_columns(columns)).to_csv(partial, index=False, lineterminator="\n")


def read_predictions(path: str | Path) -> pandas.DataFrame:
    """Read a table of predictions.

    Args:
        path: a CSV file that `write_predictions` wrote.

    Returns:
        One row per utterance. Names are strings (speaker '01' stays '01', a corpus may be called 'NA'),
        seconds and scores are float64, and what was empty is missing (`isna`).

    Raises:
        ValueError: the columns are not those of the module's description.

    Examples:
        >>> import tempfile
        >>> row = ["a.wav", None, None, "ravdess", "01", "male", "test", "sad", "sad", 0.25, 0.75]
        >>> predictions = pandas.DataFrame([row], columns=[*COLUMNS, "score_happy", "score_sad"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_predictions(predictions, f"{folder}/predictions.csv")
        ...     read_predictions(f"{folder}/predictions.csv")["speaker"].tolist()
        ['01']
    """
    empty = {name: [""] for name in ["start", "end", "speaker", "gender"]}
    # text first, numbers second: the CSV parser's own floats are not exact in every pandas
    predictions = pandas.read_csv(path, dtype=str, keep_default_na=False, na_values=empty)
    columns = list(predictions.columns)
    _check_columns(columns, f"'{path}'")
    return predictions.astype(_float_columns(columns))


def summarize(predictions: pandas.DataFrame, emotions: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> dict:
    """Score the rows of one split, with 95 % intervals that hold for new speakers.

    The utterances of a speaker are alike, so the interval (percentiles of a bootstrap) resamples speakers,
    with all their utterances. Without speakers it resamples utterances, and ``warning`` says so. Emotions
    that a resample lacks are left out of its means. One name in two corpora is two speakers; rows of
    several corpora name their speakers ``corpus/speaker``.

    Args:
        predictions: rows of `read_predictions`, of the one split to score.
        emotions: the ``C`` emotions in the order of the confusion matrix.
        resamples: bootstrap resamples ``R``.
        seed: of the bootstrap; the same seed gives the same intervals.

    Returns:
        JSON-serialisable: ``utterances`` and ``speakers`` (how many), ``wa``, ``ua``, ``macro_f1``,
        ``intervals`` {metric: [low, high]}, ``interval_unit`` ('speaker' or 'utterance'), ``warning``
        (a sentence or None), ``per_emotion`` {emotion: {precision, recall, f1, support}},
        ``confusion`` {emotions, counts}, ``per_gender`` {gender: {ua, wa, utterances, speakers}} of those who have one
        and ``per_speaker`` {speaker: {ua, wa, utterances, gender}}.

    Raises:
        ValueError: there is no row, or a target or prediction is not in `emotions`.

    Source:
        Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B, 2007.

    Examples:
        >>> right = {"corpus": "x", "speaker": "1", "gender": None, "target": "sad", "prediction": "sad"}
        >>> wrong = {**right, "speaker": "2", "prediction": "happy"}
        >>> summary = summarize(pandas.DataFrame([right, wrong]), ["happy", "sad"])
        >>> summary["ua"], summary["intervals"]["ua"], summary["interval_unit"]
        (0.5, [0.0, 1.0], 'speaker')
    """
    scores = compute_scores(predictions["target"], predictions["prediction"], emotions)
    speakers = _count_speakers(predictions, emotions)
    unit, warning = _choose_interval_unit(predictions, len(speakers))
    generator = np.random.default_rng(seed)
    if unit == "speaker":
        resampled = _resample_speakers(np.stack([*speakers.values()]), resamples, generator)
    else:
        resampled = _resample_utterances(np.array(scores["confusion"]), resamples, generator)
    return {
        "utterances": len(predictions),
        "speakers": len(speakers),
        **{name: scores[name] for name in METRICS},
        "intervals": {
            name: np.quantile(metric(resampled), [0.025, 0.975]).tolist() for name, metric in METRICS.items()
        },
        "interval_unit": unit,
        "warning": warning,
        "per_emotion": scores["per_emotion"],
        "confusion": {"emotions": list(emotions), "counts": scores["confusion"]},
        "per_gender": _score_genders(predictions, emotions),
        "per_speaker": _score_speakers(predictions, speakers),
    }


def _check_columns(columns: list[str], where: str) -> None:
    """Raise ValueError unless the columns are `COLUMNS`, then one score per emotion."""
    scores = columns[len(COLUMNS) :]
    all_scores = bool(scores) and all(name.startswith("score_") for name in scores)
    if columns[: len(COLUMNS)] != COLUMNS or not all_scores:
        expected = ", ".join([*COLUMNS, "then one score_<emotion> per emotion"])
        raise ValueError(f"Expected the columns {expected}: found {', '.join(columns)} in {where}.")


def _float_columns(columns: list[str]) -> dict[str, str]:
    return {name: "float64" for name in columns if name in ("start", "end") or name.startswith("score_")}


def _count_speakers(predictions: pandas.DataFrame, emotions: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return the confusion matrix ``(C, C)`` of each (corpus, speaker), sorted; unnamed speakers fall out."""
    targets, answers = predictions["target"].to_numpy(object), predictions["prediction"].to_numpy(object)
    rows_of = predictions.groupby(["corpus", "speaker"]).indices
    return {name: count_confusion(targets[rows], answers[rows], emotions) for name, rows in rows_of.items()}


def _score_speakers(predictions: pandas.DataFrame, speakers: dict[tuple[str, str], np.ndarray]) -> dict[str, dict]:
    """Return the scores of each speaker by name, from their confusion matrices."""
    several = predictions["corpus"].nunique() > 1
    genders = predictions.dropna(subset="gender").groupby(["corpus", "speaker"])["gender"].first().to_dict()
    return {
        f"{corpus}/{speaker}" if several else str(speaker): {
            "ua": float(ua(confusion)),
            "wa": float(wa(confusion)),
            "utterances": int(confusion.sum()),
            "gender": genders.get((corpus, speaker)),
        }
        for (corpus, speaker), confusion in speakers.items()
    }


def _score_genders(predictions: pandas.DataFrame, emotions: Sequence[str]) -> dict[str, dict]:
    """Return the scores of all utterances of each gender."""
    genders = {}
    for gender, rows in predictions.groupby("gender"):
        confusion = count_confusion(rows["target"].to_numpy(object), rows["prediction"].to_numpy(object), emotions)
        scores = {"ua": float(ua(confusion)), "wa": float(wa(confusion)), "utterances": len(rows)}
        genders[gender] = scores | {"speakers": len(rows.groupby(["corpus", "speaker"]))}
    return genders


def _choose_interval_unit(predictions: pandas.DataFrame, speakers: int) -> tuple[str, str | None]:
    """Return what the bootstrap resamples, 'speaker' or 'utterance', and what a reader of it has to know."""
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


def _resample_speakers(confusions: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``(R, C, C)`` confusion matrices of resampled speakers, from the ``(S, C, C)`` of them all."""
    speakers = len(confusions)
    shares = np.full(speakers, 1 / speakers)
    draws = generator.multinomial(speakers, shares, size=resamples)  # (R, S) how often each speaker is drawn
    return np.tensordot(draws, confusions, axes=1)


def _resample_utterances(confusion: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``(R, C, C)`` confusion matrices of resampled utterances, from the ``(C, C)`` of them all.

    To draw an utterance is to draw its cell of the confusion matrix, so the counts are multinomial.
    """
    total = confusion.sum()
    return generator.multinomial(total, confusion.ravel() / total, size=resamples).reshape(-1, *confusion.shape)
