"""Compare frozen features and scikit-learn heads on the same splits as fine-tuning."""

import logging
from pathlib import Path

import numpy as np
import pandas
from datasets import Dataset, concatenate_datasets

from ser_hf.evaluation import summarize, write_predictions
from ser_hf.evaluation.figures import plot_candidates, plot_confusion, plot_speakers
from ser_hf.heads.comparison import Candidate, FeatureSet, ProbeArguments, compare_heads, gather_features
from ser_hf.heads.files import save_head
from ser_hf.heads.vectors import write_vectors
from ser_hf.publishing import publish
from ser_hf.publishing.card import render_probe_card
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.recipe import check_folder, claim_folder, resolve_recipe
from ser_hf.runs.results import (
    FIGURES,
    PREDICTIONS,
    describe_machine,
    mark_finished,
    read_results,
    tabulate_predictions,
)
from ser_hf.runs.speech_data import load_speech, write_problems
from ser_hf.training.components import make_augmentation

logger = logging.getLogger(__name__)


def probe(data: DataArguments, arguments: ProbeArguments) -> dict:
    """Fit every head on every kind of features, choose one on the training speakers, and score it on the test speakers.

    The chosen head is kept in `arguments.output_dir` (head.skops, head.json), beside the table of all.

    Args:
        data: The speech, its labels, and who is held out.
        arguments: Features and heads to compare.

    Returns:
        What all_results.json holds.

    Raises:
        ValueError: If a corpus, a label or an argument is not as expected.
        OSError: If a file is missing, or the output folder holds another run.
        ImportError: If egemaps lacks opensmile.
    """
    recipe = resolve_recipe(data, arguments)
    augment = make_augmentation(data)
    if (augment is None) != (arguments.augmented_copies == 0):
        raise ValueError("augmented_copies: expected with a change such as --noise_snr 10, and only then.")
    check_folder(arguments.output_dir, recipe)
    if finished := read_results(arguments.output_dir):
        logger.info("This recipe is finished.")
        _push(arguments)
        return finished
    speech = load_speech(data)
    dataset = speech.dataset
    lock = claim_folder(arguments.output_dir, recipe, dataset, launch="python recipes/probe.py")
    write_problems(data, speech, arguments.output_dir)
    train, test = concatenate_datasets([dataset["train"], dataset["validation"]]), dataset["test"]
    train = number_rows(train)
    candidates = []
    for features in gather_features(train, test, arguments, augment, hearing=data.hearing):
        keep_vectors(features, train, test, arguments.output_dir)
        for candidate in compare_heads(features, train, arguments):
            candidates.append(candidate)
            name = f"{features.name:12} {candidate.head.name:20}"
            logger.info(f"{name} {candidate.inner.ua:.3f} UA, training speakers")
    results = write_evidence(arguments, candidates, train, test, speech.described)
    mark_finished(arguments.output_dir, results)
    lock.release()
    _push(arguments)
    return results


def number_rows(dataset: Dataset) -> Dataset:
    """Return the training rows, some of them validation rows before, with `utterance` and `index` of one part."""
    windows = list(zip(dataset["split"], dataset["utterance"], strict=True))
    numbers = {window: i for i, window in enumerate(dict.fromkeys(windows))}
    utterances = [numbers[window] for window in windows]
    dataset = dataset.remove_columns(["utterance", "index"]).add_column("utterance", utterances)
    return dataset.add_column("index", list(range(len(dataset))))


def keep_vectors(features: FeatureSet, train: Dataset, test: Dataset, output_dir: str) -> None:
    """Write vectors/<features>.parquet: labels and vector of each row, augmented copies left out; pandas reads it."""
    path = Path(output_dir, "vectors", f"{features.name.replace(' ', '_')}.parquet")
    path.parent.mkdir(exist_ok=True)
    vectors = np.concatenate([features.train[: len(train)], features.test])
    write_vectors(concatenate_datasets([train, test]), vectors, path)


def write_evidence(
    arguments: ProbeArguments, candidates: list[Candidate], train: Dataset, test: Dataset, described: dict
) -> dict:
    """Write predictions, figures, the chosen head and the card; return what all_results.json will hold."""
    folder, emotions = Path(arguments.output_dir), test.features["label"].names
    chosen = max(candidates, key=lambda candidate: candidate.inner.ua)
    rows = []
    for candidate in candidates:
        summary = summarize(predict(candidate, test), emotions)
        scores = {name: summary[name] for name in ("ua", "wa", "macro_f1", "intervals")}
        rows.append(
            {"features": candidate.features.name, "head": candidate.head.name, "parameters": candidate.head.parameters}
            | {"inner_ua": candidate.inner.ua, "seconds": candidate.seconds, "chosen": candidate is chosen} | scores
        )  # fmt: skip
    heard = tabulate_predictions(train, chosen.inner.margins[: len(train)] / chosen.head.temperature)
    tables = {"validation": heard.assign(split="validation"), "test": predict(chosen, test)}
    results = {
        "emotions": emotions,
        **{part: summarize(table, emotions) for part, table in tables.items()},
        **described,
        "candidates": rows,
        "training": describe_machine() | {"seconds": sum(row["seconds"] for row in rows)},
    }
    write_predictions(pandas.concat(tables.values(), ignore_index=True), folder / PREDICTIONS)
    (folder / FIGURES).mkdir(exist_ok=True)
    plot_candidates(rows, folder / FIGURES / "candidates.png")
    plot_confusion(results["test"], folder / FIGURES / "confusion.png")
    if results["test"]["speakers"]:
        plot_speakers(results["test"], folder / FIGURES / "speakers.png")
    save_head(chosen.head, folder, emotions=emotions, features=chosen.features.recipe)
    (folder / "README.md").write_text(render_probe_card(folder, results), encoding="utf-8")
    return results


def predict(candidate: Candidate, test: Dataset) -> pandas.DataFrame:
    """Return the table of a candidate's predictions of the test utterances."""
    scores = candidate.head.predict_proba(candidate.features.test)
    return tabulate_predictions(test, np.log(scores.clip(1e-12)))


def _push(arguments: ProbeArguments) -> None:
    """Publish the finished folder, if asked."""
    if arguments.push_to_hub:
        logger.info(publish(arguments.output_dir, arguments.hub_model_id))


def describe_probe(results: dict, folder: str) -> str:
    """Return what to print at the end."""
    (chosen,) = (row for row in results["candidates"] if row["chosen"])
    low, high = results["test"]["intervals"]["ua"]
    return (
        f"Chosen: {chosen['head']} on {chosen['features']}, UA {chosen['inner_ua']:.3f} on training speakers.\n"
        f"Test UA {results['test']['ua']:.3f}, 95 % interval {low:.3f} to {high:.3f}. All: {folder}/README.md"
    )
