"""An average of the weights over the steps of training, which is what is validated, kept and saved.

Fine-tuning moves fast through good weights and settles in ones that know the training speakers; the average of its way
lies flatter, and recognises unseen ones better. It is plain weights: the checkpoint stays stock.

Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, https://arxiv.org/abs/1803.05407
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

TRAINED = "trained.safetensors"  # in a checkpoint: the weights that the optimizer goes on from


class WeightAverage(TrainerCallback):
    """Train the weights within an epoch; between epochs, when the Trainer validates and saves, hold their average.

    Args:
        decay: Share of the average that each step keeps, below 1; 0.99 is an average of about the last 100 steps.
    """

    def __init__(self, decay: float):
        self.decay = decay
        self.average: dict[str, torch.Tensor] = {}
        self.trained: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args, state, control, model, **kwargs):
        """Begin the average at the weights that training begins with, or go on from a checkpoint's."""
        self.average, self.trained = _copy(model), {}
        if state.global_step:
            self.trained = load_file(_path(args, state), device=str(model.device))

    def on_epoch_begin(self, args, state, control, model, **kwargs):
        """Go on training where the last epoch ended."""
        if self.trained:
            model.load_state_dict(self.trained)

    @torch.no_grad()
    def on_step_end(self, args, state, control, model, **kwargs):
        """Move the average towards the weights; counters are taken as they are."""
        for name, weight in model.state_dict().items():
            average = self.average[name]
            average.lerp_(weight, 1 - self.decay) if weight.is_floating_point() else average.copy_(weight)

    def on_epoch_end(self, args, state, control, model, **kwargs):
        """Let the average be validated and saved, and put the trained weights into its checkpoint, to resume."""
        self.trained = _copy(model)
        model.load_state_dict(self.average)
        if control.should_save and state.is_world_process_zero:
            _path(args, state).parent.mkdir(parents=True, exist_ok=True)  # before the Trainer's: a whole one has both
            save_file(self.trained, _path(args, state))


def _path(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}", TRAINED)


def _copy(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}
