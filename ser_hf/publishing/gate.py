"""Run the gate: the checks that a finished run must pass before it is published."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ser_hf.escaping import one_line
from ser_hf.heads.head_files import load_head
from ser_hf.publishing.agreement import check_agreement
from ser_hf.publishing.answers import check_answers, check_padding
from ser_hf.publishing.checks import (
    Check,
    check_architecture,
    check_code,
    check_contents,
    check_dtype,
    check_finite,
    check_format,
    check_keys,
    check_labels,
    check_preprocessor,
    check_shards,
    run_checks,
)
from ser_hf.publishing.privacy import check_paths, check_tokens
from ser_hf.publishing.record_checks import check_card, check_exports, check_recipe, check_results

LOADABLE = (check_contents, check_architecture, check_code, check_preprocessor, check_format, check_shards)
READABLE = (check_labels, check_results, check_card, check_recipe, check_exports, check_paths, check_tokens)
LOADED = (check_dtype, check_finite, check_keys, check_padding, check_answers)


def run_gate(folder: str | Path, *, folders: Mapping[str, Path] | None = None) -> list[Check]:
    """Run all checks of the output folder of a finished run, and return their results.

    The model is loaded only if the checks of its files pass.

    Args:
        folder: Output folder with a fine-tuned model or the head of a probe.
        folders: Folder of each corpus of the run, to score its test files again with the stock pipeline; None for a
            comparison with stored results only.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"No folder '{folder}': expected the output folder of a finished run.")
    if (folder / "head.json").exists():
        return run_checks(PROBE, folder)
    needed = run_checks(LOADABLE, folder)
    checks = needed + run_checks(READABLE, folder)
    if all(check.passed for check in needed):
        return checks + run_checks((*LOADED, partial(check_agreement, folders=folders)), folder)
    return [*checks, Check("loading", False, "not tried", "Fix the faults above and run the gate again.")]


def check_head(folder: Path) -> Check:
    """Check that the head of a probe contains only what ser_hf writes, and matches its outputs."""
    try:
        head, description = load_head(folder)
    except (FileNotFoundError, ValueError) as error:
        return Check("head", False, str(error), "Fit it again with ser-hf probe.")
    outputs = "dimensions" if "rating_scale" in description else "emotions"
    found = f"{head.name} for {len(description['emotions'])} {outputs}; the stock pipeline cannot run it, ser_hf can"
    return Check("head", True, found)


PROBE = (check_head, check_contents, check_code, check_results, check_card, check_recipe, check_paths, check_tokens)


def require(checks: list[Check]) -> None:
    """Raise an error if any check failed.

    Raises:
        ValueError: If any check failed; the message has the finding and the remedy of each failed check.
    """
    if faults := [check for check in checks if not check.passed]:
        lines = [f"- {check.name}: {check.found}. {check.remedy}" for check in faults]
        raise ValueError("\n".join([f"Not publishable, {len(faults)} of {len(checks)} checks failed:", *lines]))


def describe_checks(checks: list[Check]) -> str:
    """Return a line for each check, followed by its remedy if it failed."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok' if check.passed else 'FAULT':5}  {check.name:{width}}  {one_line(check.found)}")
        if not check.passed:
            lines.append(f"{'':{width + 9}}{check.remedy}")
    return "\n".join(lines)
