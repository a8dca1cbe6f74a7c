"""Define the arguments of `evaluate`."""

from dataclasses import dataclass, field
from typing import Literal

from ser_hf.serving.choices import BackendName, Dtype, Preprocessing


@dataclass
class EvaluationArguments:
    """Define the checkpoint, its options, and the output folder.

    Examples:
        >>> EvaluationArguments("runs/mine", "runs/mine_on_urdu").preprocessing
        'pipeline'
    """

    model: str = field(metadata={"help": "Checkpoint or probe: folder, or id on the Hub."})
    output_dir: str = field(metadata={"help": "New folder for predictions.csv, all_results.json and figures."})
    batch_size: int = field(default=8, metadata={"help": "Number of utterances per batch."})
    device: str | None = field(default=None, metadata={"help": "cpu, cuda:0 … None: GPU, if there is one."})
    dtype: Dtype = field(default="float32", metadata={"help": "Types except float32 change the scores slightly."})
    backend: BackendName = field(default="auto", metadata={"help": "auto: on the CPU the ONNX export, if any."})
    preprocessing: Preprocessing = field(
        default="pipeline",
        metadata={
            "help": "pipeline: raw and whole, as in the stock pipeline; windows: the same, but audio longer than the "
            "context of the model, or 30 s, in overlapping windows; recommended: as in config.json of the checkpoint."
        },
    )

    conditions: Literal["standard"] | None = field(
        default=None,
        metadata={
            "help": "standard: also score the test utterances in noise, through telephones and codecs, in rooms, at "
            "other levels, lengths and speeds: 25 conditions, each as long as the evaluation."
        },
    )

    update_card: bool = field(
        default=False,
        metadata={
            "help": "conditions: also write the table and the figure into the results and the card of the model, a "
            "finished run whose test utterances are the scored ones."
        },
    )

    def __post_init__(self) -> None:
        if self.update_card and not (self.conditions and self.preprocessing == "pipeline"):
            raise ValueError("update_card: expected with --conditions standard and --preprocessing pipeline.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, found {self.batch_size}.")
