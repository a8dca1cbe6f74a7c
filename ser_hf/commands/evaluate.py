"""Define `ser-hf evaluate`, the options of `ser_hf.scoring.evaluate`."""

import sys

from ser_hf.commands.training import JSON, JSON_HELP, show_results
from ser_hf.escaping import show
from ser_hf.models.location import check_location
from ser_hf.runs.command_line import parse_arguments, refuse_options, take_flag
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.file_names import CARD
from ser_hf.scoring.evaluation_arguments import EvaluationArguments

# Data options that are replaced by --preprocessing, used in training only, or stored in the checkpoint.
UNUSED_OPTIONS = (
    "trim", "max_duration", "window_overlap", "augment_probability", "noise_snr", "time_shift", "mixup", "gain",
    "pitch", "tempo", "speed", "noise_folder", "reverb", "telephone", "codec", "task", "auxiliary_task",
    "balance_corpora", "speech",
)  # fmt: skip


def evaluate_command(argv: list[str]) -> int:
    """Compute the scores of any model on any corpus, with intervals and figures."""
    kinds = (DataArguments, EvaluationArguments)
    as_json, argv = take_flag(argv, JSON)
    data, options = parse_arguments(
        argv, kinds, hidden=UNUSED_OPTIONS, prog="ser-hf evaluate", description=evaluate_command.__doc__,
        epilog=JSON_HELP,
    )  # fmt: skip
    refuse_options(
        argv, UNUSED_OPTIONS, "Use --preprocessing to choose trimming and windows; the checkpoint names the task."
    )
    given = {item.removeprefix("--").split("=")[0] for item in argv if item.startswith("--")}
    check_location(options.model)
    from ser_hf.scoring.evaluate import describe_scores, evaluate
    from ser_hf.workflows.conditions_card import check_run, update_card

    if options.update_card:
        check_run(options.model)
    results = evaluate(data, options, test_part="split" in given)
    show_results(describe_scores(results, options.output_dir), options.output_dir, as_json=as_json)
    if options.update_card:
        update_card(options.model, options.output_dir)
        show(f"Card: {options.model}/{CARD}", file=sys.stderr)
    return 0
