"""Define training arguments that `transformers.TrainingArguments` lacks, or for which it has other defaults.

This module does not import torch, so that ``--help`` is fast.
"""

from dataclasses import dataclass, field
from typing import Literal

from ser_hf.cpus import usable_cpus


@dataclass
class TrainingOptions:
    """Define how the model is trained.

    `SerTrainingArguments` has these fields and the fields of `transformers.TrainingArguments`; if both have a field,
    the default in this class is used.

    Examples:
        >>> TrainingOptions(refit=True).learning_rate
        3e-05
    """

    output_dir: str | None = field(
        default=None,
        metadata={"help": "Folder for the checkpoint, its model card, results and figures. None: trainer_output."},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the head; usually 10 times the encoder's. None: the same."}
    )
    layer_decay: float | None = field(
        default=None,
        metadata={
            "help": "Learning rate of each transformer layer, as a share of the rate of the layer above, 0 to 1: 0.9. "
            "The top layer has learning_rate. None: all layers have the same rate."
        },
    )
    gradual_unfreezing: bool = field(
        default=False,
        metadata={
            "help": "Train the head alone in the first epoch, and one transformer layer more in each further epoch, "
            "from the top."
        },
    )
    sampling: Literal["all", "balanced", "undersample"] = field(
        default="all",
        metadata={
            "help": "categories, dimensions: utterances of an epoch. all: each once. balanced: equally many of each "
            "emotion, with repetitions. undersample: of each emotion as many as of the rarest."
        },
    )
    class_weights: Literal["balanced", "effective", "none"] | None = field(
        default=None,
        metadata={
            "help": "categories: weigh emotions inversely to their numbers of utterances (balanced), or to their "
            "effective numbers (effective), which grow to at most 1000. None: balanced, or none if sampling or "
            "logit_adjustment balance the emotions."
        },
    )
    loss: Literal["cross_entropy", "focal"] = field(
        default="cross_entropy",
        metadata={"help": "categories: focal reduces the loss of utterances that are recognised well."},
    )
    focal_gamma: float = field(default=2.0, metadata={"help": "categories: exponent of the focal loss, 0 to 10."})
    logit_adjustment: float = field(
        default=0.0,
        metadata={
            "help": "categories: in training, add the logarithm of the share of each emotion to the logits, times "
            "this number. 1: the optimum for UA. 0: none."
        },
    )
    regression_loss: Literal["ccc", "mse", "ccc_mse"] = field(
        default="ccc",
        metadata={"help": "dimensions: 1 - CCC over the batch of a step, mean squared error, or the sum of both."},
    )
    vote_smoothing: float = field(default=0.0, metadata={"help": "votes: votes that are added to every emotion."})
    vote_dropout: float = field(
        default=0.0, metadata={"help": "votes: probability that an annotator is left out in a training step, 0 to 0.9."}
    )
    auxiliary_weight: float = field(
        default=1.0,
        metadata={"help": "auxiliary_task: factor of its error, which is 1 for a constant prediction."},
    )
    ema_decay: float | None = field(
        default=None,
        metadata={
            "help": "Validate and save an exponential moving average of the weights with this decay per step: 0.99 "
            "averages about the last 100 steps. None: no averaging."
        },
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "Stop after this number of epochs without a better metric_for_best_model. None: never."},
    )
    cache_frozen: bool = field(
        default=True,
        metadata={
            "help": "Compute the frozen part of the model once for each utterance, and keep its outputs in the cache; "
            "with augmentation, mixup or masks of the frozen part, it is computed in each epoch all the same."
        },
    )
    rehearse: bool = field(
        default=False,
        metadata={
            "help": "First learn 32 utterances by heart, for at most a minute; stop with the reason if that fails, or "
            "if the labels seem to be unrelated to the audio."
        },
    )
    refit: bool = field(
        default=False,
        metadata={
            "help": "Train a second time, on training and validation speakers, up to the best epoch of the first "
            "training; epoch, temperature and threshold are chosen in the first training."
        },
    )
    # Source of the rates, warm-up, batch and clipping: SUPERB, https://arxiv.org/abs/2105.01051, and Wagner et al.
    # 2023, https://arxiv.org/abs/2203.07378
    learning_rate: float = field(default=3e-5, metadata={"help": "Peak learning rate of the encoder."})
    num_train_epochs: float = field(
        default=15, metadata={"help": "Number of epochs; a finished run continues if the number is higher."}
    )
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Training batch size per process."})
    batch_seconds: float | None = field(
        default=None,
        metadata={
            "help": "Training batch size per process in seconds of zero-padded audio before augmentation, instead of "
            "per_device_train_batch_size; a longer utterance is a batch of its own. None: a number of utterances."
        },
    )
    per_device_eval_batch_size: int = field(default=16, metadata={"help": "Evaluation batch size per process."})
    warmup_steps: float = field(
        default=0.1, metadata={"help": "Warm-up in steps, or as a share of all steps if below 1."}
    )
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "Learning rate schedule."})
    metric_for_best_model: str | None = field(
        default=None,
        metadata={
            "help": "Validation metric that chooses the best epoch: a metric of the task (categories: ua, "
            "wa, macro_f1), or loss. None: the first metric."
        },
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to validate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save a checkpoint to resume from."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Leave it out: a loss that is not a number stops the training."}
    )
    save_total_limit: int | None = field(
        default=2, metadata={"help": "Number of checkpoints to keep, including the best."}
    )
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Use the weights of the best epoch."})
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "Restore the counter of early stopping when resuming."}
    )
    hub_token: str | None = field(
        default=None,
        metadata={
            "help": "Token for push_to_hub; it is never written to disk. Better set HF_TOKEN, or run `hf auth login`: "
            "other users of the machine can see the command line."
        },
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator needs all columns."})
    dataloader_num_workers: int = field(
        default_factory=lambda: min(4, usable_cpus() - 1),
        metadata={"help": "Number of processes that decode and augment audio."},
    )
