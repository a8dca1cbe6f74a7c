"""Unfreeze the encoder during training, from the top layer down."""

from torch import nn
from transformers import TrainerCallback

from ser_hf.models.backbone import count_layers, layer_number
from ser_hf.models.checkpoint_loading import is_head


class GradualUnfreezing(TrainerCallback):
    """Train the head alone in the first epoch, and one transformer layer more in each further epoch, from the top.

    When all layers are trained, the next epoch also trains everything outside of the layers. Parameters that were
    frozen before the training stay frozen.

    Args:
        model: Audio classifier.

    Raises:
        ValueError: If no transformer layer is trained.

    Source: Howard & Ruder 2018, Universal Language Model Fine-tuning, https://arxiv.org/abs/1801.06146
    """

    def __init__(self, model: nn.Module):
        self.layers = count_layers(model)
        self.trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        if not any(layer_number(name) for name in self.trained):
            raise ValueError("gradual_unfreezing: expected trained transformer layers, found none. Leave it out.")

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        """Set which parameters have gradients in this epoch."""
        self._train_from(model, self.layers + 1 - int(state.epoch))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        """Give gradients to all parameters that had them before the training."""
        self._train_from(model, 0)

    def _train_from(self, model: nn.Module, lowest: int) -> None:
        for name in self.trained:
            model.get_parameter(name).requires_grad_(is_head(name) or layer_number(name) >= lowest)
