"""Define the arguments of a recipe for the model."""

from dataclasses import dataclass, field
from typing import Literal

from ser_hf.runs.ranges import check_ranges

# Lowest and highest value of each number.
RANGES = {
    "mask_time_prob": (0, 1),
    "mask_time_length": (1, 10_000),
    "mask_feature_prob": (0, 1),
    "mask_feature_length": (1, 10_000),
}


@dataclass
class ModelArguments:
    """Define the encoder, its trained parts, and the masking of its features.

    Examples:
        >>> ModelArguments(model_type="mel").freeze
        'none'
    """

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Pretrained encoder: folder, or id on the Hub; or pass model_type."}
    )
    model_type: str | None = field(
        default=None, metadata={"help": "Architecture to train from random weights: mel, whisper, wav2vec2 …"}
    )
    config_overrides: list[str] = field(
        default_factory=list, metadata={"help": "Values for the config of the architecture, key=value."}
    )
    freeze: Literal["none", "cnn", "encoder"] = field(
        default="none",
        metadata={"help": "cnn: do not train the convolutional front end; encoder: train the head only."},
    )
    head_init: Literal["random", "probe", "readout"] = field(
        default="random",
        metadata={
            "help": "Initial head. random; probe: linear probe of the frozen encoder (LP-FT); readout, for Whisper: "
            "linear readout of all layers, without further training if --num_train_epochs is 0."
        },
    )
    layer_sum: bool = field(
        default=False, metadata={"help": "Use a learned weighted sum of all layers as the input of the head."}
    )
    mask_time_prob: float = field(default=0.0, metadata={"help": "SpecAugment: share of the frames to mask, 0 to 1."})
    mask_time_length: int = field(
        default=10,
        metadata={"help": "SpecAugment: frames per masked span (20 ms each; 10 ms for Whisper, AST and mel)."},
    )
    mask_feature_prob: float = field(
        default=0.0, metadata={"help": "SpecAugment: share of the channels or mel bins to mask, 0 to 1."}
    )
    mask_feature_length: int = field(
        default=10, metadata={"help": "SpecAugment: channels or mel bins per masked band."}
    )
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
        check_ranges(self, RANGES)
