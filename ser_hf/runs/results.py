"""After training: `predictions.csv`, `all_results.json` and the figures, each computed from the one before."""

import hashlib
import json
import math
import os
import platform
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pandas
import torch
import transformers
from datasets import Dataset, DatasetDict
from scipy.special import softmax
from transformers import PreTrainedConfig, PreTrainedModel, TrainerState

from ser_hf import __version__
from ser_hf.cache import write_text
from ser_hf.corpora import Utterance
from ser_hf.data.audit import Finding
from ser_hf.data.dataset import AudioProblem
from ser_hf.data.protocols import speakers_of
from ser_hf.data.splits import Split, is_speaker_independent
from ser_hf.evaluation import read_predictions, summarize, write_predictions
from ser_hf.evaluation.figures import plot_confusion, plot_curves, plot_speakers
from ser_hf.evaluation.predictions import COLUMNS, average_windows
from ser_hf.models.backbone import context_of

ACTIONS = ("skipped", "too short", "windowed", "padded")
LEAKS = ("shared speaker", "identical audio", "overlapping audio")  # what recipes always look for
PREDICTIONS, RESULTS, FIGURES = "predictions.csv", "all_results.json", "figures"


def tabulate_predictions(dataset: Dataset, logits: np.ndarray) -> pandas.DataFrame:
    """Return the table of predictions of one split: a row per utterance, its windows averaged.

    Args:
        dataset: A part of `build_dataset`'s result, N rows.
        logits: ``(N, C)`` in the order of the dataset.
    """
    emotions = dataset.features["label"].names
    scores = average_windows(softmax(logits.astype(np.float64), -1), dataset["utterance"])
    names = [name for name in COLUMNS if name in dataset.column_names]
    table = dataset.select_columns([*names, "utterance", "emotion"]).to_pandas()
    table = table.drop_duplicates("utterance", ignore_index=True).rename(columns={"emotion": "target"})
    table["prediction"] = [emotions[label] for label in scores.argmax(-1)]
    scores = pandas.DataFrame(scores, columns=[f"score_{name}" for name in emotions])
    return pandas.concat([table[COLUMNS], scores], axis=1)


def write_results(
    folder: str | Path,
    predictions: pandas.DataFrame,
    *,
    emotions: list[str],
    training: dict,
    data: dict,
    log_history: list[dict],
) -> dict:
    """Write predictions.csv and the figures into the output folder, and return what all_results.json will hold.

    Args:
        folder: The output folder.
        predictions: Validation and test rows.
        emotions: In the order of their labels.
        training: From `describe_training`.
        data: "split", "audio" and "audit", from `describe_split`, `describe_audio` and `describe_audit`.
        log_history: The Trainer's.
    """
    folder = Path(folder)
    write_predictions(predictions, folder / PREDICTIONS)
    predictions = read_predictions(folder / PREDICTIONS)
    parts = {part: summarize(predictions[predictions["split"] == part], emotions) for part in ("validation", "test")}
    results = {"emotions": emotions, **parts, **data, "training": training}
    (folder / FIGURES).mkdir(exist_ok=True)
    plot_confusion(results["test"], folder / FIGURES / "confusion.png")
    if results["test"]["speakers"]:
        plot_speakers(results["test"], folder / FIGURES / "speakers.png")
    if training["epochs_run"]:
        plot_curves(log_history, folder / FIGURES / "curves.png", best_epoch=training["best_epoch"])
    return results


def mark_finished(folder: str | Path, results: dict) -> None:
    """Write all_results.json, last of all and in one step: where it is, the run is finished."""
    write_text(Path(folder, RESULTS), json.dumps(results, indent=1, ensure_ascii=False))


def read_results(folder: str | Path) -> dict | None:
    """Return the results of a finished run, or None."""
    path = Path(folder) / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def describe_split(split: Split, name: str, folders: dict[str, Path]) -> dict:
    """Return the split's name and digest, whether speakers are apart, and what is in each part.

    Args:
        split: Utterances by part.
        name: The split in words.
        folders: What the paths of each corpus are relative to.
    """
    everyone = set().union(*map(speakers_of, split.values()))
    return {
        "name": name,
        "digest": _digest(split, folders),
        "speaker_independent": is_speaker_independent(split),
        **{
            part: {
                "speakers": _names(utterances, several=len({corpus for corpus, _ in everyone}) > 1),
                "utterances": len(utterances),
                "emotions": dict(sorted(Counter(utterance.emotion for utterance in utterances).items())),
            }
            for part, utterances in split.items()
        },
    }


def _digest(split: Split, folders: dict[str, Path]) -> str:
    """Return the SHA-256 of who is where: the same wherever the corpora lie, another for any other split."""
    rows = sorted(
        (u.corpus, Path(os.path.relpath(u.path, folders[u.corpus])).as_posix(), u.start or 0.0, u.end or 0.0, part)
        for part, utterances in split.items()
        for u in utterances
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _names(utterances: list[Utterance], *, several: bool) -> list[str]:
    speakers = sorted((corpus, speaker) for corpus, speaker in speakers_of(utterances) if speaker is not None)
    return [f"{corpus}/{speaker}" if several else speaker for corpus, speaker in speakers]


def describe_audio(split: Split, problems: list[AudioProblem], dropped: Counter) -> dict:
    """Return the hours of audio, how many utterances had unusual audio, and how many lost their label."""
    actions = Counter(problem.action for problem in problems)
    return {
        "hours": sum(utterance.duration for utterances in split.values() for utterance in utterances) / 3600,
        **{action.replace(" ", "_"): actions[action] for action in ACTIONS},
        "dropped_emotions": dict(sorted(dropped.items())),
    }


def describe_audit(findings: list[Finding]) -> dict:
    """Return how many leaks there are between the parts, by their kind."""
    leaks = Counter(finding.kind for finding in findings if finding.severity == "leak")
    return {kind.replace(" ", "_"): leaks[kind] for kind in LEAKS}


def describe_training(
    model: PreTrainedModel, state: TrainerState, *, seconds: float, processes: int, resumed: bool, refit: bool
) -> dict:
    """Return what was trained, for how long, on what, and which epoch was kept.

    Args:
        model: The trained model.
        state: The Trainer's.
        seconds: That this launch's training took, with the head's start.
        processes: How many processes shared it.
        resumed: Whether this launch went on from a checkpoint, so that its time is not the whole.
        refit: Whether the weights are those of a second training, with the validation speakers.
    """
    return {
        "architecture": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": state.num_train_epochs,
        "epochs_run": state.epoch or 0,
        "best_epoch": best_epoch(state),
        "refit": refit,
        "steps": state.global_step,
        "seconds": seconds,
        "resumed": resumed,
        "processes": processes,
        **describe_machine(),
    }


def best_epoch(state: TrainerState) -> float:
    """Return the epoch whose weights were best on the validation speakers; without validation, the last."""
    best = [log["epoch"] for log in state.log_history if log.get("step") == state.best_global_step and "eval_ua" in log]
    return best[0] if best else state.epoch or 0


def describe_context(config: PreTrainedConfig, dataset: DatasetDict) -> dict:
    """Return the seconds of audio that a model takes, None for any, and how many scored utterances are longer.

    Args:
        config: Of the model.
        dataset: With "validation" and "test", whose rows are whole utterances.
    """
    seconds = context_of(config)
    longer = {part: sum(row > seconds for row in dataset[part]["duration"]) for part in ("validation", "test")}
    return {"seconds": seconds if math.isfinite(seconds) else None, "longer": longer}


def describe_machine() -> dict:
    """Return the hardware, the date and the versions of what computes."""
    return {
        "hardware": _hardware(),
        "date": date.today().isoformat(),
        "versions": {
            "ser_hf": __version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _hardware() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
