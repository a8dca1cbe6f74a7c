"""`transformers.TrainingArguments` with the defaults and fields of `TrainingOptions`; this module imports torch."""

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments

from ser_hf.runs.training_options import TrainingOptions


@dataclass
class SerTrainingArguments(TrainingOptions, TrainingArguments):
    """`transformers.TrainingArguments` with defaults proven for speech emotion, and what the stock Trainer lacks."""

    dataloader_pin_memory: bool = field(
        default=torch.cuda.is_available(), metadata={"help": "Page-locked batches, for a GPU."}
    )

    def __post_init__(self) -> None:
        for name, wanted in (("eval_strategy", "epoch"), ("save_strategy", "epoch"), ("load_best_model_at_end", True)):
            if getattr(self, name) != wanted:
                raise ValueError(f"{name}: expected {wanted}, as the best epoch on validation speakers is kept.")
        if self.resume_from_checkpoint is not None or self.max_steps > 0:
            raise ValueError(
                "resume_from_checkpoint and max_steps: leave them out. A run resumes by itself from the checkpoints in "
                "its output_dir, and its length is num_train_epochs."
            )
        if self.num_train_epochs < 0:
            raise ValueError(f"num_train_epochs: expected 0 or more, found {self.num_train_epochs}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay: expected above 0 and below 1, found {self.ema_decay}.")
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()  # else bf16 is refused there
        super().__post_init__()
        metrics = ("ua", "wa", "macro_f1", "loss")
        if self.push_to_hub and "/" not in (self.hub_model_id or ""):
            raise ValueError("push_to_hub: expected the repository too. Say --hub_model_id USER/NAME.")
        # A misspelt name would switch early stopping off in silence.
        if self.metric_for_best_model.removeprefix("eval_") not in metrics:
            raise ValueError(f"metric_for_best_model: expected one of {metrics}, found '{self.metric_for_best_model}'.")
