"""`ser-hf evaluate`: the options of `ser_hf.scoring.evaluate`."""

from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.scoring.evaluation_arguments import EvaluationArguments

# Data keys that --preprocessing stands for, or that change training only.
NOT_ASKED = (
    "trim", "max_duration", "window_overlap", "augment_probability", "noise_snr", "time_shift", "mixup", "gain",
    "pitch", "tempo", "speed",
)  # fmt: skip


def evaluate_command(argv: list[str]) -> int:
    """Score any model on any corpus, with intervals and figures."""
    kinds = (DataArguments, EvaluationArguments)
    data, options = parse_arguments(argv, kinds, prog="ser-hf evaluate", description=evaluate_command.__doc__)
    asked = {item.removeprefix("--").split("=")[0] for item in argv if item.startswith("--")}
    if refused := sorted(asked.intersection(NOT_ASKED)):
        raise ValueError(
            f"{refused}: not settings of an evaluation. Leave them out; --preprocessing chooses trimming and windows."
        )
    from ser_hf.scoring.evaluate import describe_scores, evaluate

    results = evaluate(data, options, test_part="split" in asked)
    print(describe_scores(results, options.output_dir))
    return 0
