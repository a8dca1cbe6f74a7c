"""Calibrate scores that sum to 1: fit a temperature, fold it into the weights, and choose a threshold.

Shapes: N rows of a dataset, U utterances, C outputs.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset, DatasetDict

from ser_hf.evaluation import figures  # imports matplotlib when it draws
from ser_hf.evaluation.calibration import (
    THRESHOLD_RULE,
    CalibrationRecord,
    calibration_errors,
    choose_threshold,
    coverage_at,
    coverage_curve,
    fit_temperature,
    reliability,
)
from ser_hf.evaluation.predictions import average_windows
from ser_hf.models.postprocessing import to_scores

if TYPE_CHECKING:  # imports torch
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


def calibrate(model: "PreTrainedModel", validation: Dataset, logits: np.ndarray) -> np.ndarray:
    """Fit the temperature on the validation utterances, fold it into the weights in place, and choose the threshold.

    Both are stored in `config.calibration_temperature` and `config.uncertainty_threshold`. A model without a linear
    head is not changed, and a warning is logged.

    Args:
        model: The trained model.
        validation: N rows; each window of a long utterance counts in the fit.
        logits: ``(N, C)`` of the model for these rows.

    Returns:
        The logits of the calibrated model for these rows, ``(N, C)``.
    """
    from ser_hf.models.temperature import fold_temperature

    labels, shares = _read_targets(validation)
    temperature = fit_temperature(logits, labels if shares is None else shares)
    try:
        fold_temperature(model, temperature)
    except ValueError as error:
        logger.warning(f"Not calibrated: {error}")
        return logits
    logits = logits / temperature
    if shares is not None:
        model.config.majority_temperature = fit_temperature(logits * temperature, labels)
    model.config.uncertainty_threshold = choose_threshold(*_score_utterances(validation, logits))
    return logits


def describe_calibration(
    model: "PreTrainedModel", dataset: DatasetDict, logits: dict[str, np.ndarray], folder: str | Path
) -> CalibrationRecord | None:
    """Draw the figures of the calibration, and return its record.

    Args:
        model: Model after `calibrate`.
        dataset: DatasetDict with "validation" and "test".
        logits: Logits ``(N, C)`` of the calibrated model for the rows of each part.
        folder: Folder of the figures.

    Returns:
        The record; None if the model could not be calibrated.
    """
    temperature = getattr(model.config, "calibration_temperature", None)
    if temperature is None:
        return None
    after = {part: _score_utterances(dataset[part], logits[part]) for part in logits}
    before = {part: _score_utterances(dataset[part], logits[part] * temperature) for part in logits}
    threshold = model.config.uncertainty_threshold
    figures.plot_reliability(reliability(*before["test"]), reliability(*after["test"]), Path(folder, "reliability.png"))
    validation, test = (coverage_curve(*after[part]) for part in ("validation", "test"))
    figures.plot_coverage(validation, test, threshold, Path(folder, "coverage.png"))
    record = CalibrationRecord(
        temperature=temperature,
        fitted_on="validation",
        before={part: calibration_errors(*scored) for part, scored in before.items()},
        after={part: calibration_errors(*scored) for part, scored in after.items()},
        threshold={"score": threshold, "rule": THRESHOLD_RULE}
        | {part: coverage_at(*scored, threshold) for part, scored in after.items()},
        majority_temperature=getattr(model.config, "majority_temperature", None),
    )
    if worse := record.list_increases():
        logger.warning(f"The temperature, fitted on validation, makes the test scores worse: {', '.join(worse)}.")
    return record


def _read_targets(dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the labels ``(N,)``, and if the targets are votes, their shares ``(N, C)``; a label has the most votes."""
    targets = np.array(dataset["label"])
    if targets.ndim == 1:
        return targets, None
    return targets.argmax(1), targets / targets.sum(1, keepdims=True)


def _score_utterances(dataset: Dataset, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores ``(U, C)`` and labels ``(U,)`` of the utterances in a dataset of N windows."""
    utterances = np.array(dataset["utterance"])
    _, first = np.unique(utterances, return_index=True)
    scores = average_windows(to_scores(logits, "single_label_classification"), utterances)
    return scores, _read_targets(dataset)[0][first]
