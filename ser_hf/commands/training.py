"""Define the commands that train: each parses its arguments and calls one function of `ser_hf.workflows`.

The scripts in recipes/ call the same functions, so that `accelerate launch` can start them on several GPUs.
"""

from pathlib import Path

from ser_hf.escaping import show
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.runs.command_line import parse_arguments, take_flag
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import RESULTS
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.pretraining_arguments import PretrainingArguments
from ser_hf.runs.training_options import TrainingOptions
from ser_hf.workflows.sweep_arguments import SweepArguments

JSON = "--json"
JSON_HELP = f"{JSON} prints the content of {RESULTS} instead of the table."


def show_results(message: str, folder: str | Path, *, as_json: bool) -> None:
    """Print the final message of a run, or the content of its all_results.json."""
    show(Path(folder, RESULTS).read_text(encoding="utf-8").rstrip() if as_json else message)


def train_command(argv: list[str], *, prog: str = "ser-hf train", description: str | None = None) -> None:
    """Fine-tune an audio classifier on emotional speech, or train one from scratch, and score it on new speakers."""
    kinds = (DataArguments, ModelArguments, TrainingOptions)
    as_json, argv = take_flag(argv, JSON)
    data, model, training = parse_arguments(
        argv, kinds, prog=prog, description=description or train_command.__doc__, epilog=JSON_HELP
    )
    from ser_hf.workflows.finetune import describe_run, finetune  # imports torch, which is slow, so after --help

    results = finetune(data, model, training)
    if results is not None:  # in the main process
        show_results(describe_run(results, training.output_dir), training.output_dir, as_json=as_json)


def quickstart_command(argv: list[str]) -> None:
    """Train a small recogniser on synthetic speech, in minutes: the same as `ser-hf train quickstart`."""
    train_command(["quickstart", *argv])


def pretrain_command(argv: list[str], *, prog: str = "ser-hf pretrain", description: str | None = None) -> None:
    """Continue the self-supervised pretraining of a wav2vec2 encoder on the audio of a corpus."""
    kinds = (DataArguments, PretrainingArguments, TrainingOptions)
    data, model, training = parse_arguments(argv, kinds, prog=prog, description=description or pretrain_command.__doc__)
    from ser_hf.workflows.pretrain import describe_pretraining, pretrain  # imports torch, so after --help

    record = pretrain(data, model, training)
    if record is not None:
        show(describe_pretraining(record, training.output_dir))


def probe_command(argv: list[str], *, prog: str = "ser-hf probe", description: str | None = None) -> None:
    """Compare scikit-learn heads on frozen features, and keep the head that training speakers choose."""
    kinds = (DataArguments, ProbeArguments)
    as_json, argv = take_flag(argv, JSON)
    data, arguments = parse_arguments(
        argv, kinds, prog=prog, description=description or probe_command.__doc__, epilog=JSON_HELP
    )
    from ser_hf.workflows.probe import describe_probe, probe  # imports torch, which is slow, so after --help

    message = describe_probe(probe(data, arguments), arguments.output_dir)
    show_results(message, arguments.output_dir, as_json=as_json)


def sweep_command(argv: list[str], *, prog: str = "ser-hf sweep", description: str | None = None) -> None:
    """Search the best settings of a recipe on the validation speakers, and write them as a new recipe."""
    kinds = (DataArguments, ModelArguments, TrainingOptions, SweepArguments)
    arguments = parse_arguments(argv, kinds, prog=prog, description=description or sweep_command.__doc__)
    from ser_hf.workflows.sweep import describe_sweep, sweep  # imports torch, which is slow, so after --help

    show(describe_sweep(sweep(*arguments), arguments[2].output_dir))
