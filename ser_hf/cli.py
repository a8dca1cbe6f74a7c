"""Define the command `ser-hf`.

Each command is a function in `ser_hf.commands`. Its module is imported when the command is called, so a command
neither imports nor requires the packages of other commands.
"""

import difflib
import io
import platform
import sys
from collections.abc import Callable
from importlib import import_module, metadata

from ser_hf import __version__
from ser_hf.escaping import show
from ser_hf.terminal import limit_output, start_logging, wrap

# Command -> the module of ser_hf.commands that has the function <last word>_command, and that function's first line.
COMMANDS = {
    "data audit": (
        "data",
        "Check for leaks between train, validation and test, contradictory labels and unreadable files.",
    ),
    "data table": ("data", "Write every utterance with its labels as a CSV or Parquet table."),
    "data summary": (
        "data",
        "Print hours, speakers, emotions, durations and sampling rates, and draw them in a figure.",
    ),
    "data gallery": ("data", "Draw the waveforms and spectrograms of example utterances of each emotion."),
    "data check": ("data", "Compare recordings with the training speech of a model, and say what to expect."),
    "recipes": (
        "recipes",
        "List the recipes that come with ser_hf; their names can be given instead of a YAML file.",
    ),
    "quickstart": (
        "training",
        "Train a small recogniser on synthetic speech, in minutes: the same as `ser-hf train quickstart`.",
    ),
    "train": (
        "training",
        "Fine-tune an audio classifier on emotional speech, or train one from scratch, and score it on new speakers.",
    ),
    "probe": (
        "training",
        "Compare scikit-learn heads on frozen features, and keep the head that training speakers choose.",
    ),
    "cross-validate": (
        "folds",
        "Run a recipe on each fold of its protocol, and pool the test predictions.",
    ),
    "cross-corpus": (
        "folds",
        "Train a recipe on each corpus, test it on every other, and write the matrix of scores.",
    ),
    "sweep": (
        "training",
        "Search the best settings of a recipe on the validation speakers, and write them as a new recipe.",
    ),
    "pretrain": (
        "training",
        "Continue the self-supervised pretraining of a wav2vec2 encoder on the audio of a corpus.",
    ),
    "compare": (
        "compare",
        "Compare finished runs: a table of their scores, paired differences to the first run, and a figure.",
    ),
    "predict": (
        "predict",
        "Predict the emotion of every file of a folder, glob or table: a table, or lines on the terminal.",
    ),
    "archive plan": ("archive", "List an archive of any size once, and cut it into shards."),
    "archive run": (
        "archive",
        "Predict the shards that are not done, on this machine or a Ray cluster.",
    ),
    "archive verify": ("archive", "Check that every file of the archive has its rows once, and write the sums."),
    "archive merge": ("archive", "Write the rows of a verified archive as one table."),
    "timeline": (
        "timeline",
        "Print the emotions of a long recording over time; write them as a table, labels, subtitles or a figure.",
    ),
    "listen": ("timeline", "Print the emotions of speech from the microphone, until Ctrl+C."),
    "demo": ("demo", "Serve a page to upload or record speech and show its emotions, until Ctrl+C."),
    "serve": ("serve", "Serve a model over HTTP and WebSockets, with an OpenAPI document, until Ctrl+C."),
    "adapt": ("adapt", "Make a checkpoint for one voice, from recordings of the speaker without labels."),
    "evaluate": ("evaluate", "Compute the scores of any model on any corpus, with intervals and figures."),
    "doctor": ("publishing", "Check any checkpoint for faults, or write a repaired copy."),
    "export": ("publishing", "Export a checkpoint to ONNX files in float32 and int8, and compare them with torch."),
    "publish": ("publishing", "Publish a finished run on the Hugging Face Hub if all checks pass."),
}
GROUPS = (["data"], ["archive"])  # first words of commands of two
QUIET = "--quiet"  # an option of every command and recipe


def main(argv: list[str] | None = None) -> int:
    """Run one of `COMMANDS`, list them, or print the versions.

    Returns:
        0 after success, 1 if a command found faults, 2 after an error, 130 after Ctrl+C.
    """
    argv = sys.argv[1:] if argv is None else argv
    argv = sorted(argv, key=QUIET.__eq__)  # it may precede the command
    words = 2 if argv[:1] in GROUPS else 1
    command = " ".join(argv[:words])
    if command == "--version":
        print(_describe_versions())
        return 0
    if command not in COMMANDS:
        return _list_commands(command, requested=set(argv) <= {"data", "archive", "-h", "--help"})
    return run_main(_find_command(command), argv[words:])


def run_main(main: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Call the main function of a recipe or command; print an expected error as one message on stderr.

    Log messages are printed on stderr too; with `QUIET`, warnings only.

    Returns:
        The exit code: what `main` returned, 0 for None; 2 after an error; 130 after Ctrl+C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # characters that the terminal lacks
    start_logging()
    limit_output(quiet=QUIET in argv)
    try:
        return main([item for item in argv if item != QUIET]) or 0
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        show(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _find_command(command: str) -> Callable[[list[str]], int]:
    """Return the function of a command, which imports its module when it is called."""
    module, _ = COMMANDS[command]
    name = f"{command.split()[-1].replace('-', '_')}_command"
    return lambda argv: getattr(import_module(f"ser_hf.commands.{module}"), name)(argv)


def _describe_versions() -> str:
    """Return the versions that a bug report needs, from the installed metadata: importing torch would take seconds."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers"))
    return f"ser-hf {__version__} (Python {platform.python_version()}, {libraries})"


def _list_commands(command: str, *, requested: bool) -> int:
    described = {name: line for name, (_, line) in COMMANDS.items()}
    described["--version"] = "Print the versions of ser_hf, Python, torch and transformers."
    lines = [wrap(line, " " * 24, first=f"  ser-hf {name:15}") for name, line in described.items()]
    quiet = f"{QUIET} leaves out progress bars and messages that need no action, in every command and recipe."
    listing = ["Commands (each has --help):", *lines, "", wrap(quiet)]
    if requested:
        print(*listing, sep="\n")
        return 0
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f" Did you mean 'ser-hf {near[0]}'?" if near else ""
    print(*listing, "", f"error: Unknown command '{command}'.{hint}", sep="\n", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
