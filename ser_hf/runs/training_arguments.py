"""Define the training arguments of recipes, with the fields of `TrainingOptions`; this module imports torch."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers import TrainingArguments

from ser_hf.runs.ranges import check_ranges
from ser_hf.runs.training_options import TrainingOptions

# Lowest and highest value of each number.
RANGES = {
    "auxiliary_weight": (0, 1000),
    "vote_smoothing": (0, 100),
    "vote_dropout": (0, 0.9),
    "focal_gamma": (0, 10),
    "logit_adjustment": (0, 10),
    "head_learning_rate": (0, 10),
    "layer_decay": (0, 1),
    "early_stopping_patience": (1, 1000),
    "learning_rate": (0, 10),
    "num_train_epochs": (0, 100_000),
    "per_device_train_batch_size": (1, 100_000),
    "batch_seconds": (0.1, 1_000_000),
    "per_device_eval_batch_size": (1, 100_000),
    "warmup_steps": (0, 1_000_000),
    "save_total_limit": (1, 1000),
    "dataloader_num_workers": (0, 1000),
    "weight_decay": (0, 10),
    "adam_beta1": (0, 1),
    "adam_beta2": (0, 1),
    "adam_epsilon": (0, 1),
    "max_grad_norm": (0, 1_000_000),
    "label_smoothing_factor": (0, 1),
    "gradient_accumulation_steps": (1, 100_000),
    "seed": (0, 2**32 - 1),
}


@dataclass
class SerTrainingArguments(TrainingOptions, TrainingArguments):
    """Extend `transformers.TrainingArguments` with options and defaults for speech emotion recognition."""

    dataloader_pin_memory: bool = field(
        default=torch.cuda.is_available(), metadata={"help": "Use page-locked memory for batches, for a GPU."}
    )

    if TYPE_CHECKING:
        output_dir: str = ""  # never None: transformers replaces None by a name

    def __post_init__(self) -> None:
        for name, value in (("eval_strategy", "epoch"), ("save_strategy", "epoch"), ("load_best_model_at_end", True)):
            if getattr(self, name) != value:
                raise ValueError(f"{name}: expected {value}, because the best epoch has to be chosen.")
        if self.resume_from_checkpoint is not None or self.max_steps > 0:
            raise ValueError(
                "resume_from_checkpoint and max_steps: leave them out. A run resumes automatically from its "
                "checkpoints in output_dir, and its length is num_train_epochs."
            )
        check_ranges(self, RANGES)
        if self.focal_gamma != type(self).focal_gamma and self.loss != "focal":
            raise ValueError(f"focal_gamma: pass --loss focal, or leave out --focal_gamma {self.focal_gamma:g}.")
        for name in ("per_device_train_batch_size", "auto_find_batch_size"):
            value = getattr(self, name)
            if self.batch_seconds is not None and value != getattr(type(self), name):
                raise ValueError(f"batch_seconds: expected one batch size, found {name} {value} too. Leave one out.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay: expected above 0 and below 1, found {self.ema_decay}.")
        # without a GPU, transformers accepts bf16 only if use_cpu is set
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        chosen = self.metric_for_best_model, self.greater_is_better
        super().__post_init__()
        if chosen[0] is None:  # transformers sets "loss"; `complete_arguments` sets the metric of the task
            self.metric_for_best_model, self.greater_is_better = chosen
        if self.push_to_hub and "/" not in (self.hub_model_id or ""):
            raise ValueError("push_to_hub: expected a repository. Pass --hub_model_id USER/NAME.")
