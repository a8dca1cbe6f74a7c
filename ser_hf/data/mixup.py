"""Blends of two utterances and of their labels, at train time.

Shapes: B batch, T samples, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch


class Mixup:
    """Blend each utterance of a batch with another one of it, both at one level, and their labels alike.

    Source: Zhang et al. 2018, mixup, https://arxiv.org/abs/1710.09412; on waveforms: Tokozume et al. 2018,
    Between-class learning, https://arxiv.org/abs/1711.10282

    Args:
        alpha: Of the Beta(alpha, alpha) distribution that the share is drawn from; small ones leave most batches
            nearly as they are.
        classes: C.
    """

    def __init__(self, alpha: float, classes: int):
        self.alpha = alpha
        self.classes = classes

    def __call__(
        self, waveforms: Sequence[np.ndarray], labels: Sequence[int], *, seed: tuple[int, ...]
    ) -> tuple[list[np.ndarray], torch.Tensor]:
        """Return B waveforms, each as long as the longer of its two, and the labels' shares ``(B, C)``."""
        rng = np.random.default_rng(seed)
        shares = rng.beta(self.alpha, self.alpha, len(waveforms))
        partners = rng.permutation(len(waveforms))
        mixed = [
            _blend(waveform, waveforms[partner], share)
            for waveform, partner, share in zip(waveforms, partners, shares, strict=True)
        ]
        own = torch.nn.functional.one_hot(torch.tensor(labels), self.classes).float()
        weights = torch.tensor(shares, dtype=torch.float32)[:, None]
        return mixed, weights * own + (1 - weights) * own[torch.from_numpy(partners)]


def _blend(waveform: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    level, other_level = (np.sqrt(np.mean(samples**2)) + 1e-8 for samples in (waveform, other))
    mixed = np.zeros(max(len(waveform), len(other)), dtype=np.float32)
    mixed[: len(waveform)] += np.float32(share) * waveform
    mixed[: len(other)] += np.float32((1 - share) * level / other_level) * other
    return mixed
