"""What `evaluate` can be told."""

from dataclasses import dataclass, field

from ser_hf.serving.choices import BackendName, Dtype, Preprocessing


@dataclass
class EvaluationArguments:
    """What is evaluated, and where the evidence goes."""

    model: str = field(metadata={"help": "Checkpoint: a folder or an id on the Hub; a probe, too."})
    output_dir: str = field(metadata={"help": "New folder for predictions.csv, all_results.json and figures."})
    batch_size: int = field(default=8, metadata={"help": "Utterances in a batch."})
    device: str | None = field(default=None, metadata={"help": "Where the model runs; a GPU, if there is one."})
    dtype: Dtype = field(default="float32", metadata={"help": "Other than float32 changes scores a bit."})
    backend: BackendName = field(default="auto", metadata={"help": "auto takes an ONNX export on the CPU."})
    preprocessing: Preprocessing = field(
        default="pipeline",
        metadata={
            "help": "pipeline: raw and whole, as the stock pipeline; windows: the same, but longer audio than the "
            "model's context, or 30 s, in overlapping windows; recommended: as the checkpoint's config.json says."
        },
    )

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, found {self.batch_size}.")
