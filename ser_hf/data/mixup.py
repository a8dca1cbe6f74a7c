"""Mixup of waveforms and labels, for training.

Shapes: B batch, T samples, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch


class Mixup:
    """Mix each utterance of a mini-batch with a random other one, and their labels in the same proportion.

    The second utterance is first scaled to the RMS level of the first.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the mixing weight; with small values most utterances
            are almost unchanged.
        classes: Number of classes C.

    Source: Zhang et al. 2018, mixup, https://arxiv.org/abs/1710.09412; on waveforms: Tokozume et al. 2018,
    Between-class learning, https://arxiv.org/abs/1711.10282

    Examples:
        >>> waveforms = [np.ones(8_000, np.float32), np.ones(16_000, np.float32)]
        >>> mixed, weights = Mixup(alpha=0.4, classes=3)(waveforms, [0, 2], seed=(0,))
        >>> len(mixed), weights.shape
        (2, torch.Size([2, 3]))
    """

    def __init__(self, alpha: float, classes: int):
        self.alpha = alpha
        self.classes = classes

    def __call__(
        self, waveforms: Sequence[np.ndarray], labels: Sequence[int], *, seed: tuple[int, ...]
    ) -> tuple[list[np.ndarray], torch.Tensor]:
        """Return the mixed waveforms and the class weights.

        Args:
            waveforms: B arrays ``(T,)`` float32.
            labels: B class indices.
            seed: The same seed gives the same result.

        Returns:
            B waveforms, each as long as the longer of its two components, and class weights ``(B, C)`` whose rows sum
            to 1.
        """
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
