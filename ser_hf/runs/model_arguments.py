"""What a recipe can say about the model."""

from dataclasses import dataclass, field
from typing import Literal


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
