"""Define the options of commands that load a model."""

import argparse
from typing import TYPE_CHECKING

from ser_hf.data.silero import DETECTORS, check_silero
from ser_hf.models.location import check_location
from ser_hf.serving.choices import BACKENDS, DTYPES, PREPROCESSINGS

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options --model, --device, --dtype, --backend and --preprocessing to a parser."""
    model = "Any audio classifier, or a probe: folder, or id on the Hub."
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_ID", help=model)
    parser.add_argument("--device", help="Device to run on; by default the GPU if there is one, else the CPU.")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="Types other than float32 change scores slightly."
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="auto: an ONNX export on the CPU if it exists, else torch.",
    )
    parser.add_argument(
        "--preprocessing", choices=PREPROCESSINGS, default="windows",
        help="pipeline: raw, whole audio, as in the stock pipeline; windows (default): the same, but audio longer than "
        "the model's context in overlapping windows, and of more than 30 s only the speech; recommended: as in the "
        "checkpoint's config.json.",
    )  # fmt: skip


def add_speech_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --speech to a parser."""
    parser.add_argument(
        "--speech", choices=DETECTORS, default="energy",
        help="How speech is detected: by energy (default), or with Silero VAD (extra vad), which leaves out music and "
        "noises.",
    )  # fmt: skip


def add_channel_options(parser: argparse.ArgumentParser) -> None:
    """Add the options --channels and --channel_names to a parser."""
    parser.add_argument(
        "--channels", choices=("mean", "separate"), default="mean",
        help="Average the channels, or treat each as a speaker, as in calls (%(default)s).",
    )  # fmt: skip
    parser.add_argument(
        "--channel_names", nargs="+", default=[], metavar="NAME",
        help="Speaker of each channel, with separate channels.",
    )  # fmt: skip


def check_channel_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with a message if the options of channels exclude each other, or --speakers."""
    if options.speakers and options.channels == "separate":
        parser.error("speakers and separate channels exclude each other: both say who speaks.")
    if options.channel_names and options.channels == "mean":
        parser.error("channel_names need --channels separate.")


def load_chosen_model(options: argparse.Namespace) -> "EmotionClassifier":
    """Load the model with the options of `add_model_options`.

    Raises:
        FileNotFoundError: If it is neither a folder nor on the Hub; torch is not imported in this case.
        ImportError: If --speech silero is asked for and not installed.
    """
    check_location(options.model)
    if getattr(options, "speech", "energy") == "silero":
        check_silero()
    import torch

    from ser_hf.cpus import usable_cpus
    from ser_hf.serving import EmotionClassifier

    torch.set_num_threads(usable_cpus())  # accelerate launch sets one thread per process
    return EmotionClassifier.from_pretrained(
        options.model,
        device=options.device,
        dtype=options.dtype,
        backend=options.backend,
        preprocessing=options.preprocessing,
    )
