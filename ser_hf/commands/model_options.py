"""The options of a command that say which model answers, and how it runs."""

import argparse
from typing import TYPE_CHECKING

from ser_hf.serving.choices import BACKENDS, DTYPES, PREPROCESSINGS

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --device, --dtype, --backend and --preprocessing to a command."""
    model = "Any audio classifier, or a probe: a folder, or an id on the Hub."
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_ID", help=model)
    parser.add_argument("--device", help="Where the model runs; a GPU, if there is one.")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="Other than float32 changes scores a bit.")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="auto takes an ONNX export on the CPU.")
    parser.add_argument(
        "--preprocessing", choices=PREPROCESSINGS, default="windows",
        help="pipeline: raw and whole, as the stock pipeline; windows (the default): the same, but longer audio than "
        "the model's context, or 30 s, in overlapping windows; recommended: as the checkpoint's config.json says.",
    )  # fmt: skip


def load_chosen_model(options: argparse.Namespace) -> "EmotionClassifier":
    """Load the model that the options name."""
    from ser_hf.serving import EmotionClassifier

    return EmotionClassifier.from_pretrained(
        options.model,
        device=options.device,
        dtype=options.dtype,
        backend=options.backend,
        preprocessing=options.preprocessing,
    )
