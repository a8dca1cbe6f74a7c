"""The options of a command that say which model answers, and how it runs."""

import argparse

from ser_hf.serving.backends import BACKENDS, DTYPES
from ser_hf.serving.classifier import EmotionClassifier


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Let a command ask for --model, --device, --dtype and --backend."""
    model = "Any audio classifier, or a probe: a folder, or an id on the Hub."
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_ID", help=model)
    parser.add_argument("--device", help="Where the model runs; a GPU, if there is one.")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="Other than float32 changes scores a bit.")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="auto takes an ONNX export on the CPU.")


def load_classifier(options: argparse.Namespace) -> EmotionClassifier:
    """Load the model that the options name."""
    return EmotionClassifier.from_pretrained(
        options.model, device=options.device, dtype=options.dtype, backend=options.backend
    )
