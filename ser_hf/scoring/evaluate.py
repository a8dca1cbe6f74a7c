"""The score of any checkpoint on any corpus, by default that of the stock pipeline.

Shapes: N utterances, C emotions of the model, S emotions that model and corpus share.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas
from tqdm import tqdm

from ser_hf.corpora import Utterance, canonical_emotion
from ser_hf.data import decode_audio, prepare_audio
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.dataset import AudioProblem
from ser_hf.data.hearing import RAW
from ser_hf.data.sampler import evaluation_order
from ser_hf.evaluation import read_predictions, summarize, write_predictions
from ser_hf.evaluation.predictions import COLUMNS
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.description import describe_audio, describe_machine, describe_split
from ser_hf.runs.file_names import FIGURES, PREDICTIONS, RECIPE, RESULTS
from ser_hf.runs.recipe import corpora_of, parse_recipe_file
from ser_hf.runs.results import EvaluationRecord, Results, parse_results, write_results
from ser_hf.runs.speech_data import (
    audio_folders,
    label_utterances,
    load_utterances,
    name_split,
    select_split,
    write_problems,
)
from ser_hf.scoring.evaluation_arguments import EvaluationArguments
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import find_file
from ser_hf.serving.decoding import check_samples
from ser_hf.tasks.categories import draw_scores

logger = logging.getLogger(__name__)


class Emotions(NamedTuple):
    """Which emotions a model and a corpus have in common.

    Attributes:
        names: The C of the model, under the names of the corpus.
        shared: S names, sorted.
        model_lacks: Emotion of the corpus -> its utterances, which are left out.
        corpus_lacks: Emotions of the model, which are no answers here.
    """

    names: list[str]
    shared: list[str]
    model_lacks: dict[str, int]
    corpus_lacks: list[str]


def evaluate(data: DataArguments, options: EvaluationArguments, *, test_part: bool = False) -> Results:
    """Score a checkpoint on a corpus, and write predictions, figures and results into `options.output_dir`.

    Args:
        data: The corpus and its labels, and which part is scored; trimming, windows and augmentation are not used.
        options: The checkpoint, and how it runs.
        test_part: Score the test part of `data.split` only; of a protocol, the test part is always meant.

    Returns:
        The results.

    Raises:
        ValueError: If model and corpus share fewer than two emotions, or an argument is not as expected.
        OSError: If a file is missing, or the output folder is not empty.
    """
    folder = Path(options.output_dir)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"'{folder}' is not empty. Take a new --output_dir: nothing is overwritten.")
    utterances, dropped = label_utterances(data, load_utterances(data))
    tested = "all utterances"
    if data.protocol or test_part:
        utterances, tested = select_split(data, utterances)["test"], f"test part of: {name_split(data)}"
    names = ("device", "dtype", "backend", "preprocessing")
    classifier = EmotionClassifier.from_pretrained(options.model, **{name: getattr(options, name) for name in names})
    emotions = match_emotions(classifier.emotions, utterances)
    utterances = [utterance for utterance in utterances if utterance.emotion in emotions.shared]
    parts, problems = prepare_audio({"test": utterances}, RAW, min_duration=data.min_duration)
    began = time.monotonic()
    scores, durations = score_utterances(classifier, parts["test"], options.batch_size)
    seconds = time.monotonic() - began
    problems = [problem for problem in problems if problem.action != "padded"]  # which only training does
    problems += list_long(classifier, parts["test"], durations)
    split = describe_split(parts, tested, audio_folders(data))
    split.speaker_independent = is_new_to_model(options.model, parts["test"])
    table = tabulate(parts["test"], restrict_scores(scores, emotions), emotions.shared, audio_folders(data))
    folder.mkdir(parents=True, exist_ok=True)
    write_problems(problems, folder)
    write_predictions(table, folder / PREDICTIONS)
    results = Results(
        emotions.shared,
        summarize(read_predictions(folder / PREDICTIONS), emotions.shared),
        split=split,
        audio=describe_audio(parts, problems, dropped),
        evaluation=describe_evaluation(options, classifier, emotions, scores, problems, seconds),
    )
    draw_scores(results.test, folder / FIGURES)
    write_results(folder, results)
    return results


def match_emotions(names: Sequence[str], utterances: Sequence[Utterance]) -> Emotions:
    """Find the emotions of a model, by any usual spelling, among those of utterances.

    Raises:
        ValueError: If fewer than two are shared.
    """
    found = Counter(utterance.emotion for utterance in utterances)
    spelled = [name if name in found else canonical_emotion(name) for name in names]
    shared = sorted(found.keys() & set(spelled))
    if len(shared) < 2:
        raise ValueError(
            f"Expected two emotions at least that model and corpus share, found {shared}: the model has "
            f"{list(names)}, the corpus {sorted(found)}. --label_map old=new renames those of the corpus."
        )
    model_lacks = {emotion: count for emotion, count in sorted(found.items()) if emotion not in shared}
    corpus_lacks = [name for name in spelled if name not in shared]
    if model_lacks or corpus_lacks:
        logger.info(
            f"Scored on {shared}. Left out, as the model lacks them: {model_lacks}. No answers, as the corpus lacks "
            f"them: {corpus_lacks}; the scores of the others are made to sum to 1."
        )
    return Emotions(spelled, shared, model_lacks, corpus_lacks)


def score_utterances(
    classifier: EmotionClassifier, utterances: Sequence[Utterance], batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores ``(N, C)`` of utterances, and the seconds ``(N,)`` of each after trimming."""
    scores, durations = np.empty((len(utterances), len(classifier.emotions))), np.empty(len(utterances))
    order = evaluation_order([utterance.duration for utterance in utterances])
    for first in tqdm(range(0, len(order), batch_size), "Scoring", unit="batch", leave=False):
        batch = order[first : first + batch_size]
        waveforms = [classifier.trim(_decode_utterance(utterances[i])) for i in batch]
        scores[batch] = classifier.score(waveforms, batch_size=batch_size)
        durations[batch] = [len(waveform) / SAMPLING_RATE for waveform in waveforms]
    return scores, durations


def list_long(
    classifier: EmotionClassifier, utterances: Sequence[Utterance], durations: Sequence[float]
) -> list[AudioProblem]:
    """Return the utterances that do not reach the model as one piece: "cut" by its context, or "windowed".

    Args:
        classifier: Its context and preprocessing decide.
        utterances: N of them.
        durations: N, in seconds, after trimming.
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


def restrict_scores(scores: np.ndarray, emotions: Emotions) -> np.ndarray:
    """Return the scores ``(N, S)`` of the shared emotions, which sum to 1 again, from all ``(N, C)``.

    Examples:
        >>> emotions = Emotions(["calm", "happy", "sad"], ["happy", "sad"], {}, ["calm"])
        >>> restrict_scores(np.array([[0.5, 0.25, 0.25]]), emotions).tolist()
        [[0.5, 0.5]]
    """
    columns = np.array([[name == emotion for emotion in emotions.shared] for name in emotions.names], dtype=float)
    kept = scores @ columns
    return kept / kept.sum(axis=1, keepdims=True) if emotions.corpus_lacks else kept


def tabulate(
    utterances: Sequence[Utterance], scores: np.ndarray, emotions: Sequence[str], folders: dict[str, Path]
) -> pandas.DataFrame:
    """Return the table of predictions.

    Args:
        utterances: N of them.
        scores: ``(N, S)``.
        emotions: S names, in the order of the scores.
        folders: What the paths of each corpus are relative to.
    """
    table = pandas.DataFrame([{name: getattr(row, name, None) for name in COLUMNS} for row in utterances])
    table["path"] = [Path(os.path.relpath(row.path, folders[row.corpus])).as_posix() for row in utterances]
    table["split"] = "test"
    table["target"] = [row.emotion for row in utterances]
    table["prediction"] = [emotions[label] for label in scores.argmax(-1)]
    return table.join(pandas.DataFrame(scores, columns=[f"score_{emotion}" for emotion in emotions]))


def is_new_to_model(model: str, utterances: Sequence[Utterance]) -> bool | None:
    """Tell whether a model was trained without these speakers, and warn if not; None where nobody knows."""
    trained, speakers = find_trained_speakers(model), [(row.corpus, row.speaker) for row in utterances]
    if heard := sum(speaker in trained for speaker in speakers):
        logger.warning(
            f"{heard} of {len(speakers)} utterances are by speakers of the model's training, by corpus and name: the "
            "scores are too high. --protocol and --fold, or --split, as in its recipe.yaml, take its test speakers."
        )
        return False
    return True if trained and all(name for _, name in speakers) else None


def find_trained_speakers(model: str) -> set[tuple[str, str]]:
    """Return corpus and name of those whom a run was trained on; none where it names nobody, as when published."""
    results, recipe = find_file(model, RESULTS), find_file(model, RECIPE)
    if not (results and recipe):
        return set()
    split = parse_results(Path(results).read_text(encoding="utf-8"), results).split
    corpora = corpora_of(parse_recipe_file(recipe))
    names = [name for part in (split.train, split.validation) if part for name in part.speakers]
    if len(corpora) > 1:
        return {tuple(name.split("/", 1)) for name in names if "/" in name}
    return {(corpora[0], name) for name in names if not name.startswith("speaker ")}


def describe_evaluation(
    options: EvaluationArguments,
    classifier: EmotionClassifier,
    emotions: Emotions,
    scores: np.ndarray,
    problems: Sequence[AudioProblem],
    seconds: float,
) -> EvaluationRecord:
    """Return the model, its preprocessing, the shared emotions, and what computed the scores ``(N, C)``."""
    best = np.array(emotions.names)[scores.argmax(-1)]
    return EvaluationRecord(
        model=Path(options.model).absolute().name if Path(options.model).is_dir() else options.model,
        shared_emotions=emotions.shared,
        left_out_as_the_model_lacks_them=emotions.model_lacks,
        no_answers_as_the_corpus_lacks_them=emotions.corpus_lacks,
        best_answer_not_shared=int((~np.isin(best, emotions.shared)).sum()),
        preprocessing={"name": options.preprocessing, **classifier.hearing.describe()},
        backend=classifier.backend,
        dtype=options.dtype,
        seconds=seconds,
        cut_utterances=sum(problem.action == "cut" for problem in problems),
        **describe_machine(),
    )


def describe_scores(results: Results, folder: str) -> str:
    """Return what to print at the end."""
    test, evaluation = results.test, results.evaluation
    low, high = test.intervals["ua"]
    tested = f"{test.utterances} utterances of {test.speakers or 'unknown'} speakers"
    lines = [f"UA {test.ua:.3f}, 95 % interval {low:.3f} to {high:.3f} ({tested}), {', '.join(results.emotions)}."]
    if lacking := evaluation.left_out_as_the_model_lacks_them:
        lines.append(f"Left out, as the model lacks them: {lacking}.")
    if others := evaluation.no_answers_as_the_corpus_lacks_them:
        best = evaluation.best_answer_not_shared
        lines.append(f"Not allowed as answers, as the corpus lacks them: {', '.join(others)} ({best} best scores).")
    if cut := evaluation.cut_utterances:
        lines.append(
            f"{cut} utterances are longer than the model's context and were cut, as the stock pipeline does: "
            "--preprocessing windows scores them whole."
        )
    return "\n".join([*lines, f"All: {folder}/{RESULTS}"])


def _decode_utterance(utterance: Utterance) -> np.ndarray:
    waveform = decode_audio(utterance.path, start=utterance.start, end=utterance.end)
    try:
        check_samples(waveform)
    except ValueError as error:
        raise ValueError(f"'{utterance.path}': {error}") from error
    return waveform
