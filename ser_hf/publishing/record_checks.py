"""Check the results, the model card, the recipe and the exports of a finished run."""

import re
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub.repocard import REGEX_YAML_BLOCK

from ser_hf.foreign_files import parse_yaml, read_text
from ser_hf.publishing.checks import Check, read_json_or_empty
from ser_hf.runs.file_names import RECIPE
from ser_hf.runs.recipe import read_recipe
from ser_hf.runs.result_records import Results
from ser_hf.runs.results import read_results
from ser_hf.runs.weights import hash_weights
from ser_hf.tasks import load_task


def check_results(folder: Path) -> Check:
    """Check that all_results.json contains test scores, all in the possible range."""
    remedy = "Evaluate the model; the recipe writes all_results.json at the end."
    try:
        results = read_results(folder)
    except ValueError as error:
        return Check("results", False, str(error), remedy)
    if results is None:
        return Check("results", False, "no test scores", remedy)
    metrics, scores = load_task(results.task).METRICS, _scores_of(results)
    wrong = [f"{name} {score}" for name, score in scores.items() if not metrics[name].lowest <= score <= 1]
    first = next(iter(metrics))
    found = f"{metrics[first].short} {scores[first]:.3f} on {results.test.utterances} utterances"
    return Check("results", not wrong, f"impossible: {', '.join(wrong)}" if wrong else found, remedy)


def check_card(folder: Path) -> Check:
    """Check that the YAML metadata of README.md contains the scores of all_results.json."""
    try:
        metadata = read_metadata(folder / "README.md") if (folder / "README.md").exists() else None
    except ValueError as error:
        return Check("card", False, f"invalid YAML metadata: {str(error).splitlines()[0]}", "Correct README.md.")
    remedy = "Render the card from all_results.json again; a model without scores is not published."
    if metadata is None:
        return Check("card", False, "README.md is missing", remedy)
    scores = list(_scores_on_card(metadata))
    if not scores:
        return Check("card", False, "a card without results", remedy)
    try:
        results = read_results(folder)
    except ValueError as error:
        return Check("card", False, str(error), "Restore all_results.json, or run the recipe again.")
    if results is None:
        return Check("card", False, "no all_results.json to compare it with", remedy)
    on_card, metrics = [(score.get("type"), score.get("value")) for score in scores], load_task(results.task).METRICS
    missing = [
        f"{name} {score}"
        for name, score in _scores_of(results).items()
        if not {(name, score), (metrics[name].hub, score)} & set(on_card)  # older cards have our names
    ]
    if missing:
        return Check("card", False, f"it does not contain {', '.join(missing)} of all_results.json", remedy)
    return Check("card", True, f"{len(scores)} scores: {', '.join(str(score.get('type')) for score in scores)}")


def read_metadata(card: Path) -> dict:
    """Return the YAML metadata of a model card; empty if it has none.

    Raises:
        ValueError: If they are not YAML, or no keys and values.
    """
    block = re.match(REGEX_YAML_BLOCK, read_text(card))
    metadata = parse_yaml(block.group(2)) if block else None
    if not isinstance(metadata, dict | None):
        raise ValueError("no lines of `key: value`")
    return metadata or {}


def _scores_on_card(metadata: dict) -> Iterator[dict]:
    """Yield the metrics in the first entry of the model index; parts of other types are left out."""
    for entry in _dicts(metadata.get("model-index"))[:1]:
        for result in _dicts(entry.get("results")):
            yield from _dicts(result.get("metrics"))


def _dicts(values: object) -> list[dict]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def check_recipe(folder: Path) -> Check:
    """Check that recipe.yaml contains settings."""
    remedy = "It is written before training: copy it from the output folder of the run."
    try:
        return Check("recipe", True, f"{len(read_recipe(folder))} settings")
    except FileNotFoundError:
        return Check("recipe", False, f"{RECIPE} is missing", remedy)
    except ValueError as error:
        return Check("recipe", False, str(error), remedy)


def check_exports(folder: Path) -> Check:
    """Check that ONNX files, if there are any, were exported from the weights in the folder."""
    files = sorted(path.name for path in folder.glob("onnx/*.onnx"))
    if not files:
        return Check("exports", True, "none")
    made_from = read_json_or_empty(folder / "onnx" / "export.json").get("weights")
    same = made_from == hash_weights(folder)
    found = f"{', '.join(files)}, of {'these' if same else 'other'} weights"
    return Check("exports", same, found, "Write them again with `ser-hf export`, or delete the folder onnx.")


def _scores_of(results: Results) -> dict[str, float]:
    """Return the test score in each metric of the task."""
    return {name: getattr(results.test, name) for name in load_task(results.task).METRICS}
