"""Ridge regression on the emotions, in closed form, and a classifier for strangers that is made from it.

Shapes: N utterances, V versions of each (one, and one more for each augmented copy), D inputs, C emotions.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.utils.class_weight import compute_sample_weight
from transformers.utils import logging

from ser_hf.evaluation.calibration import fit_temperature

logger = logging.get_logger(__name__)

STRENGTHS = (0.1, 0.3, 1.0, 3.0)  # penalty per standardised input
KEPT = 0.4  # share of a speaker's offset that stays in the training states; chosen on validation speakers of RAVDESS
FOLDS = 4  # of speakers


def fit_ridge(
    inputs: np.ndarray,
    labels: np.ndarray,
    strength: float,
    classes: int | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight ``(C, D)`` and bias ``(C,)`` of a regression on 1 for the emotion of an utterance, 0 for others.

    Args:
        inputs: ``(N, D)``.
        labels: ``(N,)``, from 0 to C - 1.
        strength: Penalty per input.
        classes: Number of emotions C; None for those of the labels.
        weights: Weights of the utterances ``(N,)``, 1 on average; None so that the emotions count equally.
    """
    classes = classes or int(labels.max()) + 1
    weights = compute_sample_weight("balanced", labels) if weights is None else weights
    targets = np.eye(classes)[labels]
    mean = np.average(inputs, axis=0, weights=weights).astype(inputs.dtype)
    share = np.average(targets, axis=0, weights=weights)
    centred, targets = inputs - mean, targets - share
    penalty = strength * inputs.shape[1]
    if len(inputs) < inputs.shape[1]:  # solved in the space of the utterances
        gram = centred @ centred.T + penalty * np.diag(1 / weights)
        weight = (centred.T @ np.linalg.solve(gram, targets)).T
    else:
        scaled = centred * weights[:, None]
        weight = np.linalg.solve(centred.T @ scaled + penalty * np.eye(inputs.shape[1]), scaled.T @ targets).T
    return weight, share - weight @ mean


def fit_regression(
    states: np.ndarray,
    labels: Sequence[int],
    speakers: Sequence[str | None],
    strengths: Sequence[float] = STRENGTHS,
    groups: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return weight ``(C, D)``, bias ``(C,)`` and penalty of a linear classifier for speakers outside of the training.

    In the fit, a part of the offset of each speaker is subtracted. The penalty is the one with the lowest squared error
    on the original states of training speakers outside of the fit, whose scores also give the temperature.

    Args:
        states: ``(V N, D)``, all utterances before their first copies.
        labels: ``(N,)``, from 0 to C - 1.
        speakers: ``(N,)``; nothing is subtracted for an unknown speaker, None.
        strengths: Penalties to choose from, per standardised input.
        groups: Group of each utterance, with the same weight for each group; None gives it to each emotion.
    """
    mean, deviation = states.mean(0), states.std(0)
    deviation = np.where(deviation > 1e-6, deviation, 1).astype(states.dtype)  # constant states have no weight
    standard = (states - mean) / deviation
    versions = len(states) // len(labels)
    label, classes = np.tile(labels, versions), max(labels) + 1
    balance = np.tile(compute_sample_weight("balanced", labels if groups is None else groups), versions)
    training = _reduce_offsets(standard, label, np.tile(np.array(speakers, dtype=object), versions))
    voices = np.tile(_number_voices(speakers), versions)
    folds = list(GroupKFold(min(FOLDS, len(set(voices)))).split(standard, groups=voices))

    def held_out_scores(strength: float) -> np.ndarray:
        scores = np.empty((len(label), classes))
        for kept, held in folds:
            weight, bias = fit_ridge(training[kept], label[kept], strength, classes, balance[kept])
            scores[held] = standard[held] @ weight.T + bias
        return scores

    scores = {strength: held_out_scores(strength) for strength in strengths}
    targets = np.eye(classes)[label]
    errors = {choice: np.average(((found - targets) ** 2).sum(1), weights=balance) for choice, found in scores.items()}
    strength = min(errors, key=errors.__getitem__)
    recall = balanced_accuracy_score(label, scores[strength].argmax(1))
    logger.info(f"Linear probe: UA {recall:.3f} on held-out training speakers, penalty {strength}.")
    temperature = fit_temperature(scores[strength], label)
    weight, bias = fit_ridge(training, label, strength, classes, balance)
    weight = weight / deviation
    return weight / temperature, (bias - weight @ mean) / temperature, strength


def _reduce_offsets(states: np.ndarray, labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return states ``(N, D)`` with the share `KEPT` of the offset of each known speaker.

    The offset is the mean difference from the centres of the emotions, because a speaker may have few emotions.
    """
    reduced, offsets = states.copy(), states.copy()
    for label in set(labels):
        offsets[labels == label] -= states[labels == label].mean(0)
    for speaker in set(speakers) - {None}:
        reduced[speakers == speaker] -= (1 - KEPT) * offsets[speakers == speaker].mean(0)
    return reduced


def _number_voices(speakers: Sequence[str | None]) -> np.ndarray:
    """Return a number for each utterance ``(N,)``, the same for utterances that are held out together.

    These are the utterances of a known speaker; if there is one speaker only, each utterance has its own number.
    """
    numbers = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}
    own = np.arange(len(speakers)) + len(numbers)
    return (
        own
        if len(numbers) == 1
        else np.array([own[i] if name is None else numbers[name] for i, name in enumerate(speakers)])
    )
