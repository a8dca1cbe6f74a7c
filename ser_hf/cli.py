"""`ser-hf`: what people do at the terminal besides launching recipes."""

import difflib
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ser_hf.corpora.files import audio_files
from ser_hf.data.audio import load_audio
from ser_hf.data.audit import audit, describe_findings, findings_as_json, is_bad
from ser_hf.data.summary import choose_examples, describe_corpus, read_headers, summarize_corpus
from ser_hf.data.table import write_utterances
from ser_hf.training.arguments import ModelArguments, SerTrainingArguments
from ser_hf.training.command_line import parse_arguments
from ser_hf.training.data_arguments import DataArguments
from ser_hf.training.selection import audio_folders, load_utterances, select_split, select_utterances


@dataclass
class AuditArguments:
    """What an audit looks at and where it goes."""

    recipe: str | None = field(default=None, metadata={"help": "Audit the split of this recipe (YAML)."})
    output: str | None = field(default=None, metadata={"help": "Write all findings to this JSON file too."})


@dataclass
class TableArguments:
    """Where the table goes."""

    output: str = field(metadata={"help": "File to write: .csv or .parquet."})


@dataclass
class SummaryArguments:
    """Where the figure goes."""

    output: str | None = field(default=None, metadata={"help": "Draw the figure into this PNG file too."})


@dataclass
class GalleryArguments:
    """What the gallery shows and where it goes."""

    output: str = field(default="gallery.png", metadata={"help": "PNG file to draw."})
    per_emotion: int = field(default=1, metadata={"help": "Utterances of each emotion."})


def data_audit(argv: list[str]) -> int:
    """Look for leaks between train, validation and test, and for contradictory or broken files."""
    kinds = [DataArguments, AuditArguments]
    if "--recipe" in argv:  # read as a recipe is: its YAML first, what stands beside it on the command line after it
        recipe = argv[argv.index("--recipe") + 1 :][:1]
        if not recipe:
            raise ValueError("recipe: expected a YAML file after --recipe.")
        argv = recipe + argv
        kinds += [ModelArguments, SerTrainingArguments]
    data, options, *_ = _parse("data audit", argv, *kinds)
    utterances, _ = select_utterances(data)
    folders = audio_folders(data)
    named = {utterance.path for utterance in load_utterances(data)}
    unnamed = [path for folder in folders.values() for path in audio_files(folder) if path not in named]
    whole = not (options.recipe or data.protocol or "--split" in argv)
    findings = audit({"all": utterances} if whole else select_split(data, utterances), unnamed=unnamed)
    root = os.path.commonpath([os.path.abspath(folder) for folder in folders.values()])
    print(describe_findings(findings, root))
    if options.output:
        Path(options.output).write_text(findings_as_json(findings, root), encoding="utf-8")
    return int(is_bad(findings))


def data_table(argv: list[str]) -> int:
    """Write every utterance with its labels as a CSV or Parquet table."""
    data, options = _parse("data table", argv, DataArguments, TableArguments)
    rows = write_utterances(load_utterances(data), options.output)
    print(f"{rows} utterances written to {options.output}.")
    return 0


def data_summary(argv: list[str]) -> int:
    """Print hours, speakers, emotions, durations and sampling rates, and draw them."""
    data, options = _parse("data summary", argv, DataArguments, SummaryArguments)
    table = read_headers(load_utterances(data))
    print(describe_corpus(summarize_corpus(table)))
    if options.output:
        from ser_hf.evaluation.figures import plot_corpus

        plot_corpus(table, options.output)
        print(f"Figure: {options.output}")
    return 0


def data_gallery(argv: list[str]) -> int:
    """Draw the waveform and spectrogram of an utterance of each emotion."""
    from ser_hf.evaluation.figures import plot_gallery

    data, options = _parse("data gallery", argv, DataArguments, GalleryArguments)
    chosen = choose_examples(select_utterances(data)[0], options.per_emotion)
    examples = [
        (f"{row.emotion}, speaker {row.speaker}", load_audio(row.path, start=row.start, end=row.end)) for row in chosen
    ]
    plot_gallery(examples, options.output)
    print(f"{len(examples)} utterances drawn in {options.output}.")
    return 0


COMMANDS = {
    "data audit": data_audit,
    "data table": data_table,
    "data summary": data_summary,
    "data gallery": data_gallery,
}


def main(argv: list[str] | None = None) -> int:
    """Run one of `COMMANDS`; return the exit code."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ser_hf").setLevel(logging.INFO)
    argv = sys.argv[1:] if argv is None else argv
    command = " ".join(argv[:2])
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f" Did you mean 'ser-hf {near[0]}'?" if near else ""
        lines = [f"  ser-hf {name:15}{run.__doc__.splitlines()[0]}" for name, run in COMMANDS.items()]
        asked = set(argv) <= {"data", "-h", "--help"}
        print("" if asked else f"Unknown command '{command}'.{hint}", "Commands (each has --help):", *lines, sep="\n")
        return 0 if asked else 2
    try:
        return COMMANDS[command](argv[2:])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parse(command: str, argv: list[str], *kinds: type) -> tuple:
    return parse_arguments(argv, kinds, prog=f"ser-hf {command}", description=COMMANDS[command].__doc__)
