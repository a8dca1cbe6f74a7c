"""Define the arguments of continued pretraining; this module does not import torch."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from ser_hf.models.location import check_revision
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.ranges import check_ranges

if TYPE_CHECKING:  # imports torch
    from ser_hf.runs.training_arguments import SerTrainingArguments

# Lowest and highest value of each number. The shortest training audio, 0.25 s, has 12 frames.
RANGES = {
    "mask_time_prob": (0.01, 1),
    "mask_time_length": (2, 10),
    "gumbel_start": (0.01, 100),
    "gumbel_end": (0.01, 100),
}
# Options of data and training arguments that change nothing in pretraining.
FOREIGN = {
    "class_weights", "early_stopping_patience", "ema_decay", "head_learning_rate", "label_smoothing_factor", "mixup",
    "push_to_hub", "recommended_trim", "refit", "regression_loss", "vote_dropout", "vote_smoothing",
}  # fmt: skip


@dataclass
class PretrainingArguments:
    """Define the encoder and its self-supervised objective.

    Examples:
        >>> PretrainingArguments("facebook/wav2vec2-base").mask_time_prob
        0.65
    """

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Pretrained wav2vec2 encoder: folder, or id on the Hub; or pass model_type."}
    )
    revision: str | None = field(
        default=None,
        metadata={"help": "Branch, tag or commit of the encoder on the Hub. None: the newest commit."},
    )
    model_type: str | None = field(
        default=None,
        metadata={"help": "Architecture to pretrain from random weights: wav2vec2, wav2vec2-conformer."},
    )
    config_overrides: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Values for the config of the architecture, key=value, such as num_negatives=50 or "
            "diversity_loss_weight=0.2."
        },
    )
    # Source of the masking and temperatures: Baevski et al. 2020, https://arxiv.org/abs/2006.11477
    mask_time_prob: float = field(
        default=0.65, metadata={"help": "Share of the frames to mask, 0.01 to 1; spans may overlap."}
    )
    mask_time_length: int = field(default=10, metadata={"help": "Frames per masked span of 20 ms each, 2 to 10."})
    gumbel_start: float = field(
        default=2.0, metadata={"help": "Gumbel temperature of the quantizer in the first training step."}
    )
    gumbel_end: float = field(
        default=0.5,
        metadata={"help": "Gumbel temperature at the end of the training, to which it decays exponentially."},
    )

    def __post_init__(self) -> None:
        if bad := [item for item in self.config_overrides if "=" not in item]:
            raise ValueError(f"config_overrides: expected key=value, found {bad}.")
        if (self.model_name_or_path is None) == (self.model_type is None):
            raise ValueError(
                "Expected either --model_name_or_path (a pretrained encoder) or --model_type (an architecture to "
                f"pretrain from random weights), found {self.model_name_or_path!r} and {self.model_type!r}."
            )
        check_revision(self.model_name_or_path, self.revision)
        check_ranges(self, RANGES)


def check_options(data: DataArguments, training: "SerTrainingArguments") -> None:
    """Check that the data and training arguments are options of pretraining.

    Raises:
        ValueError: If an option is set that changes nothing in pretraining, the metric is not the loss, or there is no
            epoch.
    """
    for part in (data, training):
        for item in fields(part):
            if item.name in FOREIGN and getattr(part, item.name) != item.default:
                raise ValueError(f"{item.name}: pretraining has no such option. Leave it out.")
    if training.metric_for_best_model not in (None, "loss"):
        raise ValueError(f"metric_for_best_model: expected loss, found '{training.metric_for_best_model}'.")
    if not training.num_train_epochs:
        raise ValueError("num_train_epochs: expected more than 0 for pretraining.")
