"""Define the arguments of a recipe for the model."""

from dataclasses import dataclass, field
from typing import Literal

from ser_hf.models.location import check_revision
from ser_hf.runs.ranges import check_ranges

# Lowest and highest value of each number.
RANGES = {
    "head_copies": (0, 100),
    "adapter_rank": (1, 10_000),
    "adapter_alpha": (1, 100_000),
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
    revision: str | None = field(
        default=None,
        metadata={"help": "Branch, tag or commit of the encoder on the Hub. None: the newest commit."},
    )
    model_type: str | None = field(
        default=None, metadata={"help": "Architecture to train from random weights: mel, whisper, wav2vec2 …"}
    )
    config_overrides: list[str] = field(
        default_factory=list, metadata={"help": "Values for the config of the architecture, key=value."}
    )
    freeze: str = field(
        default="none",
        metadata={
            "help": "What is not trained: none; cnn: the convolutional front end; encoder: everything except the "
            "head; a number: as many transformer layers from the input, and everything outside of the layers except "
            "the head."
        },
    )
    adapter: Literal["lora", "dora"] | None = field(
        default=None,
        metadata={
            "help": "Train a low-rank adapter and the head; all other weights are frozen. The adapter is merged into "
            "the saved weights, and also saved in the folder adapter. None: no adapter."
        },
    )
    adapter_rank: int | None = field(default=None, metadata={"help": "Rank of the adapter. None: 8."})
    adapter_alpha: int | None = field(
        default=None, metadata={"help": "Scale of the adapter, times its rank. None: twice the rank."}
    )
    adapter_targets: list[str] | None = field(
        default=None,
        metadata={
            "help": "Linear layers with an adapter, by the ends of their names: q_proj v_proj. None: the attention "
            "projections; in WavLM, the feed-forward layers."
        },
    )
    head_init: Literal["random", "probe", "readout"] = field(
        default="random",
        metadata={
            "help": "Initial head. random; probe: ridge regression on the frozen encoder (LP-FT); readout (Whisper): "
            "the same on all layers. Without further training if --num_train_epochs is 0."
        },
    )
    head_copies: int = field(
        default=0,
        metadata={
            "help": "probe, readout: number of augmented copies of each training utterance in the fit of the head; "
            "expected with an augmentation, such as --telephone true."
        },
    )
    voice_head: bool = field(
        default=False,
        metadata={
            "help": "categories: also fit a head on inputs that are normalised by speaker, and store it in "
            "voice.safetensors; `ser-hf adapt` makes a checkpoint for one voice from it."
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
        check_revision(self.model_name_or_path, self.revision)
        check_ranges(self, RANGES)
        if self.head_copies and self.head_init == "random":
            raise ValueError("head_copies: expected with --head_init probe or readout. Leave it out.")
        if self.freeze not in ("none", "cnn", "encoder") and not self.freeze.isdecimal():
            raise ValueError(f"freeze: expected none, cnn, encoder or a number of layers, found '{self.freeze}'.")
        self._complete_adapter()

    def _complete_adapter(self) -> None:
        """Check the options of the adapter, and set their defaults, so that the resolved recipe contains them."""
        options = ("adapter_rank", "adapter_alpha", "adapter_targets")
        if self.adapter is None:
            if given := [name for name in options if getattr(self, name) is not None]:
                raise ValueError(f"{given[0]}: there is no adapter. Pass --adapter lora or dora, or leave it out.")
            return
        if self.freeze != "none":
            raise ValueError(f"adapter: it freezes all other weights; expected freeze none, found {self.freeze}.")
        if self.head_init == "readout":
            raise ValueError("adapter: a readout changes the shape of the encoder's weights; use another head_init.")
        self.adapter_rank = self.adapter_rank or 8
        self.adapter_alpha = self.adapter_alpha or 2 * self.adapter_rank
