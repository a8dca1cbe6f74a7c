"""The centres of the emotions of one speaker, from clips without labels.

Shapes: N utterances, C emotions, K = C - 1 coordinates with unit covariance within a speaker and an emotion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 3  # of the expectation-maximisation; more did not help on validation speakers of RAVDESS
SMALLEST = 1e-3  # variance, so that covariances can be inverted


@dataclass
class LogitModel:
    """Describe where the utterances of speakers and emotions are.

    Attributes:
        centres: Mean of each emotion over speakers ``(C, K)``.
        offsets: Covariance of the offsets that a speaker has for all emotions ``(K, K)``.
        interactions: Covariance of the further deviations of a speaker for each emotion ``(K, K)``.

    Examples:
        >>> model = LogitModel(np.array([[-2.0], [2.0]]), np.array([[9.0]]), np.array([[0.01]]))
        >>> weight, bias = model.adapt(np.array([[3.0], [3.1], [7.0], [6.9]]))  # a speaker whose offset is 5
        >>> (np.array([[3.5], [6.5]]) @ weight.T + bias).argmax(1).tolist()
        [0, 1]
    """

    centres: np.ndarray
    offsets: np.ndarray
    interactions: np.ndarray

    def adapt(self, coordinates: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return weight ``(C, K)`` and bias ``(C,)`` of the linear discriminant with the centres of a speaker.

        The offset is first estimated from the mean of all clips. Then the model's answers for the clips and the centres
        are estimated in turn. All estimates shrink to the training speakers' with fewer clips. The emotions have the
        same prior; their shares in the clips are not assumed to be equal in the estimates.

        Args:
            coordinates: ``(N, K)``, of one speaker.
            labels: ``(N,)``, -1 for clips without a label; None if no clip has one.
        """
        count, (emotions, size) = len(coordinates), self.centres.shape
        mean = self.centres.mean(0)
        total = np.eye(size) + np.cov(self.centres, rowvar=False, bias=True).reshape(size, size) + self.interactions
        gain = self.offsets @ np.linalg.inv(self.offsets + total / count)
        centres = self.centres + gain @ (coordinates.mean(0) - mean)
        covariance = np.eye(size) + self.interactions
        prior = np.kron(np.ones((emotions, emotions)), self.offsets) + np.kron(np.eye(emotions), self.interactions)
        precision = np.linalg.inv(prior)
        for _ in range(ROUNDS):
            shares = _posterior(coordinates, centres, covariance)  # (N, C)
            if labels is not None:
                shares[labels >= 0] = np.eye(emotions)[labels[labels >= 0]]
            seen = shares.sum(0)
            posterior = np.linalg.inv(precision + np.diag(np.repeat(seen, size)))
            deviations = shares.T @ coordinates - seen[:, None] * self.centres
            centres = self.centres + (posterior @ deviations.ravel()).reshape(emotions, size)
            blocks = posterior.reshape(emotions, size, emotions, size)
            covariance = np.eye(size) + np.mean([blocks[i, :, i] for i in range(emotions)], axis=0)
        weight = np.linalg.solve(covariance, centres.T).T
        return weight, -0.5 * (weight * centres).sum(1)


def fit_logit_model(
    logits: np.ndarray, labels: np.ndarray, rows: Sequence[np.ndarray]
) -> tuple[LogitModel, np.ndarray]:
    """Return the model of some logits, and the matrix ``(C, K)`` from logits to its coordinates.

    The covariances are those of a two-way analysis of variance with random speakers.

    Args:
        logits: ``(N, C)``, of speakers outside of the training data of the classifier.
        labels: ``(N,)``.
        rows: Row numbers of each speaker.
    """
    emotions = logits.shape[1]
    differences = np.vstack([np.eye(emotions - 1), -np.ones(emotions - 1)])  # to the last logit
    coordinates = logits @ differences
    cells = [[own[labels[own] == emotion] for emotion in range(emotions)] for own in rows]
    residuals = np.concatenate(
        [coordinates[cell] - coordinates[cell].mean(0) for cells_ in cells for cell in cells_ if len(cell)]
    )
    filled = [len(cell) for cells_ in cells for cell in cells_ if len(cell)]
    within = residuals.T @ residuals / max(1, len(residuals) - len(filled))
    within += 1e-6 * np.trace(within) / (emotions - 1) * np.eye(emotions - 1)  # for very small training sets
    whitening = differences @ np.linalg.inv(np.linalg.cholesky(within)).T
    coordinates = logits @ whitening
    means = np.array(
        [[coordinates[cell].mean(0) if len(cell) else np.full(emotions - 1, np.nan) for cell in line] for line in cells]
    )  # (speakers, C, K)
    centres = np.nanmean(means, 0)
    offsets = np.nanmean(means - centres, 1)
    interactions = (means - centres - offsets[:, None]).reshape(-1, emotions - 1)
    interactions = interactions[~np.isnan(interactions[:, 0])]
    others = len(rows) - 1
    spread = interactions.T @ interactions / max(1, others * (emotions - 1))
    noise = np.eye(emotions - 1) * np.mean(1 / np.array(filled))
    model = LogitModel(
        centres,
        _positive(offsets.T @ offsets / others - spread / emotions),
        _positive(spread - noise),
    )
    return model, whitening


def _posterior(coordinates: np.ndarray, centres: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the probability ``(N, C)`` of each emotion."""
    distances = coordinates[:, None] - centres
    logits = -0.5 * np.einsum("nck,kl,ncl->nc", distances, np.linalg.inv(covariance), distances)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Return a symmetric matrix whose eigenvalues are at least `SMALLEST`."""
    sizes, axes = np.linalg.eigh(matrix)
    return (axes * np.maximum(sizes, SMALLEST)) @ axes.T
