"""Compare scikit-learn heads on frozen features, with the same splits as fine-tuning."""

import logging
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas
from datasets import Dataset, concatenate_datasets

from ser_hf.cache import write_text
from ser_hf.data.augment import Augmentation
from ser_hf.evaluation import write_predictions
from ser_hf.evaluation.figures import plot_candidates
from ser_hf.heads.comparison import Candidate, FeatureSet, check_features, compare_heads, gather_features
from ser_hf.heads.head_files import save_head
from ser_hf.heads.probe_arguments import ProbeArguments
from ser_hf.heads.vectors import write_vectors
from ser_hf.publishing import publish
from ser_hf.publishing.card import render_probe_card
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.description import describe_machine
from ser_hf.runs.file_names import CARD, FIGURES, PREDICTIONS
from ser_hf.runs.folder import check_folder, claim_folder
from ser_hf.runs.prediction_rows import tabulate_dataset
from ser_hf.runs.pretraining_record import check_test_speakers
from ser_hf.runs.recipe import resolve_recipe
from ser_hf.runs.result_records import CandidateRecord, Results, TrainingRecord
from ser_hf.runs.results import read_results, write_results
from ser_hf.runs.score_table import describe_results
from ser_hf.runs.speech_data import Speech, common_scale, load_speech, write_findings, write_problems
from ser_hf.runs.task_options import complete_arguments
from ser_hf.tasks import load_task
from ser_hf.training.components import make_augmentation

logger = logging.getLogger(__name__)


def probe(data: DataArguments, arguments: ProbeArguments) -> Results:
    """Fit every head on every kind of features, choose one on the training speakers, and score it on the test speakers.

    The chosen head (head.skops, head.json) and the table of all heads are written to `arguments.output_dir`.

    Args:
        data: Corpora, labels, split and augmentation.
        arguments: Features and heads to compare.

    Returns:
        The results.

    Raises:
        ValueError: If a corpus, a label or an argument is not as expected.
        OSError: If a file is missing, or the output folder contains another run.
        ImportError: If the features are "egemaps" and opensmile is not installed.
    """
    (arguments,) = complete_arguments(data, [arguments])
    for name, absent in (("auxiliary_task", "none"), ("mixup", 0.0), ("recommended_trim", "none")):
        if getattr(data, name) != absent:
            raise ValueError(f"{name}: probes have no such option. Leave it out.")
    recipe = resolve_recipe(data, arguments)
    augment = make_augmentation(data)
    if (augment is None) != (arguments.augmented_copies == 0):
        raise ValueError("augmented_copies: expected with a change such as --noise_snr 10, and only then.")
    check_folder(arguments.output_dir, recipe)
    if finished := read_results(arguments.output_dir):
        logger.info("This recipe is finished.")
        _push_probe(arguments)
        return finished
    check_features(arguments)
    speech = load_speech(data, output_dir=arguments.output_dir)
    if speech.split.speaker_independent:
        check_test_speakers(arguments.model_name_or_path, speech.dataset["test"])
    with claim_folder(arguments.output_dir, recipe, speech.dataset, launch="ser-hf probe"):
        write_problems(speech.problems, arguments.output_dir)
        write_findings(data, speech.findings, arguments.output_dir)
        results = _compare(data, arguments, augment, speech)
        write_results(arguments.output_dir, results)
    _push_probe(arguments)
    return results


def _compare(data: DataArguments, arguments: ProbeArguments, augment: Augmentation | None, speech: Speech) -> Results:
    """Fit every head on every kind of features, write the chosen head and its evidence, and return the results."""
    dataset = speech.dataset
    train, test = concatenate_datasets([dataset["train"], dataset["validation"]]), dataset["test"]
    train = number_rows(train)
    candidates, (metric, *_) = [], load_task(data.task).METRICS.values()
    for features in gather_features(train, test, arguments, augment, hearing=data.hearing):
        keep_vectors(features, train, test, arguments.output_dir)
        for candidate in compare_heads(features, train, arguments, balance_corpora=data.balance_corpora):
            candidates.append(candidate)
            name = f"{features.name:12} {candidate.head.name:20}"
            logger.info(f"{name} {candidate.inner.score:.3f} {metric.short}, training speakers")
    return write_evidence(data, arguments, candidates, train, test, speech)


def number_rows(dataset: Dataset) -> Dataset:
    """Return the pooled rows of train and validation with `utterance` and `index` numbered as in one part."""
    windows = list(zip(dataset["split"], dataset["utterance"], strict=True))
    numbers = {window: i for i, window in enumerate(dict.fromkeys(windows))}
    utterances = [numbers[window] for window in windows]
    dataset = dataset.remove_columns(["utterance", "index"]).add_column("utterance", utterances)
    return dataset.add_column("index", list(range(len(dataset))))


def keep_vectors(features: FeatureSet, train: Dataset, test: Dataset, output_dir: str) -> None:
    """Write labels and feature vector of each row, without augmented copies, to vectors/<features>.parquet."""
    path = Path(output_dir, "vectors", f"{features.name.replace(' ', '_')}.parquet")
    path.parent.mkdir(exist_ok=True)
    vectors = np.concatenate([features.train[: len(train)], features.test])
    write_vectors(concatenate_datasets([train, test]), vectors, path)


def write_evidence(
    data: DataArguments,
    arguments: ProbeArguments,
    candidates: list[Candidate],
    train: Dataset,
    test: Dataset,
    speech: Speech,
) -> Results:
    """Write predictions, figures, chosen head and card, and return the results."""
    folder, outputs, task = Path(arguments.output_dir), speech.outputs, load_task(data.task)
    chosen = max(candidates, key=lambda candidate: candidate.inner.score)
    rows = [_describe_candidate(candidate, test, task, outputs, chosen is candidate) for candidate in candidates]
    margins = chosen.inner.margins[: len(train)] / chosen.head.temperature
    held_out = tabulate_dataset(train, margins, task, outputs).assign(split="validation")
    predicted, scale = predict_test(chosen, test, task, outputs), common_scale(data)
    scores = task.summarize(predicted, outputs)
    training = TrainingRecord(
        **describe_machine(),
        seconds=sum(row.seconds for row in rows),
        base_commit=chosen.features.settings.get("revision"),
    )
    results = Results(
        outputs,
        scores,
        task=data.task,
        rating_scale=scale,
        validation=task.summarize(held_out, outputs),
        split=speech.split,
        audio=speech.audio,
        audit=speech.audit,
        candidates=rows,
        training=training,
    )
    write_predictions(pandas.concat([held_out, predicted], ignore_index=True), folder / PREDICTIONS)
    task.draw_scores(scores, predicted, folder / FIGURES)
    name, metric = next(iter(task.METRICS.items()))
    picture = folder / FIGURES / "candidates.png"
    plot_candidates(rows, picture, metric=name, title=metric.label, percent=task.PERCENT)
    save_head(chosen.head, folder, emotions=outputs, features=chosen.features.settings, rating_scale=scale)
    write_text(folder / CARD, render_probe_card(folder, results))
    return results


def _describe_candidate(
    candidate: Candidate, test: Dataset, task: ModuleType, outputs: list[str], chosen: bool
) -> CandidateRecord:
    scores = task.summarize(predict_test(candidate, test, task, outputs), outputs)
    return CandidateRecord(
        features=candidate.features.name,
        head=candidate.head.name,
        parameters=candidate.head.parameters,
        inner_score=candidate.inner.score,
        seconds=candidate.seconds,
        chosen=chosen,
        scores={name: getattr(scores, name) for name in task.METRICS},
        intervals=scores.intervals,
    )


def predict_test(candidate: Candidate, test: Dataset, task: ModuleType, outputs: list[str]) -> pandas.DataFrame:
    """Return the table of the predictions of a candidate for the test utterances."""
    return tabulate_dataset(test, candidate.head.predict_logits(candidate.features.test), task, outputs)


def _push_probe(arguments: ProbeArguments) -> None:
    """Publish the output folder if `push_to_hub` is set."""
    if arguments.push_to_hub:
        assert arguments.hub_model_id is not None
        logger.info(publish(arguments.output_dir, arguments.hub_model_id))


def describe_probe(results: Results, folder: str) -> str:
    """Return the final message."""
    (chosen,) = (row for row in results.candidates if row.chosen)  # type: ignore[union-attr]
    metric = next(iter(load_task(results.task).METRICS.values())).short
    return (
        f"Chosen: {chosen.head} on {chosen.features}, {metric} {chosen.inner_score:.3f} on training speakers.\n"
        f"{describe_results(results)}\nThe scores of all heads are in {folder}/README.md."
    )
