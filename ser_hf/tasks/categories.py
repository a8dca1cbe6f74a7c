"""The task "categories": one of C emotions per utterance.

Shapes: N utterances, C emotions, S emotions that model and corpus share.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
from datasets import ClassLabel, Dataset

from ser_hf.corpora import Utterance, canonical_emotion
from ser_hf.evaluation import figures  # imports matplotlib when it draws
from ser_hf.evaluation.paired import Statistic
from ser_hf.evaluation.predictions import Scores, summarize
from ser_hf.evaluation.resampling import list_blocks, number_cells, score_blocks
from ser_hf.evaluation.scores import METRICS as FORMULAS
from ser_hf.evaluation.scores import count_confusion
from ser_hf.tasks import Metric
from ser_hf.tasks.temperature_scaling import calibrate, describe_calibration

if TYPE_CHECKING:  # imports torch
    from transformers import EvalPrediction, TrainingArguments

__all__ = ["Scores", "calibrate", "describe_calibration", "summarize"]

PROBLEM_TYPE = "single_label_classification"
METRICS = {
    "ua": Metric("Unweighted average recall", "UA", hub="recall"),
    "wa": Metric("Weighted accuracy", "WA", hub="accuracy"),
    "macro_f1": Metric("Macro F1", "macro-F1", hub="f1"),
}
PERCENT = True
OPTIONS = (
    "auxiliary_task", "balance_corpora", "class_weights", "focal_gamma", "head_copies", "head_init",
    "label_smoothing_factor", "logit_adjustment", "loss", "mixup", "recommended_trim", "sampling", "target",
    "voice_head",
)  # fmt: skip
CARD = {
    section: f'{{% include "categories/{section}.md" %}}'
    for section in ("introduction", "metrics", "details", "calibration", "folds", "limits", "not_evaluated")
}


def list_outputs(utterances: Iterable[Utterance]) -> list[str]:
    """Return the sorted names of the emotions of utterances."""
    return sorted({utterance.emotion for utterance in utterances})


def target_feature(outputs: Sequence[str]) -> ClassLabel:
    """Return the type of the column `label`: an index of the emotions."""
    return ClassLabel(names=list(outputs))


def target_of(utterance: Utterance, outputs: Sequence[str]) -> int | None:
    """Return the index of the emotion of an utterance; None if the emotion is not one of the outputs."""
    return outputs.index(utterance.emotion) if utterance.emotion in outputs else None


def make_loss(train: Dataset, training: "TrainingArguments") -> Callable:
    """Return the cross-entropy or focal loss, with the weights and adjustments of the training arguments."""
    from ser_hf.tasks.losses import CrossEntropy, balanced_weights, effective_weights, prior_logits

    options: Any = training  # SerTrainingArguments
    labels, classes = train["label"], train.features["label"].num_classes
    weigh = {"balanced": balanced_weights, "effective": effective_weights}.get(options.class_weights)
    return CrossEntropy(
        weigh and weigh(labels, classes),
        label_smoothing=options.label_smoothing_factor,
        focal_gamma=options.focal_gamma if options.loss == "focal" else 0.0,
        adjustment=prior_logits(labels, classes, options.logit_adjustment),
    )


def compute_metrics(prediction: "EvalPrediction") -> dict[str, float]:
    """Return wa, ua and macro_f1 of logits ``(N, C)`` and labels ``(N,)``."""
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    confusion = count_confusion(labels, logits.argmax(-1), range(logits.shape[1]))
    return {name: float(metric(confusion)) for name, metric in FORMULAS.items()}


def tabulate(targets: Sequence[int], scores: np.ndarray, outputs: Sequence[str]) -> pandas.DataFrame:
    """Return the columns target, prediction and score_<emotion> of N utterances.

    Args:
        targets: ``(N,)`` labels.
        scores: ``(N, C)``.
        outputs: C emotions.

    Examples:
        >>> tabulate([1], np.array([[0.75, 0.25]]), ["happy", "sad"]).to_dict("records")
        [{'target': 'sad', 'prediction': 'happy', 'score_happy': 0.75, 'score_sad': 0.25}]
    """
    names = {"target": targets, "prediction": scores.argmax(-1)}
    table = pandas.DataFrame({name: [outputs[label] for label in labels] for name, labels in names.items()})
    return table.join(pandas.DataFrame(scores, columns=[f"score_{emotion}" for emotion in outputs]))


def make_statistic(table: pandas.DataFrame, outputs: Sequence[str]) -> Statistic:
    """Return a function from R arrays of row numbers of a table to the ``(R,)`` values of each metric."""
    classes, cells = len(outputs), number_cells(table, "prediction", outputs)

    def count(samples: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        remaining = iter(samples)
        for size in list_blocks(len(samples), classes):
            counts = [np.bincount(cells[rows], minlength=classes**2) for rows in islice(remaining, size)]
            yield np.stack(counts).reshape(-1, classes, classes)

    def statistic(samples: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        values = score_blocks(count(samples))
        return {name: values[name] for name in METRICS}

    return statistic


def draw_scores(scores: Scores, table: pandas.DataFrame, folder: str | Path) -> None:
    """Draw the confusion matrix and, if speakers are known, the score of each speaker.

    Args:
        scores: Scores of the test utterances.
        table: Rows of these utterances.
        folder: Folder for confusion.png and speakers.png; it is created.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures.plot_confusion(scores, folder / "confusion.png")
    if scores.speakers:
        figures.plot_speakers(scores, folder / "speakers.png")


def answer(scores: Mapping[str, float]) -> str:
    """Return the emotion with the best score; if there are several, the first one.

    Examples:
        >>> answer({"angry": 0.25, "happy": 0.75})
        'happy'
    """
    return max(scores, key=scores.__getitem__)


def match_outputs(outputs: Sequence[str], utterances: Sequence[Utterance]) -> tuple[list[str], list[str]]:
    """Return the emotions of a model with the names of a corpus, and the sorted emotions that both have.

    Synonyms and other common spellings of an emotion are matched.

    Raises:
        ValueError: If model and corpus share fewer than two emotions.
    """
    found = Counter(utterance.emotion for utterance in utterances)
    names = [name if name in found else canonical_emotion(name) for name in outputs]
    shared = sorted(found.keys() & set(names))
    if len(shared) < 2:
        raise ValueError(
            f"Expected at least two emotions that model and corpus share, found {shared}: the model has "
            f"{list(outputs)}, the corpus {sorted(found)}. Rename emotions of the corpus with --label_map old=new."
        )
    return names, shared


def restrict_scores(scores: np.ndarray, names: Sequence[str], shared: Sequence[str]) -> np.ndarray:
    """Return the scores ``(N, S)`` of the shared emotions, normalised to a sum of 1, given all scores ``(N, C)``.

    Examples:
        >>> restrict_scores(np.array([[0.5, 0.25, 0.25]]), ["calm", "happy", "sad"], ["happy", "sad"]).tolist()
        [[0.5, 0.5]]
    """
    columns = np.array([[name == emotion for emotion in shared] for name in names], dtype=float)
    kept = scores @ columns
    return kept / kept.sum(axis=1, keepdims=True) if set(names) - set(shared) else kept
