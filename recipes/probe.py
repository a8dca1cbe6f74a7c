"""Compare frozen features and scikit-learn heads: would an SVM on MFCCs do?

    python recipes/probe.py --corpus ravdess --data_root ~/RAVDESS --protocol emobox --features classical embedding \\
        --model_name_or_path openai/whisper-tiny.en --output_dir runs/ravdess/probe

Every head is fitted on every kind of features. Parameters, layer, features and head are chosen by cross-validation over
the training speakers (those of train and validation); the table shows all, the headline is the chosen one, which is
kept as a checkpoint (head.skops, head.json). vectors/*.parquet hold the features. `cross_validate.py probe …` runs all
folds of a protocol.
"""

import logging
import sys
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
from ser_hf.runs.command_line import parse_arguments
from ser_hf.runs.results import (
    FIGURES,
    PREDICTIONS,
    describe_machine,
    mark_finished,
    read_results,
    tabulate_predictions,
)
from ser_hf.runs.speech_data import load_speech, write_problems
from ser_hf.training import DataArguments, check_folder, claim_folder, resolve_recipe
from ser_hf.training.components import make_augmentation


def main(argv: list[str]) -> None:
    """Compare, choose, score and keep."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("ser_hf").setLevel(logging.INFO)
    try:
        data, arguments = parse_arguments(argv, (DataArguments, ProbeArguments))
        recipe = resolve_recipe(data, arguments)
        augment = make_augmentation(data)
        if (augment is None) != (arguments.augmented_copies == 0):
            raise ValueError("augmented_copies: expected with a change such as --noise_snr 10, and only then.")
        check_folder(arguments.output_dir, recipe)
        if finished := read_results(arguments.output_dir):
            print(f"This recipe is finished.\n{tell(finished, arguments.output_dir)}")
            return push(arguments)
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
                print(f"{features.name:12} {candidate.head.name:20} {candidate.inner.ua:.3f} UA, training speakers")
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {error}")
    results = write_evidence(arguments, candidates, train, test, speech.described)
    mark_finished(arguments.output_dir, results)
    lock.release()
    print(tell(results, arguments.output_dir))
    return push(arguments)


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


def push(arguments: ProbeArguments) -> None:
    """Publish the finished folder, if asked."""
    if not arguments.push_to_hub:
        return
    try:
        print(publish(arguments.output_dir, arguments.hub_model_id))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def tell(results: dict, folder: str) -> str:
    """Return what to print at the end."""
    (chosen,) = (row for row in results["candidates"] if row["chosen"])
    low, high = results["test"]["intervals"]["ua"]
    return (
        f"Chosen: {chosen['head']} on {chosen['features']}, UA {chosen['inner_ua']:.3f} on training speakers.\n"
        f"Test UA {results['test']['ua']:.3f}, 95 % interval {low:.3f} to {high:.3f}. All: {folder}/README.md"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
