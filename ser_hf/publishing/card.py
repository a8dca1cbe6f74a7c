"""Render the model card from results, recipe.yaml and config.json of an output folder, and facts about its corpora."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ser_hf.corpora.facts import CORPUS_FACTS, CorpusFacts
from ser_hf.corpora.files import pluralize
from ser_hf.data.preparation import MIN_DURATION
from ser_hf.escaping import markdown, markdown_values
from ser_hf.foreign_files import read_json
from ser_hf.models.context import POSITIONS_PER_SECOND
from ser_hf.runs.recipe import corpora_of, read_recipe
from ser_hf.runs.result_records import Results
from ser_hf.tasks import load_task

# Sections for which a task has its own template; a section without a template is left out.
SECTIONS = ("introduction", "metrics", "details", "calibration", "folds", "limits", "not_evaluated")
RECOGNISED = {
    "emotion": "emotions",
    "gender": "genders",
    "emotion_gender": "pairs of emotion and gender",
    "intensity": "intensities of emotion",
}
CAPTIONS = {
    "confusion": "Confusion matrix of the test split",
    "speakers": "Unweighted average recall by test speaker",
    "curves": "Loss and validation score over epochs",
    "reliability": "Accuracy against score, before and after calibration",
    "coverage": "Accuracy of the accepted utterances against their share",
    "candidates": "All heads",
    "conditions": "Test score under degraded conditions",
    "ratings": "Predicted against rated values of the test utterances, as shares of the scale",
    "plane": "Test utterances in the plane of valence and arousal, rated and predicted",
    "votes": "Mean share of the votes and mean score of each emotion, test utterances",
}
SPEAKERS_SHOWN = 12
ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
)
ENVIRONMENT.globals["pluralize"] = pluralize


def render_card(folder: str | Path, results: Results, *, repo_id: str | None = None) -> ModelCard:
    """Return the model card of a finished run.

    Args:
        folder: Output folder with config.json and recipe.yaml; the card shows its figures.
        results: Results of the run.
        repo_id: Repository in which the model will be published; None: the name of the folder is used instead.

    Raises:
        FileNotFoundError: If config.json or recipe.yaml is missing.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    config = read_json(folder / "config.json")
    name = repo_id or folder.resolve().name
    positions = config.get("max_source_positions") if config["model_type"] == "whisper" else None
    body = _render(
        "model_card.md",
        folder,
        results,
        recipe,
        title=markdown(name.split("/")[-1]),
        repo_id=name,
        base_model=markdown_values(recipe["model_name_or_path"]),
        min_duration=MIN_DURATION,
        remote_code="auto_map" in config,
        # architectures in which padding changes the scores, see ser_hf/models/padding.py
        padding_changes_scores=config.get("feat_extract_norm") == "group" or config["model_type"] == "data2vec-audio",
        context_seconds=positions and positions // POSITIONS_PER_SECOND,
        training=markdown_values(results.training),
    )
    return ModelCard(_head(results, recipe, name, library="transformers") + body)


def render_probe_card(folder: str | Path, results: Results) -> str:
    """Return the card of a finished comparison of heads in Markdown, with the metadata of a model card.

    Args:
        folder: Output folder with recipe.yaml; the card shows its figures.
        results: Results of the run.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    (chosen,) = (row for row in results.candidates if row.chosen)  # type: ignore[union-attr]
    head = _head(results, recipe, folder.resolve().name, library="ser_hf")
    return head + _render("probe.md", folder, results, recipe, chosen=markdown_values(chosen))


def render_folds_card(results: Results, fold: str | Path) -> str:
    """Return the card of a cross-validation in Markdown.

    Args:
        results: Results of `pool_folds`.
        fold: Output folder of one of the folds, with recipe.yaml.
    """
    results = markdown_values(results)
    return ENVIRONMENT.get_template("folds.md").render(
        results=results,
        recipe=markdown_values(read_recipe(Path(fold))),
        test=results.test,
        independent=all(fold.speaker_independent for fold in results.folds),  # type: ignore[union-attr]
        **_task_variables(load_task(results.task)),
    )


def licence_of(recipe: dict) -> str | None:
    """Return the licence of weights trained on the corpora of a recipe, as a licence identifier of the Hub.

    "other" is returned for terms written by the owners of a corpus, and if the corpora have different licences. None is
    returned if the licence of at least one corpus is unknown: such weights must not be pushed publicly.

    Args:
        recipe: Content of recipe.yaml.
    """
    licences = {facts.licence for facts in _facts(recipe)}
    if None in licences:
        return None
    return licences.pop() if len(licences) == 1 else "other"


def _facts(recipe: dict) -> list[CorpusFacts]:
    return [CORPUS_FACTS[name] for name in corpora_of(recipe)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _task_variables(task: ModuleType) -> dict[str, Any]:
    """Return the template variables of a task: metrics, functions that format scores, and sections."""
    scale, decimals = (100, 1) if task.PERCENT else (1, 3)
    return {
        "metrics": task.METRICS,
        "first": next(iter(task.METRICS)),
        "unit": " %" if task.PERCENT else "",
        "shown": lambda score: f"{scale * score:.{decimals}f}",
        "signed": lambda score: f"{scale * score:+.{decimals}f}",
        "percent": _percent,
        "card": {section: ENVIRONMENT.from_string(task.CARD.get(section, "")) for section in SECTIONS},
    }


def _render(template: str, folder: Path, results: Results, recipe: dict, **more) -> str:
    task = load_task(results.task)
    first = next(iter(task.METRICS))
    results = markdown_values(results)
    speakers = sorted(results.test.per_speaker.values(), key=lambda speaker: -speaker[first])
    body = ENVIRONMENT.get_template(template).render(
        results=results,
        recipe=markdown_values(recipe),
        test=results.test,
        split=results.split,
        calibration=results.calibration,
        worse=results.calibration and results.calibration.list_increases(),
        corpus=" and ".join(corpora_of(recipe)),
        facts=_facts(recipe),
        recognised=RECOGNISED[recipe["target"]],
        ranked=_choose_speakers(speakers),
        figures={path.stem: CAPTIONS[path.stem] for path in folder.glob("figures/*.png") if path.stem in CAPTIONS},
        **_task_variables(task),
        **more,
    )
    return re.sub(r"\n{3,}", "\n\n", body)


def _choose_speakers(speakers: list[dict]) -> list[tuple[int, dict]]:
    """Return rank and scores of all speakers; of many speakers, only of the best, the worst and the quartiles."""
    last = len(speakers) - 1
    ranks = range(last + 1) if last < SPEAKERS_SHOWN else [last * quarter // 4 for quarter in range(5)]
    return [(rank + 1, speakers[rank]) for rank in ranks]


def _head(results: Results, recipe: dict, name: str, *, library: str) -> str:
    assert results.split is not None
    corpora, facts, metrics = corpora_of(recipe), _facts(recipe), load_task(results.task).METRICS
    scores = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type="+".join(corpora),
            dataset_name=" and ".join(corpora),
            dataset_split="test",
            dataset_args={
                "split": results.split.name,
                "speaker_independent": results.split.speaker_independent,
            },
            metric_type=shown.hub or metric,
            metric_name=shown.title,
            metric_value=getattr(results.test, metric),
            metric_args={"interval_95": results.test.intervals[metric]},
        )
        for metric, shown in metrics.items()
    ]
    metadata = ModelCardData(
        model_name=name.split("/")[-1],
        library_name=library,
        pipeline_tag="audio-classification",
        language=sorted({code.split("-")[0] for fact in facts for code in fact.languages}) or None,
        base_model=_public_name(recipe.get("model_name_or_path")),
        datasets=[corpus for corpus, fact in zip(corpora, facts, strict=True) if fact.url] or None,
        tags=["speech-emotion-recognition", "ser_hf", *corpora],
        metrics=[shown.hub or name for name, shown in metrics.items()],
        eval_results=scores,
        **_licence_metadata(recipe),
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n"


def _licence_metadata(recipe: dict) -> dict[str, Any]:
    licence, facts = licence_of(recipe), _facts(recipe)
    if licence != "other":
        return {"license": licence}
    return {
        "license": licence,
        "license_name": "-and-".join(f"{name}-terms" for name in corpora_of(recipe)).replace("_", "-"),
        "license_link": facts[0].url if len(facts) == 1 else None,
    }


def _public_name(model_name_or_path: str | None) -> str | None:
    """Return an id on the Hub unchanged, and None for a folder, because the Hub cannot link to a folder."""
    if model_name_or_path is None or Path(model_name_or_path).exists() or model_name_or_path.count("/") != 1:
        return None
    return model_name_or_path
