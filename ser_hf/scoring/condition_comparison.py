"""Compare two models under degraded conditions, and without degradation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas

from ser_hf.escaping import markdown, markdown_table
from ser_hf.evaluation import read_predictions
from ser_hf.evaluation.paired import Difference, align, paired_differences
from ser_hf.runs.file_names import PREDICTIONS
from ser_hf.runs.results import read_results
from ser_hf.scoring.conditions import CONDITIONS
from ser_hf.tasks import categories

MEAN = "mean over conditions"


@dataclass
class ConditionComparison:
    """Hold the UA of two models under a condition, and the difference, the second minus the first."""

    condition: str
    first: float
    second: float
    difference: Difference


def has_conditions(folder: str | Path) -> bool:
    """Return whether a folder is an evaluation of emotions under degraded conditions, with its predictions."""
    results = read_results(folder)
    return bool(results and results.conditions and results.task == "categories" and Path(folder, CONDITIONS).is_dir())


def compare_conditions(first: str | Path, second: str | Path) -> list[ConditionComparison]:
    """Return the comparison without degradation, under each condition that both evaluations have, and of their mean.

    Args:
        first: Output folder of `ser-hf evaluate --conditions standard`.
        second: That of another model.

    Raises:
        ValueError: If the evaluations have different labels, or share no utterance.
    """
    found = [read_results(folder) for folder in (first, second)]
    outputs = [results.outputs for results in found if results]
    if outputs[0] != outputs[1]:
        raise ValueError(f"Expected evaluations of the same labels, found {outputs[0]} and {outputs[1]}.")
    one, other = (results.conditions for results in found if results and results.conditions)
    order = [name for name in one if name in other and not (one[name].error or other[name].error)]
    files = {"clean": PREDICTIONS} | {name: f"{CONDITIONS}/{name}.csv" for name in order}
    pairs = {}
    for name, file in files.items():
        pairs[name] = align(*(read_predictions(Path(folder, file)) for folder in (first, second)))
    rows = [_compare(name, one, other, outputs[0]) for name, (one, other) in pairs.items()]
    # Every condition has the same utterances, so the UA of all conditions together is the mean of their UA.
    first_all, second_all = (pandas.concat([pairs[name][i] for name in order], ignore_index=True) for i in (0, 1))
    return [*rows, _compare(MEAN, first_all, second_all, outputs[0])]


def _compare(
    name: str, first: pandas.DataFrame, second: pandas.DataFrame, outputs: Sequence[str]
) -> ConditionComparison:
    difference = paired_differences(first, second, lambda table: categories.make_statistic(table, outputs))["ua"]
    one, other = (categories.summarize(table, outputs, resamples=1).ua for table in (first, second))
    return ConditionComparison(name, one, other, difference)


def tabulate_comparison(rows: Sequence[ConditionComparison], first: str, second: str) -> str:
    """Return the comparison as a table in Markdown.

    Args:
        rows: From `compare_conditions`.
        first: Name of the first model.
        second: Name of the second model.
    """
    lines = [["condition", markdown(first), markdown(second), "difference [95 % interval]", "p"]]
    for row in rows:
        name = f"**{row.condition}**" if row.condition in ("clean", MEAN) else row.condition
        low, high = (100 * bound for bound in row.difference.interval)
        change = f"{100 * row.difference.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        p_value = row.difference.p_value
        lines.append([name, f"{100 * row.first:.1f}", f"{100 * row.second:.1f}", change, f"{p_value:.3f}"])
    return markdown_table(lines) + "\n"
