"""What a recipe can say about the model and its training."""

import os
from dataclasses import dataclass, field
from typing import Literal

import torch
from transformers import TrainingArguments


@dataclass
class ModelArguments:
    """Which encoder, what is trained of it, and how its features are masked."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Pretrained encoder: Hub id or folder. Or give model_type."}
    )
    model_type: str | None = field(
        default=None, metadata={"help": "Architecture to train from random weights: mel, whisper, wav2vec2 …"}
    )
    config_overrides: list[str] = field(
        default_factory=list, metadata={"help": "Values of the architecture's config, key=value."}
    )
    freeze: Literal["none", "cnn", "encoder"] = field(
        default="none", metadata={"help": "Keep the convolutional front end, or all but the head, as it is."}
    )
    head_init: Literal["random", "probe", "readout"] = field(
        default="random",
        metadata={
            "help": "Start the head at random; from a linear probe of the frozen encoder (LP-FT); or, for Whisper, "
            "from a linear readout of its layers, which --num_train_epochs 0 leaves as it is."
        },
    )
    layer_sum: bool = field(default=False, metadata={"help": "Let the head read a learned sum of all layers."})
    mask_time_prob: float = field(default=0.0, metadata={"help": "SpecAugment: share of the frames to mask, 0 to 1."})
    mask_time_length: int = field(
        default=10,
        metadata={"help": "SpecAugment: frames of a span (20 ms each; 10 ms for Whisper, AST and mel)."},
    )
    mask_feature_prob: float = field(
        default=0.0, metadata={"help": "SpecAugment: share of the channels or mel bins to mask, 0 to 1."}
    )
    mask_feature_length: int = field(default=10, metadata={"help": "SpecAugment: channels or mel bins of a band."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run code that comes with the checkpoint. Only for authors you trust."}
    )

    def __post_init__(self) -> None:
        if bad := [item for item in self.config_overrides if "=" not in item]:
            raise ValueError(f"config_overrides: expected key=value, found {bad}.")
        if (self.model_name_or_path is None) == (self.model_type is None):
            raise ValueError(
                "Expected either --model_name_or_path (a pretrained encoder) or --model_type (an architecture to train "
                f"from random weights), found {self.model_name_or_path!r} and {self.model_type!r}."
            )
        for name in ("mask_time_prob", "mask_feature_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}.")
        for name in ("mask_time_length", "mask_feature_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}.")


@dataclass
class SerTrainingArguments(TrainingArguments):
    """`transformers.TrainingArguments` with defaults proven for speech emotion, and what the stock Trainer lacks."""

    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the head; 10 times the encoder's is usual. None: the same."}
    )
    class_weights: Literal["balanced", "none"] = field(
        default="balanced", metadata={"help": "Weigh each emotion inversely to its number of utterances."}
    )
    ema_decay: float | None = field(
        default=None,
        metadata={
            "help": "Validate and keep an exponential moving average of the weights; each step keeps this share of it: "
            "0.99 averages about the last 100 steps. None: the weights themselves."
        },
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after so many epochs without a better validation UA. None: never."}
    )
    refit: bool = field(
        default=False,
        metadata={
            "help": "Train again from the start on training and validation speakers together, up to the best epoch, "
            "once the validation speakers have chosen it, the temperature and the threshold."
        },
    )
    # Source of the rates, warm-up, batch and clipping: SUPERB, https://arxiv.org/abs/2105.01051, and Wagner et al.
    # 2023, https://arxiv.org/abs/2203.07378
    learning_rate: float = field(default=3e-5, metadata={"help": "Peak learning rate of the encoder."})
    num_train_epochs: float = field(default=15, metadata={"help": "Epochs; more than a finished run's continue it."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Utterances per process and step."})
    per_device_eval_batch_size: int = field(default=16, metadata={"help": "As above, in evaluation."})
    warmup_steps: float = field(default=0.1, metadata={"help": "Warm-up: steps, or below 1 the share of all steps."})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "Shape of the learning rate's decay."})
    metric_for_best_model: str | None = field(
        default="ua", metadata={"help": "What the best epoch is chosen by, on validation speakers: ua, wa, macro_f1."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to validate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save a checkpoint to resume from."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep: the last and the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Keep the best epoch's weights."})
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "Let early stopping count on after a resume."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator needs all columns."})
    dataloader_pin_memory: bool = field(
        default=torch.cuda.is_available(), metadata={"help": "Page-locked batches, for a GPU."}
    )
    dataloader_num_workers: int = field(
        default=min(4, (os.cpu_count() or 1) - 1), metadata={"help": "Processes that decode and augment."}
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
