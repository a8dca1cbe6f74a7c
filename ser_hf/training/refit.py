"""Train a second time, on training and validation speakers together, up to the best epoch of the first training.

The epoch, the temperature and the threshold are chosen on validation speakers, who are not in the first training. After
that, these speakers are used as training data too, because scores increase with the number of training speakers.
"""

import copy
import shutil
from pathlib import Path

from datasets import DatasetDict
from torch import nn
from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import IntervalStrategy

from ser_hf.models.temperature import fold_temperature
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.training.auxiliary import narrow_head
from ser_hf.training.components import make_model, make_trainer, start_head
from ser_hf.training.trainer import SerTrainer
from ser_hf.training.trainer_state import best_evaluation, last_checkpoint


def refit(
    chosen: SerTrainer, data: DataArguments, model_args: ModelArguments, dataset: DatasetDict
) -> nn.Linear | None:
    """Replace the weights of a trained, calibrated model, in place, by those of a second training.

    The second training starts like the first, follows the same learning rate schedule, and stops after the best epoch
    of the first. It keeps its checkpoints in the folder `refit` of the output folder, resumes from them after an
    interruption, and deletes them at its end. The temperature of the first training is folded into its weights.

    Args:
        chosen: The trainer of the first training, whose model is calibrated.
        data: Data arguments of the recipe.
        model_args: Model arguments of the recipe.
        dataset: DatasetDict with "train", "validation" and "refit" (training rows of both parts).

    Returns:
        The head of the auxiliary task; None without one.
    """
    epochs = best_evaluation(chosen)["epoch"]
    training = copy.copy(chosen.args)  # without __post_init__, which requires validation
    training.output_dir = str(Path(chosen.args.output_dir, "refit", f"{epochs:g}_of_{training.num_train_epochs:g}"))
    training.eval_strategy, training.load_best_model_at_end = IntervalStrategy.NO, False
    training.eval_on_start, training.early_stopping_patience = False, None
    set_seed(training.seed)
    outputs = list(chosen.model.config.id2label.values())  # type: ignore[union-attr]
    model, feature_extractor = make_model(data.task, outputs, model_args, training, dataset)
    checkpoint = last_checkpoint(training.output_dir)
    if checkpoint is None or model_args.head_init == "readout":
        model = model.to(training.device)  # type: ignore[arg-type]
        # The penalty that was chosen on fewer speakers, because the temperature depends on it.
        strength = getattr(chosen.model.config, "head_strength", None)
        model = start_head(
            model_args, model, dataset["refit"], feature_extractor, data=data, training=training, strength=strength
        )
    auxiliary = None
    if training.num_train_epochs:
        rows = DatasetDict(train=dataset["refit"], validation=dataset["validation"])
        trainer = make_trainer(model, feature_extractor, rows, data=data, model_args=model_args, training=training)
        if epochs:
            trainer.add_callback(StopAfter(epochs))
            trainer.train(resume_from_checkpoint=checkpoint)
        auxiliary = narrow_head(model, trainer.compute_loss_func)
    if temperature := getattr(chosen.model.config, "calibration_temperature", None):
        fold_temperature(model, temperature)
    chosen.model.load_state_dict(model.state_dict())
    if chosen.is_world_process_zero():
        shutil.rmtree(Path(chosen.args.output_dir, "refit"), ignore_errors=True)
    return auxiliary


class StopAfter(TrainerCallback):
    """Stop the training after a number of epochs, without a change of the learning rate schedule."""

    def __init__(self, epochs: float):
        self.epochs = epochs

    def on_epoch_end(self, args, state, control, **kwargs):
        """Compare with a margin, because the Trainer adds up fractions of an epoch."""
        control.should_training_stop = state.epoch > self.epochs - 0.01
