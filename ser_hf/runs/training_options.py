"""What a recipe can say about the training, apart from what transformers' own TrainingArguments offer.

The fields are here, without torch, so that ``--help`` lists them at once.
"""

import os
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class TrainingOptions:
    """How the model is trained.

    `SerTrainingArguments` are these fields and those of `transformers.TrainingArguments`; where both have one, the
    default is the one given here.
    """

    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for the checkpoint, its card and the evidence. None: trainer_output."}
    )
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
    dataloader_num_workers: int = field(
        default=min(4, (os.cpu_count() or 1) - 1), metadata={"help": "Processes that decode and augment."}
    )
