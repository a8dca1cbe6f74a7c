"""The model card, made from the results, recipe.yaml and config.json of an output folder."""

import json
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Template

from ser_hf.data.dataset import MIN_DURATION

TEMPLATES = Path(__file__).parent / "templates"
RECOGNISED = {
    "emotion": "emotions",
    "gender": "genders",
    "emotion_gender": "pairs of emotion and gender",
    "intensity": "intensities of emotion",
}
METRICS = {"ua": "Unweighted average recall", "wa": "Weighted accuracy", "macro_f1": "Macro F1"}


def render_card(folder: str | Path, results: dict, *, repo_id: str | None = None) -> ModelCard:
    """Return the model card of a finished run.

    Args:
        folder: Output folder with config.json and recipe.yaml.
        results: What its all_results.json holds.
        repo_id: Where it will be published; None: the folder's name stands for it.

    Raises:
        FileNotFoundError: If one of the two files is missing.
    """
    folder = Path(folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    corpora = _corpora(recipe)
    name = repo_id or folder.resolve().name
    positions = config.get("max_source_positions") if config["model_type"] == "whisper" else None
    return ModelCard.from_template(
        _metadata(results, recipe, corpora, name),
        template_str=(TEMPLATES / "model_card.md").read_text(encoding="utf-8"),
        title=name.split("/")[-1],
        repo_id=name,
        recognised=RECOGNISED[recipe["target"]],
        corpus=" and ".join(corpora),
        base_model=recipe["model_name_or_path"],
        min_duration=MIN_DURATION,
        remote_code="auto_map" in config,
        context_seconds=positions and positions // 50,  # 50 encoder frames a second
        results=results,
        recipe=recipe,
        test=results["test"],
        split=results["split"],
        training=results["training"],
        percent=_percent,
    )


def render_probe_card(folder: str | Path, results: dict) -> str:
    """Return the card of a finished comparison of heads, in Markdown.

    Args:
        folder: Output folder with recipe.yaml.
        results: What its all_results.json will hold.
    """
    recipe = yaml.safe_load(Path(folder, "recipe.yaml").read_text(encoding="utf-8"))
    (chosen,) = (row for row in results["candidates"] if row["chosen"])
    return _load_template("probe.md").render(
        results=results,
        recipe=recipe,
        corpus=" and ".join(_corpora(recipe)),
        recognised=RECOGNISED[recipe["target"]],
        chosen=chosen,
        test=results["test"],
        split=results["split"],
        percent=_percent,
    )


def render_folds_card(results: dict, fold: str | Path) -> str:
    """Return the card of a cross-validation, in Markdown.

    Args:
        results: From `pool_folds`.
        fold: Output folder of one of its folds, with recipe.yaml.
    """
    return _load_template("folds.md").render(
        results=results,
        recipe=yaml.safe_load(Path(fold, "recipe.yaml").read_text(encoding="utf-8")),
        test=results["test"],
        independent=all(fold["speaker_independent"] for fold in results["folds"]),
        metrics=("ua", "wa", "macro_f1"),
        percent=_percent,
    )


def _load_template(name: str) -> Template:
    return Template((TEMPLATES / name).read_text(encoding="utf-8"), keep_trailing_newline=True)


def _corpora(recipe: dict) -> list[str]:
    return [recipe["corpus"]] if isinstance(recipe["corpus"], str) else recipe["corpus"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _metadata(results: dict, recipe: dict, corpora: list[str], name: str) -> ModelCardData:
    scores = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type="+".join(corpora),
            dataset_name=" and ".join(corpora),
            dataset_split="test",
            dataset_args={"split": results["split"]["name"]},
            metric_type=metric,
            metric_name=title,
            metric_value=results["test"][metric],
            metric_args={"interval_95": results["test"]["intervals"][metric]},
        )
        for metric, title in METRICS.items()
    ]
    return ModelCardData(
        model_name=name.split("/")[-1],
        library_name="transformers",
        pipeline_tag="audio-classification",
        base_model=_public_name(recipe["model_name_or_path"]),
        tags=["speech-emotion-recognition", "ser_hf", *corpora],
        metrics=list(METRICS),
        eval_results=scores,
    )


def _public_name(model_name_or_path: str | None) -> str | None:
    """Return a Hub id as it is, and nothing for a folder: the Hub cannot link to one."""
    if model_name_or_path is None or Path(model_name_or_path).exists() or model_name_or_path.count("/") != 1:
        return None
    return model_name_or_path
