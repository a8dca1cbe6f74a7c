"""A linear head for known voices: fitted on inputs that are normalised by speaker, adapted to one voice without labels.

The inputs x of a linear head are divided by the deviation of the speaker, and projected on discriminant coordinates in
which the utterances of a speaker with one emotion have unit covariance. There, an utterance is

    centre of its emotion + offset of the speaker + deviation of the speaker for this emotion + noise,

all normally distributed, with covariances that are estimated on training speakers outside of the fit. From a few clips,
the centres of the emotions of one speaker have a posterior (`ser_hf.heads.voice_centres`), and the classifier with
these centres is linear in x. It can be stored in the weights of the model.

Shapes: N utterances, D inputs, C emotions, K = C - 1 coordinates, V directions that tell voices apart.

Source: Busso et al. 2013, Iterative Feature Normalization Scheme for Automatic Emotion Detection from Speech,
doi:10.1109/T-AFFC.2013.26, for normalisation in rounds; Kenny 2005, Joint Factor Analysis of Speaker and Session
Variability, for offsets of speakers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ser_hf.corpora.files import pluralize
from ser_hf.evaluation.calibration import fit_temperature
from ser_hf.heads.emotion_shares import estimate_shares
from ser_hf.heads.ridge import fit_ridge
from ser_hf.heads.voice_centres import LogitModel, fit_logit_model

STRENGTHS = (0.1, 0.3, 1.0)  # of the ridge penalty, per input
KEPT = 0.2  # share of a speaker's mean that stays in the training inputs; chosen on validation speakers of RAVDESS
FOLDS = 4  # of speakers, for logits of speakers outside of the fit
FEWEST_SPEAKERS = FOLDS
CLIPS = 10  # per draw, to measure the variance of few clips
DRAWS = 20
DIRECTIONS = 8


@dataclass
class VoiceHead:
    """Hold a head for known voices, and the statistics of the training speakers that its adaptation needs.

    Attributes:
        mean: Mean of the inputs ``(D,)``.
        deviation: Deviation of the inputs within speakers ``(D,)``.
        weight: Discriminant coordinates ``(K, D)`` of standardised inputs.
        bias: ``(K,)``.
        centres: Mean coordinates of the emotions ``(C, K)``.
        offsets: Covariance of the speakers' offsets ``(K, K)``.
        interactions: Covariance of the speakers' deviations for single emotions ``(K, K)``.
        clips: Number of clips that the variance of the training speakers counts as.
        temperature: Divides the logits, so that scores are calibrated.
        voices: Directions of standardised inputs that tell voices apart ``(V, D)``, with unit variance within speakers.
        spread: Variance along these directions that 95 % of the training speakers stay below.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    centres: np.ndarray
    offsets: np.ndarray
    interactions: np.ndarray
    clips: float
    temperature: float
    voices: np.ndarray
    spread: float

    def adapt(
        self, inputs: np.ndarray, labels: np.ndarray | None = None, *, prior_correction: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight ``(C, D)`` and bias ``(C,)`` of a linear classifier for the speaker of some clips.

        Args:
            inputs: ``(N, D)``, of one speaker.
            labels: ``(N,)``, -1 for clips without a label; None if no clip has one.
            prior_correction: Whether emotions that are frequent in the clips get higher scores, see `estimate_shares`.
        """
        standard = self.standardise(inputs)
        scale = _shrunk_deviation(standard, self.clips)
        coordinates = (standard / scale) @ self.weight.T + self.bias
        weight, bias = LogitModel(self.centres, self.offsets, self.interactions).adapt(coordinates, labels)
        folded = weight @ self.weight / (scale * self.deviation)
        bias = bias + weight @ self.bias - folded @ self.mean
        folded, bias = folded / self.temperature, bias / self.temperature
        if prior_correction:
            bias = bias + np.log(estimate_shares(inputs @ folded.T + bias) * len(bias))
        return folded, bias

    def standardise(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs ``(N, D)`` in units of the training speakers."""
        return (inputs - self.mean) / self.deviation

    def spread_of(self, inputs: np.ndarray) -> float:
        """Return the variance of clips ``(N, D)`` in the directions that tell voices apart; about 1 for one voice."""
        return _spread(self.standardise(inputs) @ self.voices.T)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all values by name, as float32."""
        return {item.name: np.array(getattr(self, item.name), np.float32, order="C", ndmin=1) for item in fields(self)}


def check_speakers(speakers: Sequence[str | None]) -> None:
    """Check that a head for known voices can be fitted on utterances of these speakers.

    Raises:
        ValueError: If a speaker is unknown, or fewer than `FEWEST_SPEAKERS` have two utterances or more.
    """
    counts = Counter(speakers)
    unknown = counts.pop(None, 0)
    if unknown or len(counts) < FEWEST_SPEAKERS or min(counts.values()) < 2:
        raise ValueError(
            f"voice_head: expected at least {FEWEST_SPEAKERS} training speakers with two utterances or more each, "
            f"found {pluralize(len(counts), 'speaker')}, one of them with "
            f"{pluralize(min(counts.values(), default=0), 'utterance')}, and {pluralize(unknown, 'utterance')} without "
            "a speaker. Leave it out."
        )


def fit_voice_head(inputs: np.ndarray, labels: Sequence[int], speakers: Sequence[str | None]) -> VoiceHead:
    """Fit a head for known voices on training speakers.

    The ridge penalty is chosen by the UA of training speakers outside of the fit, adapted with all of their utterances
    without labels.

    Args:
        inputs: ``(N, D)``, as the model computes them.
        labels: ``(N,)``, from 0 to C - 1.
        speakers: ``(N,)``.

    Raises:
        ValueError: For the reasons of `check_speakers`.
    """
    check_speakers(speakers)
    label, names = np.asarray(labels), np.asarray(speakers, dtype=object)
    known = sorted(name for name in set(speakers) if name is not None)
    rows = [np.flatnonzero(names == name) for name in known]
    mean = inputs.mean(0)
    deviation = np.sqrt(np.mean([inputs[own].var(0) for own in rows], axis=0))
    deviation = np.where(deviation > 1e-6, deviation, 1).astype(np.float32)  # constant inputs have no weight
    standard = (inputs - mean) / deviation
    clips = _measure_shrinkage(standard, rows)
    training, deployed = np.empty_like(standard), np.empty_like(standard)
    for own in rows:
        scale = _shrunk_deviation(standard[own], clips)
        training[own] = (standard[own] - (1 - KEPT) * standard[own].mean(0)) / scale
        deployed[own] = standard[own] / scale
    strength, model, whitening, temperature = _choose_strength(training, deployed, label, rows)
    weight, bias = fit_ridge(training, label, strength)
    voices, spread = _fit_directions(standard, rows)
    return VoiceHead(
        mean, deviation, whitening.T @ weight, bias @ whitening, model.centres, model.offsets, model.interactions,
        clips, temperature, voices, spread,
    )  # fmt: skip


def _choose_strength(
    training: np.ndarray, deployed: np.ndarray, labels: np.ndarray, rows: Sequence[np.ndarray]
) -> tuple[float, LogitModel, np.ndarray, float]:
    """Return the best ridge penalty, and the model, its coordinates and the temperature of logits outside of the fit.

    Args:
        training: Inputs ``(N, D)`` for the fit.
        deployed: Inputs ``(N, D)`` of the same utterances as an adapted model gets them.
        labels: ``(N,)``.
        rows: Row numbers of each speaker.
    """
    best: tuple = (-1.0,)
    for strength in STRENGTHS:
        logits = np.empty((len(labels), labels.max() + 1))
        for fold in range(FOLDS):
            held = np.concatenate(rows[fold::FOLDS])
            kept = np.setdiff1d(np.arange(len(labels)), held)
            weight, bias = fit_ridge(training[kept], labels[kept], strength, logits.shape[1])
            logits[held] = deployed[held] @ weight.T + bias
        model, whitening = fit_logit_model(logits, labels, rows)
        adapted = np.empty_like(logits)
        for own in rows:
            weight, bias = model.adapt(logits[own] @ whitening)
            adapted[own] = logits[own] @ whitening @ weight.T + bias
        recall = np.mean([(adapted[labels == emotion].argmax(1) == emotion).mean() for emotion in np.unique(labels)])
        if recall > best[0]:
            best = recall, strength, model, whitening, fit_temperature(adapted, labels)
    return best[1:]


def _shrunk_deviation(standard: np.ndarray, clips: float) -> np.ndarray:
    """Return the deviation ``(D,)`` of a speaker, shrunk to 1, from standardised inputs ``(N, D)``."""
    return np.sqrt((len(standard) * standard.var(0) + clips) / (len(standard) + clips))


def _measure_shrinkage(standard: np.ndarray, rows: Sequence[np.ndarray]) -> float:
    """Return the number of clips as which 1 counts, so that the variance of `CLIPS` clips best predicts that of others.

    With n clips, the least squares estimate is 1 + a (variance of the clips - 1), and a = n / (n + clips).
    """
    rng = np.random.default_rng(0)
    products = squares = 0.0
    for _ in range(DRAWS):
        for own in rows:
            order = rng.permutation(own)
            few, others = order[:CLIPS], order[CLIPS:]
            if len(others) < 2:
                continue
            seen, rest = standard[few].var(0) - 1, standard[others].var(0) - 1
            products, squares = products + float(seen @ rest), squares + float(seen @ seen)
    share = np.clip(products / squares if squares else 0, 0.01, 0.9)
    return float(CLIPS * (1 - share) / share)


def _fit_directions(standard: np.ndarray, rows: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Return directions ``(V, D)`` that tell voices apart, and the variance that 95 % of single voices stay below.

    The directions are fitted on half of the speakers, and scaled by the utterances of the others.
    """
    one, other = rows[::2], rows[1::2]
    speaker = np.repeat(np.arange(len(one)), [len(own) for own in one])
    weight, _ = fit_ridge(standard[np.concatenate(one)], speaker, STRENGTHS[0])
    projected = [standard[own] @ weight[1:].T for own in other]  # the coordinates of all speakers have a constant sum
    within = np.mean(
        [np.cov(values, rowvar=False, bias=True).reshape(len(one) - 1, -1) for values in projected], axis=0
    )
    between = np.cov([values.mean(0) for values in projected], rowvar=False).reshape(len(one) - 1, -1)
    within += 1e-6 * max(np.trace(within), 1.0) * np.eye(len(within))  # with few utterances, some directions have none
    whitening = np.linalg.inv(np.linalg.cholesky(within)).T
    sizes, axes = np.linalg.eigh(whitening.T @ between @ whitening)
    voices = (whitening @ axes[:, np.argsort(-sizes)[:DIRECTIONS]]).T @ weight[1:]
    rng = np.random.default_rng(0)
    spreads = [
        _spread(standard[rng.choice(own, min(CLIPS, len(own)), replace=False)] @ voices.T)
        for own in other
        for _ in range(DRAWS)
    ]
    return voices, float(np.quantile(spreads, 0.95))


def _spread(projected: np.ndarray) -> float:
    return float(projected.var(0, ddof=1).mean())
