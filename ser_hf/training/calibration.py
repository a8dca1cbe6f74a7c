"""Calibrate a model after training, and choose the threshold for uncertain predictions."""

from pathlib import Path

import numpy as np
import pandas
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel
from transformers.utils import logging

from ser_hf.evaluation.calibration import (
    THRESHOLD_RULE,
    calibration_errors,
    choose_threshold,
    coverage_at,
    coverage_curve,
    fit_temperature,
    reliability,
)
from ser_hf.evaluation.figures import plot_coverage, plot_reliability
from ser_hf.models.temperature import fold_temperature
from ser_hf.runs.file_names import FIGURES
from ser_hf.runs.results import CalibrationRecord
from ser_hf.tasks.categories import tabulate_predictions

logger = logging.get_logger(__name__)


def calibrate(model: PreTrainedModel, validation: Dataset, logits: np.ndarray) -> np.ndarray:
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
    temperature = fit_temperature(logits, np.array(validation["label"]))
    try:
        fold_temperature(model, temperature)
    except ValueError as error:
        logger.warning(f"Not calibrated: {error}")
        return logits
    logits = logits / temperature
    scores, labels = _read_scores(tabulate_predictions(validation, logits))
    model.config.uncertainty_threshold = choose_threshold(scores, labels)
    return logits


def describe_calibration(
    model: PreTrainedModel, dataset: DatasetDict, logits: dict[str, np.ndarray], folder: str | Path
) -> CalibrationRecord | None:
    """Draw the figures of the calibration, and return its record.

    Args:
        model: Model after `calibrate`.
        dataset: DatasetDict with "validation" and "test".
        logits: Logits ``(N, C)`` of the calibrated model for the rows of each part.
        folder: Output folder of the run.

    Returns:
        The record; None if the model could not be calibrated.
    """
    temperature = getattr(model.config, "calibration_temperature", None)
    if temperature is None:
        return None
    after = {part: _read_scores(tabulate_predictions(dataset[part], logits[part])) for part in logits}
    before = {part: _read_scores(tabulate_predictions(dataset[part], logits[part] * temperature)) for part in logits}
    threshold, figures = model.config.uncertainty_threshold, Path(folder, FIGURES)
    plot_reliability(reliability(*before["test"]), reliability(*after["test"]), figures / "reliability.png")
    curves = [coverage_curve(*after[part]) for part in ("validation", "test")]
    plot_coverage(*curves, threshold, figures / "coverage.png")
    return CalibrationRecord(
        temperature=temperature,
        fitted_on="validation",
        before={part: calibration_errors(*scored) for part, scored in before.items()},
        after={part: calibration_errors(*scored) for part, scored in after.items()},
        threshold={"score": threshold, "rule": THRESHOLD_RULE}
        | {part: coverage_at(*scored, threshold) for part, scored in after.items()},
    )


def _read_scores(table: pandas.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores ``(N, C)`` and labels ``(N,)`` of a table of predictions."""
    columns = [name for name in table if name.startswith("score_")]
    emotions = [name.removeprefix("score_") for name in columns]
    return table[columns].to_numpy(), table["target"].map(emotions.index).to_numpy()
