"""Callbacks of every training: the epoch for collator and sampler, and an error if the training diverges."""

import math

import torch
from transformers import TrainerCallback


class EpochCallback(TrainerCallback):
    """Write the current epoch into the tensor that the collator and the sampler share.

    Args:
        epoch: Tensor of one integer.
    """

    def __init__(self, epoch: torch.Tensor):
        self.epoch = epoch

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Write the epoch; when resuming in the middle of an epoch, the fraction is truncated."""
        self.epoch.fill_(int(state.epoch))


class DivergenceCallback(TrainerCallback):
    """Stop the training with an error if a loss is infinite or not a number."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Check the losses of an epoch.

        Raises:
            ValueError: If the training diverged.
        """
        if any(not math.isfinite(value) for name, value in logs.items() if name in ("loss", "eval_loss")):
            raise ValueError(
                f"The training diverged: the loss is not a finite number in epoch {state.epoch:g}. Lower "
                f"--learning_rate (now {args.learning_rate:g}), or raise --warmup_steps, and pass a new --output_dir."
            )
