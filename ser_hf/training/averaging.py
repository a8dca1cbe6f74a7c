"""Average the weights over the steps of training; the average is validated and saved.

Fine-tuning tends to overfit to the training speakers. The average of the weights lies in a flatter minimum of the loss
and recognises unseen speakers better. It has the same names and shapes as the weights, so the checkpoint stays stock.

Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, https://arxiv.org/abs/1803.05407
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

TRAINED = "trained.safetensors"  # in a checkpoint: the weights from which training resumes


class WeightAverage(TrainerCallback):
    """Replace the weights by their exponential moving average between epochs, when the Trainer validates and saves.

    Args:
        decay: Share of the average that each step keeps, below 1; 0.99 is an average of about the last 100 steps.

    Examples:
        >>> WeightAverage(0.99).decay  # pass it to a Trainer as a callback
        0.99
    """

    def __init__(self, decay: float):
        self.decay = decay
        self.average: dict[str, torch.Tensor] = {}
        self.trained: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args, state, control, model, **kwargs):  # type: ignore[override]
        """Start the average from the current weights; when resuming, load the trained weights of the checkpoint."""
        self.average, self.trained = _copy(model), {}
        if state.global_step:
            self.trained = load_file(_path(args, state), device=str(model.device))

    def on_epoch_begin(self, args, state, control, model, **kwargs):  # type: ignore[override]
        """Restore the trained weights of the last epoch."""
        if self.trained:
            model.load_state_dict(self.trained)

    @torch.no_grad()
    def on_step_end(self, args, state, control, model, **kwargs):  # type: ignore[override]
        """Update the average; integer tensors, such as counters, are copied."""
        for name, weight in model.state_dict().items():
            average = self.average[name]
            average.lerp_(weight, 1 - self.decay) if weight.is_floating_point() else average.copy_(weight)

    def on_epoch_end(self, args, state, control, model, **kwargs):  # type: ignore[override]
        """Load the average into the model, to be validated and saved; store the trained weights for resuming."""
        self.trained = _copy(model)
        model.load_state_dict(self.average)
        if control.should_save and state.is_world_process_zero:
            # Before the Trainer saves its checkpoint, so that a complete checkpoint always has both files.
            _path(args, state).parent.mkdir(parents=True, exist_ok=True)
            save_file(self.trained, _path(args, state))


def _path(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}", TRAINED)  # type: ignore[arg-type]


def _copy(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}
