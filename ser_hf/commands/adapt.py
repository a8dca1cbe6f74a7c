"""Define `ser-hf adapt`: make a checkpoint for one voice."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from ser_hf.corpora import canonical_emotion
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.serving.prediction_table import Key

EXAMPLES = """
CLIPS are audio files or folders with recordings of one speaker, without labels. The more, the better; with fewer clips,
the result is closer to the training speakers. A few labels help: with --labelled, the name of the folder of each file
is its emotion, if it is one of the model's. MODEL has to be trained with --voice_head true. The output is a stock
checkpoint, which transformers loads without ser_hf.
"""


def adapt_command(argv: list[str]) -> int:
    """Make a checkpoint for one voice, from recordings of the speaker without labels."""
    parser = ArgumentParser("ser-hf adapt", "%(prog)s MODEL CLIPS … --output FOLDER", adapt_command.__doc__, EXAMPLES,
                            allow_abbrev=False)  # fmt: skip
    parser.add_argument("model", metavar="MODEL", help="Folder, or id on the Hub.")
    parser.add_argument("clips", metavar="CLIPS", nargs="+", help="Audio files, folders, or tables.")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="New folder for the adapted checkpoint.")
    parser.add_argument("--labelled", action="store_true", help="Folders are named after the emotions of their files.")
    parser.add_argument(
        "--prior_correction", action="store_true", help="Emotions that are frequent in the clips get higher scores."
    )
    parser.add_argument("--device", help="Device to run on; by default the GPU if there is one, else the CPU.")
    options = parser.parse_args(argv)
    check_location(options.model)
    from ser_hf.publishing.adapted import check_new, save_adapted
    from ser_hf.serving import EmotionClassifier
    from ser_hf.serving.audio_list import list_audio

    check_new(options.output)
    classifier = EmotionClassifier.from_pretrained(options.model, device=options.device, backend="torch")
    files = list_audio(options.clips, {})
    emotions = _read_emotions(files, classifier.emotions) if options.labelled else ()
    adapted = classifier.adapt(files, emotions=emotions, prior_correction=options.prior_correction)
    save_adapted(adapted, options.output)
    voice = adapted.checkpoint.model.config.adapted_voice  # type: ignore[union-attr]
    labelled = f", {voice['labelled']} of them labelled" if options.labelled else ""
    show(f"Adapted to {voice['clips']} clips{labelled}, {voice['seconds']:g} s. The checkpoint is in {options.output}.")
    return 0


def _read_emotions(files: Sequence[Key], known: list[str]) -> list[str | None]:
    """Return for each file the emotion that its folder is named after; None if the model does not know it.

    Raises:
        ValueError: If no folder is named after an emotion of the model.
    """
    names = [canonical_emotion(Path(path).absolute().parent.name) for path, *_ in files]
    if not set(names) & set(known):
        raise ValueError(f"labelled: expected folders named after {known}, found {sorted(set(names))}.")
    return [name if name in known else None for name in names]
