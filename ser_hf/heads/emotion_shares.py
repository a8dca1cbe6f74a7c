"""Estimate the shares of the emotions in clips without labels.

Source: Saerens et al. 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities: A Simple Procedure,
doi:10.1162/089976602753284446
"""

import numpy as np

PULL = 10.0  # clips that equal shares, as in the training, count as; not tuned
ROUNDS = 50


def estimate_shares(logits: np.ndarray) -> np.ndarray:
    """Return the shares of the emotions ``(C,)`` by expectation-maximisation, pulled to equal shares.

    Args:
        logits: ``(N, C)`` of a calibrated classifier that takes all emotions as equally frequent.

    Examples:
        >>> estimate_shares(np.array([[4.0, 0.0]] * 10)).round(2).tolist()
        [0.75, 0.25]
    """
    clips, emotions = logits.shape
    likelihoods = np.exp(logits - logits.max(1, keepdims=True))
    shares = np.full(emotions, 1 / emotions)
    for _ in range(ROUNDS):
        weighted = likelihoods * shares
        posterior = weighted / weighted.sum(1, keepdims=True)
        shares = (posterior.sum(0) + PULL / emotions) / (clips + PULL)
    return shares
