"""A second training on training and validation speakers together, as long as the validation speakers found best.

The epoch, the temperature and the threshold are chosen on speakers that the first training did not hear. Once they are
chosen, these speakers are worth more as training data: with few speakers, each one counts.
"""

import copy
import shutil
from pathlib import Path

from datasets import DatasetDict
from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import IntervalStrategy

from ser_hf.models.temperature import fold_temperature
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.training.components import make_model, make_trainer, start_head
from ser_hf.training.trainer import SerTrainer, best_evaluation, last_checkpoint


def refit(chosen: SerTrainer, data: DataArguments, model_args: ModelArguments, dataset: DatasetDict) -> None:
    """Replace the weights of a trained, calibrated model, in place, by those of a second training.

    The second training starts like the first, follows the same learning rate schedule, and stops after the best epoch
    of the first. It keeps its checkpoints in the folder `refit` of the output folder, resumes from them after an
    interruption, and deletes them at its end. The temperature of the first training is folded into its weights.

    Args:
        chosen: The trainer of the first training, whose model is calibrated.
        data: What changes the training waveforms.
        model_args: How the model is built and starts.
        dataset: With "train", "validation" and "refit" (both of them as training rows).
    """
    epochs = best_evaluation(chosen)["epoch"]
    training = copy.copy(chosen.args)  # a copy, as these arguments are not checked anew: nothing is validated
    training.output_dir = str(Path(chosen.args.output_dir, "refit", f"{epochs:g}_of_{training.num_train_epochs:g}"))
    training.eval_strategy, training.load_best_model_at_end = IntervalStrategy.NO, False
    training.early_stopping_patience = None
    set_seed(training.seed)
    outputs = list(chosen.model.config.id2label.values())  # type: ignore[union-attr]
    model, feature_extractor = make_model(data.task, outputs, model_args, training, dataset)
    checkpoint = last_checkpoint(training.output_dir)
    if checkpoint is None or model_args.head_init == "readout":
        head = model_args.head_init, model.to(training.device)  # type: ignore[arg-type]
        strength = getattr(chosen.model.config, "head_strength", None)  # chosen once: the temperature depends on it
        model = start_head(*head, dataset["refit"], feature_extractor, training, strength=strength)
    if training.num_train_epochs:
        rows = DatasetDict(train=dataset["refit"], validation=dataset["validation"])
        trainer = make_trainer(model, feature_extractor, rows, data=data, model_args=model_args, training=training)
        trainer.add_callback(StopAfter(epochs))
        trainer.train(resume_from_checkpoint=checkpoint)
    if temperature := getattr(chosen.model.config, "calibration_temperature", None):
        fold_temperature(model, temperature)
    chosen.model.load_state_dict(model.state_dict())
    if chosen.is_world_process_zero():
        shutil.rmtree(Path(chosen.args.output_dir, "refit"), ignore_errors=True)


class StopAfter(TrainerCallback):
    """Stop training when so many epochs are done; the learning rate schedule stays that of all epochs."""

    def __init__(self, epochs: float):
        self.epochs = epochs

    def on_epoch_end(self, args, state, control, **kwargs):
        """Compare with a margin: the Trainer adds up fractions of an epoch."""
        control.should_training_stop = state.epoch > self.epochs - 0.01
