"""Define `ser-hf data …`: examine a corpus before training."""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ser_hf.cache import write_text
from ser_hf.commands.outputs import check_outputs
from ser_hf.corpora import Utterance
from ser_hf.corpora.files import audio_files, pluralize
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.runs.command_line import parse_arguments, refuse_options
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.terminal import wrap

# Options of `DataArguments` that change the training or its audio, but not a corpus or its split.
UNUSED_OPTIONS = (
    "trim", "recommended_trim", "speech", "min_duration", "max_duration", "window_overlap", "augment_probability",
    "noise_snr", "time_shift", "mixup", "gain", "pitch", "tempo", "speed", "noise_folder", "reverb", "telephone",
    "codec", "auxiliary_task", "balance_corpora",
)  # fmt: skip
SPLIT_OPTIONS = ("split", "protocol", "fold", "folds", "test_share", "validation_share", "split_seed")


@dataclass
class AuditArguments:
    """Define the options of `ser-hf data audit`."""

    recipe: str | None = field(default=None, metadata={"help": "The same as RECIPE, whose split is audited."})
    output: str | None = field(default=None, metadata={"help": "Write all findings to this JSON file too."})


@dataclass
class TableArguments:
    """Define the options of `ser-hf data table`."""

    output: str = field(metadata={"help": "File to write: .csv or .parquet."})


@dataclass
class SummaryArguments:
    """Define the options of `ser-hf data summary`."""

    output: str | None = field(default=None, metadata={"help": "Draw the figure into this PNG file too."})


@dataclass
class GalleryArguments:
    """Define the options of `ser-hf data gallery`."""

    output: str = field(default="gallery.png", metadata={"help": "PNG file to draw."})
    per_emotion: int = field(default=1, metadata={"help": "Number of utterances per emotion."})


def audit_command(argv: list[str]) -> int:
    """Check for leaks between train, validation and test, contradictory labels and unreadable files."""
    argv = [part for item in argv for part in (item.split("=", 1) if item.startswith("--recipe=") else [item])]
    if "--recipe" in argv:  # parsed like a recipe: first its YAML file, then the other options, which override it
        recipe = argv[argv.index("--recipe") + 1 :][:1]
        if not recipe:
            raise ValueError("recipe: expected a YAML file after --recipe.")
        argv = recipe + argv
    data, options = _parse_data_options(audit_command, argv, AuditArguments)
    from ser_hf.data.audit import audit_split, describe_findings, findings_as_json, is_bad
    from ser_hf.data.fingerprint import hash_recordings
    from ser_hf.runs.speech_data import (
        audio_folders,
        common_folder,
        label_utterances,
        load_utterances,
        name_split,
        select_split,
    )

    with_recipe = argv[:1] and not argv[0].startswith("-")
    with_split = with_recipe or data.protocol or any(item.split("=")[0] == "--split" for item in argv)
    utterances, root = list(load_utterances(data)), common_folder(audio_folders(data))
    split = select_split(data, label_utterances(data, utterances)[0]) if with_split else {"all": utterances}
    findings = audit_split(split, unnamed=_find_unlisted_files(data, utterances))
    unreadable = [finding for finding in findings if finding.kind == "unreadable"]
    if len(unreadable) == sum(map(len, split.values())):
        raise ValueError(f"Expected readable audio, found none of {len(unreadable)}: {unreadable[0].detail}")
    show(f"{pluralize(len(utterances), 'utterance')}, {'split: ' + name_split(data) if with_split else 'no split'}")
    show(describe_findings(findings, root))
    show("SHA-256 of the recordings, to compare copies of the corpus:")
    for part, rows in split.items():
        show(f"  {part:10}  {hash_recordings(rows)}")
    if options.output:
        write_text(options.output, findings_as_json(findings, root))
    return int(is_bad(findings))


def table_command(argv: list[str]) -> int:
    """Write every utterance with its labels as a CSV or Parquet table."""
    data, options = _parse_data_options(table_command, argv, TableArguments)
    from ser_hf.data import write_utterances
    from ser_hf.runs.speech_data import load_utterances

    if Path(options.output).resolve() in [Path(root).expanduser().resolve() for root in data.data_root]:
        raise ValueError(f"output: expected another file than the input table, found '{options.output}'.")
    rows = write_utterances(load_utterances(data), options.output)
    show(f"Wrote {pluralize(rows, 'utterance')} to {options.output}.")
    return 0


def summary_command(argv: list[str]) -> int:
    """Print hours, speakers, emotions, durations and sampling rates, and draw them in a figure."""
    data, options = _parse_data_options(summary_command, argv, SummaryArguments)
    from ser_hf.data.single_emotions import describe_single_emotions
    from ser_hf.data.speaker_patterns import describe_proposal
    from ser_hf.data.summary import describe_corpus, read_headers, summarize_corpus
    from ser_hf.runs.speech_data import load_utterances

    utterances = list(load_utterances(data))
    headers = read_headers(utterances)
    show(describe_corpus(summarize_corpus(headers)))
    if found := describe_single_emotions(utterances):
        show("", wrap(found))
    if not any(row.speaker for row in utterances) and (proposal := describe_proposal(utterances)):
        advice = "If these are the speakers, pass the option to this and to other commands."
        show("", *map(wrap, ("No speakers are known.", proposal, advice)))
    if options.output:
        from ser_hf.evaluation.figures import plot_corpus

        plot_corpus(headers, options.output)
        show(f"Figure: {options.output}")
    return 0


def gallery_command(argv: list[str]) -> int:
    """Draw the waveforms and spectrograms of example utterances of each emotion."""
    data, options = _parse_data_options(gallery_command, argv, GalleryArguments)
    from ser_hf.data import load_audio
    from ser_hf.data.summary import choose_examples
    from ser_hf.evaluation.figures import plot_gallery
    from ser_hf.runs.speech_data import load_utterances

    chosen = choose_examples(load_utterances(data), options.per_emotion)
    examples = [
        (f"{row.emotion}, speaker {row.speaker}", load_audio(row.path, start=row.start, end=row.end)) for row in chosen
    ]
    plot_gallery(examples, options.output)
    show(f"Drew {pluralize(len(examples), 'utterance')} in {options.output}.")
    return 0


def check_command(argv: list[str]) -> int:
    """Compare recordings with the training speech of a model, and say what to expect."""
    parser = ArgumentParser("ser-hf data check", description=check_command.__doc__, allow_abbrev=False)
    parser.add_argument("paths", nargs="+", metavar="CLIPS", help="Audio files, folders, globs or tables of them.")
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_ID", help="Checkpoint of ser-hf train.")
    parser.add_argument("--output", metavar="FILE", help="CSV file to write, with a row for each recording.")
    options = parser.parse_args(argv)
    from ser_hf.serving.audio_list import list_audio

    files = list_audio(options.paths, {})
    if options.output:
        check_outputs([options.output], [*options.paths, *(path for path, *_ in files)])
    check_location(options.model)
    from ser_hf.scoring.recording_check import check_recordings, describe_check, write_recordings

    check = check_recordings(files, options.model)
    if options.output:
        write_recordings(check, options.output)
    show(*map(wrap, describe_check(check).splitlines()))
    return int(bool(check.findings))


def _parse_data_options(command: Callable, argv: list[str], kind: type) -> tuple:
    """Return the data arguments and the options of the command; a recipe may also contain training arguments."""
    prog = f"ser-hf data {command.__name__.removesuffix('_command')}"
    kinds = (DataArguments, kind)
    hidden = UNUSED_OPTIONS if command is audit_command else UNUSED_OPTIONS + SPLIT_OPTIONS
    refuse_options(argv, hidden, "They change training, or the split, and not the corpus.")
    data, own = parse_arguments(argv, kinds, partial=True, hidden=hidden, prog=prog, description=command.__doc__)
    if own.output and not Path(own.output).absolute().parent.is_dir():
        raise ValueError(f"output: expected a file in an existing folder, found '{own.output}'.")
    return data, own


def _find_unlisted_files(data: DataArguments, utterances: list[Utterance]) -> list[str]:
    """Return the audio files in the folder of a corpus without an utterance; tables and datasets are not checked."""
    from ser_hf.runs.speech_data import audio_folders

    used = {utterance.path for utterance in utterances}
    folders = [folder for name, folder in audio_folders(data).items() if not name.startswith(("table", "hub"))]
    return [path for folder in folders for path in audio_files(folder) if path not in used]
