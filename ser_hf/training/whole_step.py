"""Predict all parts of an optimizer step before its gradients, for losses that are no mean over utterances.

A step has several parts if gradients are accumulated, or if several processes train. Memory holds the activations of
one part at a time; each utterance is predicted once more.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import gather_object

from ser_hf.tasks.losses import RegressionLoss

if TYPE_CHECKING:
    from ser_hf.training.trainer import SerTrainer


def predict_step(trainer: "SerTrainer", batches: list[dict[str, torch.Tensor]], loss: RegressionLoss) -> None:
    """Give the loss the values and labels of all parts of a step, from all processes.

    The random numbers of dropout and masking are the same as in the training step that follows.

    Args:
        trainer: Trainer of the model.
        batches: Parts of the step in this process, in their order.
        loss: Loss of the trainer.
    """
    loss.parts = len(batches) * trainer.args.world_size
    if loss.parts == 1:
        loss.step = None
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.train()
    masking = np.random.get_state()  # transformers draws the masks of SpecAugment from it
    with torch.no_grad(), torch.random.fork_rng(), trainer.compute_loss_context_manager():
        values = [_predict(model, batch).float().cpu() for batch in batches]
    np.random.set_state(masking)
    labels = [batch["labels"].float().cpu() for batch in batches]
    step = gather_object([(trainer.args.process_index, torch.cat(values), torch.cat(labels))])
    device, before = trainer.args.device, [rows for process, rows, _ in step if process < trainer.args.process_index]
    whole_values, whole_labels = (torch.cat([part[i] for part in step]).to(device) for i in (1, 2))
    loss.step = whole_values, whole_labels, sum(map(len, before))


def _predict(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    device = next(model.parameters()).device
    return model(**{name: value.to(device) for name, value in batch.items() if name != "labels"}).logits
