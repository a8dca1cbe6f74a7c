"""Score any checkpoint on any corpus, by default with the preprocessing of the stock pipeline.

Shapes: N utterances, C outputs of the model, S outputs that model and corpus share.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas

from ser_hf.corpora import Utterance
from ser_hf.data import prepare_audio
from ser_hf.data.hearing import RAW
from ser_hf.data.preparation import AudioProblem, check_prepared
from ser_hf.evaluation import read_predictions, write_predictions
from ser_hf.foreign_files import read_text
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.description import describe_audio, describe_machine, describe_split
from ser_hf.runs.file_names import CONDITIONS_FIGURE, FIGURES, PREDICTIONS, PROBLEMS, RECIPE, RESULTS
from ser_hf.runs.prediction_rows import tabulate_utterances
from ser_hf.runs.recipe import corpora_of, parse_recipe_file
from ser_hf.runs.result_records import EvaluationRecord, Results
from ser_hf.runs.results import parse_results, write_results
from ser_hf.runs.score_table import describe_results
from ser_hf.runs.speech_data import (
    audio_folders,
    keep_problems,
    label_utterances,
    list_bad_rows,
    load_utterances,
    name_split,
    select_split,
    write_problems,
)
from ser_hf.scoring.conditions import CONDITIONS, draw_conditions, score_conditions, tabulate_conditions
from ser_hf.scoring.evaluation_arguments import EvaluationArguments
from ser_hf.scoring.waveforms import score_utterances
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.tasks import load_task
from ser_hf.terminal import align_columns

logger = logging.getLogger(__name__)


class Overlap(NamedTuple):
    """Hold the shared outputs of a model and a corpus.

    Attributes:
        names: The C outputs of the model, with the names that the corpus uses.
        shared: The S outputs that are also in the corpus.
        left_out: {emotion: number of its utterances}, for emotions without a shared output.
        unscored: Outputs of the model that are not in the corpus.
    """

    names: list[str]
    shared: list[str]
    left_out: dict[str, int]
    unscored: list[str]


def evaluate(data: DataArguments, options: EvaluationArguments, *, test_part: bool = False) -> Results:
    """Score a checkpoint on a corpus, and write predictions, figures and results to `options.output_dir`.

    Args:
        data: Corpus, labels and split; trimming, windows and augmentation are not used.
        options: Checkpoint and its options.
        test_part: Whether to score the test part of `data.split` only; with a protocol, only the test part is scored.

    Returns:
        The results.

    Raises:
        ValueError: If model and corpus share too few outputs, the model has another task, or an argument is invalid.
        OSError: If a file is missing, or the output folder is not empty.
    """
    folder = Path(options.output_dir)
    check_output_folder(folder, continues=options.conditions is not None)
    classifier = load_tested(options, data.task)
    data, task = replace(data, task=classifier.task), load_task(classifier.task)
    utterances, dropped = label_utterances(data, load_utterances(data))
    utterances, tested = select_tested(data, utterances, folder, test_part=test_part)
    overlap = find_overlap(task, classifier.emotions, utterances)
    utterances = [row for row in utterances if task.target_of(row, overlap.shared) is not None]
    parts, problems = prepare_audio({"test": utterances}, RAW, min_duration=data.min_duration)
    with keep_problems(data, problems, folder):
        check_prepared({"test": utterances}, parts, problems, allow_missing=data.allow_missing)
    is_new = is_new_to_model(options.model, parts["test"])
    began = time.monotonic()
    scores, durations = score_utterances(classifier, parts["test"], options.batch_size)
    seconds = time.monotonic() - began
    problems += list_long(classifier, parts["test"], durations)
    split = describe_split(parts, tested, audio_folders(data), planned={"test": utterances})
    split.speaker_independent = is_new

    def tabulate(scores: np.ndarray) -> pandas.DataFrame:
        restricted = task.restrict_scores(scores, overlap.names, overlap.shared)
        return tabulate_utterances(parts["test"], restricted, task, overlap.shared, audio_folders(data))

    table = tabulate(scores)
    if (folder / PREDICTIONS).exists():
        check_same(read_predictions(folder / PREDICTIONS), table, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_problems(problems, folder)
    write_predictions(table, folder / PREDICTIONS)
    clean = read_predictions(folder / PREDICTIONS)
    results = Results(
        overlap.shared,
        task.summarize(clean, overlap.shared),
        task=classifier.task,
        split=split,
        audio=describe_audio(parts, problems, dropped),
        evaluation=describe_evaluation(options, classifier, overlap, scores, problems, seconds),
    )
    task.draw_scores(results.test, table, folder / FIGURES)
    if options.conditions:
        outputs, size = overlap.shared, options.batch_size
        results.conditions = score_conditions(
            classifier, parts["test"], clean, folder, tabulate=tabulate, outputs=outputs, batch_size=size
        )
        draw_conditions(results, folder / FIGURES / CONDITIONS_FIGURE)
    write_results(folder, results)
    return results


def load_tested(options: EvaluationArguments, task: str) -> EmotionClassifier:
    """Return the classifier to score.

    Raises:
        ValueError: If another task than that of the checkpoint is requested, or for the reasons of `from_pretrained`.
    """
    names = ("device", "dtype", "backend", "preprocessing")
    classifier = EmotionClassifier.from_pretrained(options.model, **{name: getattr(options, name) for name in names})
    if task not in ("categories", classifier.task):
        raise ValueError(
            f"task: expected '{classifier.task}', the task of '{options.model}', found '{task}'. Leave it out."
        )
    return classifier


def check_output_folder(folder: Path, *, continues: bool) -> None:
    """Check that a folder is new, or contains an interrupted evaluation of conditions if it `continues`.

    Raises:
        FileExistsError: If it contains other files.
    """
    kept = {PROBLEMS, PREDICTIONS, CONDITIONS, FIGURES} if continues else {PROBLEMS}
    if folder.exists() and any(path.name not in kept for path in folder.iterdir()):
        raise FileExistsError(f"'{folder}' is not empty. Pass a new --output_dir: files are not overwritten.")


def select_tested(
    data: DataArguments, utterances: list[Utterance], folder: Path, *, test_part: bool
) -> tuple[list[Utterance], str]:
    """Return the utterances to score, and what they are; bad rows are written to the folder if the split fails."""
    if not (data.protocol or test_part):
        return utterances, "all utterances"
    with keep_problems(data, list_bad_rows(utterances), folder):
        return select_split(data, utterances)["test"], f"test part of: {name_split(data)}"


def check_same(stored: pandas.DataFrame, table: pandas.DataFrame, folder: Path) -> None:
    """Check that an interrupted evaluation of degraded conditions had the same model and utterances.

    Raises:
        FileExistsError: If it had others.
    """
    columns = [name for name in table.columns if name.startswith("score_")]
    same = list(stored.columns) == list(table.columns) and list(stored["path"]) == list(table["path"])
    if not (same and np.allclose(stored[columns].to_numpy(), table[columns].to_numpy(), atol=1e-4)):
        raise FileExistsError(
            f"'{folder}' contains an unfinished evaluation of another model or of other utterances. Pass a new "
            "--output_dir."
        )


def find_overlap(task: ModuleType, outputs: Sequence[str], utterances: Sequence[Utterance]) -> Overlap:
    """Return the outputs that a model and a corpus share.

    Raises:
        ValueError: If there are too few shared outputs.
    """
    names, shared = task.match_outputs(outputs, utterances)
    left_out = Counter(row.emotion for row in utterances if task.target_of(row, shared) is None)
    overlap = Overlap(names, shared, dict(sorted(left_out.items())), [name for name in names if name not in shared])
    if overlap.left_out or overlap.unscored:
        logger.info(
            f"Scored on {shared}. Left out, as the model lacks them: {overlap.left_out}. No answers, as the corpus "
            f"lacks them: {overlap.unscored}."
        )
    return overlap


def list_long(
    classifier: EmotionClassifier, utterances: Sequence[Utterance], durations: Iterable[float]
) -> list[AudioProblem]:
    """Return the utterances that are longer than the context of the model ("cut") or than a window ("windowed").

    Args:
        classifier: Classifier with a context and preprocessing.
        utterances: N utterances.
        durations: N durations in seconds, after trimming.
    """
    longest, problems = classifier.hearing.max_duration, []
    for utterance, duration in zip(utterances, durations, strict=True):
        lasts = f"lasts {duration:.3f} s"
        if duration > longest:
            reason = f"{lasts}, scored in windows of {longest:g} s"
            problems.append(AudioProblem(utterance.path, "windowed", reason))
        elif duration > classifier.context:
            reason = f"{lasts}, cut by the model to its context of {classifier.context:g} s"
            problems.append(AudioProblem(utterance.path, "cut", reason))
    return problems


def is_new_to_model(model: str, utterances: Sequence[Utterance]) -> bool | None:
    """Return whether no speaker was in the training data of a model, else log a warning; None if it is unknown."""
    trained, speakers = find_trained_speakers(model), [(row.corpus, row.speaker) for row in utterances]
    if known := sum(speaker in trained for speaker in speakers):
        logger.warning(
            f"{known} of {len(speakers)} utterances are by speakers of the model's training data (by corpus and name), "
            "so the scores are too high. To score its test speakers, pass --protocol and --fold, or --split, as in its "
            "recipe.yaml."
        )
        return False
    return True if trained and all(name for _, name in speakers) else None


def find_trained_speakers(model: str) -> set[tuple[str, str]]:
    """Return corpus and name of the training and validation speakers of a run; empty if their names are not stored."""
    results, recipe = find_file(model, RESULTS), find_file(model, RECIPE)
    if not (results and recipe):
        return set()
    split = parse_results(read_text(results), results).split
    corpora = corpora_of(parse_recipe_file(recipe))
    names = [name for part in (split.train, split.validation) if part for name in part.speakers]  # type: ignore[union-attr]
    if len(corpora) > 1:
        return {tuple(name.split("/", 1)) for name in names if "/" in name}
    return {(corpora[0], name) for name in names if not name.startswith("speaker ")}


def describe_evaluation(
    options: EvaluationArguments,
    classifier: EmotionClassifier,
    overlap: Overlap,
    scores: np.ndarray,
    problems: Sequence[AudioProblem],
    seconds: float,
) -> EvaluationRecord:
    """Return the description of an evaluation with scores ``(N, C)``: model, preprocessing, outputs and hardware."""
    answer = load_task(classifier.task).answer
    answers = [answer(dict(zip(overlap.names, row, strict=True))) for row in scores] if overlap.unscored else []
    return EvaluationRecord(
        model=Path(options.model).absolute().name if Path(options.model).is_dir() else options.model,
        shared_outputs=overlap.shared,
        left_out_as_the_model_lacks_them=overlap.left_out,
        no_answers_as_the_corpus_lacks_them=overlap.unscored,
        best_answer_not_shared=sum(name in overlap.unscored for name in answers),
        preprocessing={"name": options.preprocessing, **classifier.hearing.describe()},
        backend=classifier.backend,
        dtype=options.dtype,
        seconds=seconds,
        cut_utterances=sum(problem.action == "cut" for problem in problems),
        **describe_machine(),
    )


def describe_scores(results: Results, folder: str) -> str:
    """Return the final message."""
    evaluation = results.evaluation
    assert evaluation is not None
    lines = [describe_results(results)]
    if lacking := evaluation.left_out_as_the_model_lacks_them:
        lines.append(f"Left out, as the model lacks them: {lacking}.")
    if others := evaluation.no_answers_as_the_corpus_lacks_them:
        best = evaluation.best_answer_not_shared
        lines.append(f"Not allowed as answers, as the corpus lacks them: {', '.join(others)} ({best} best scores).")
    if cut := evaluation.cut_utterances:
        lines.append(
            f"{cut} utterances are longer than the model's context and were cut, as in the stock pipeline. With "
            "--preprocessing windows, they are scored in overlapping windows."
        )
    if results.conditions:
        lines += align_columns(tabulate_conditions(results))
    return "\n".join([*lines, f"All scores are in {folder}/{RESULTS}."])
