"""Read and write `all_results.json`, the results of a run."""

import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import cattrs

from ser_hf.cache import write_text
from ser_hf.foreign_files import parse_json, read_text
from ser_hf.runs.file_names import RESULTS
from ser_hf.runs.result_records import SCHEMA, Results, TaskScores
from ser_hf.tasks import load_task


def write_results(folder: str | Path, results: Results) -> None:
    """Write all_results.json atomically, after all other files, because its existence marks a finished run."""
    write_text(Path(folder, RESULTS), print_results(results))


def print_results(results: Results) -> str:
    """Return the content of all_results.json as text; attributes that are None are left out."""
    present = {name: value for name, value in asdict(results).items() if value is not None}
    return json.dumps(present, indent=1, ensure_ascii=False)


def read_results(folder: str | Path) -> Results | None:
    """Return the results of a finished run; None if all_results.json does not exist.

    Raises:
        ValueError: If all_results.json is damaged, or has a newer schema than this version of ser_hf.
    """
    path = Path(folder, RESULTS)
    return parse_results(read_text(path, folder), str(path)) if path.exists() else None


def parse_results(text: str, name: str = RESULTS) -> Results:
    """Return the results in a JSON text.

    Args:
        text: Content of all_results.json.
        name: Path of the file, for error messages.

    Raises:
        ValueError: If the text is damaged, or has a newer schema than this version of ser_hf.
    """
    try:
        found = parse_json(text)
        if not isinstance(found, dict) or not isinstance(found.get("schema", 1), int):
            raise ValueError("no object with a whole number as its schema")
        content: dict[str, Any] = {"schema": 1, "task": "categories"} | found
        if content["schema"] > SCHEMA:
            raise ValueError(f"its schema is {content['schema']}; install a newer ser_hf")
        task = load_task(content["task"])
        converter = cattrs.Converter()
        converter.register_structure_hook_func(
            lambda kind: kind is TaskScores, lambda value, _: cattrs.structure(value, task.Scores)
        )
        results = converter.structure(_upgrade(content, task), Results)
        _check_complete(results, task)
    except (cattrs.BaseValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else error
        raise ValueError(
            f"'{name}': expected the results of a run of schema {SCHEMA} or older, found: {reason}. "
            "Delete it, and run the recipe again."
        ) from error
    return results


def _check_complete(results: Results, task: ModuleType) -> None:
    if results.training is None and results.evaluation is None:
        raise ValueError("neither 'training' nor 'evaluation'")
    for scores in filter(None, (results.test, results.validation)):
        if absent := sorted(set(task.METRICS) - set(scores.intervals)):
            raise ValueError(f"no interval of {absent}")


def _upgrade(content: dict, task: ModuleType) -> dict:
    """Convert the content of an older schema to the newest schema."""
    if content["schema"] == SCHEMA:
        return content
    content["schema"] = SCHEMA
    evaluation = content.get("evaluation")
    for part, old, new in ((content, "emotions", "outputs"), (evaluation, "shared_emotions", "shared_outputs")):
        if part and old in part:
            part[new] = part.pop(old)
    if not content.get("calibration"):  # schema 1 wrote {} for a model that is not calibrated
        content.pop("calibration", None)
    for row in content.get("candidates") or []:
        row["inner_score"] = row.pop("inner_ua", None)
        row["scores"] = {name: row.pop(name, None) for name in task.METRICS}
    for fold in content.get("folds") or []:
        fold["scores"] = {name: fold.pop(name, None) for name in task.METRICS}
    return content
