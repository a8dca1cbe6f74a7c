"""Load, label and split the utterances of a recipe."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict

from ser_hf.cache import cache_folder, explain_full_disk, whole_file, write_text
from ser_hf.corpora import Utterance, load_corpus, map_labels
from ser_hf.corpora.files import list_files, pluralize
from ser_hf.corpora.labels import SYNONYMS
from ser_hf.corpora.ratings import RATING_SCALES, scale_ratings
from ser_hf.corpora.spelling import as_utf8, spell
from ser_hf.data import build_dataset, check_split, prepare_audio
from ser_hf.data.audit import (
    Finding,
    describe_findings,
    find_identical_audio,
    find_overlapping_audio,
    find_shared_speakers,
    findings_as_json,
)
from ser_hf.data.dataset import Label
from ser_hf.data.preparation import AudioProblem, check_prepared
from ser_hf.data.splits import Split, split_as_given, split_by_protocol, split_by_speaker, split_randomly
from ser_hf.escaping import cells
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.data_records import AudioRecord, LeakRecord, SplitRecord
from ser_hf.runs.description import describe_audio, describe_audit, describe_split
from ser_hf.runs.file_names import AUDIT, PROBLEMS
from ser_hf.tasks import load_task, votes

LISTED = 3  # leaks of a kind in the log
logger = logging.getLogger(__name__)


def name_roots(data: DataArguments) -> dict[str, str]:
    """Return the path of each corpus by its name.

    Corpora of one kind, such as two of `folder`, are named as their folders, or `folder` and `folder_2` if these are
    named alike.
    """
    roots = [str(root) for root in data.data_root or [str(cache_folder() / "corpora" / "synthetic")]]
    names = [
        Path(root).resolve().name if data.corpus.count(corpus) > 1 else corpus
        for corpus, root in zip(data.corpus, roots, strict=True)
    ]
    if len(set(names)) < len(names):
        earlier = [data.corpus[:i].count(corpus) for i, corpus in enumerate(data.corpus)]
        names = [corpus + f"_{i + 1}" * (i > 0) for corpus, i in zip(data.corpus, earlier, strict=True)]
    return dict(zip(names, roots, strict=True))


def load_utterances(data: DataArguments) -> Iterator[Utterance]:
    """Yield the utterances of all corpora of a recipe with their original labels; audio is not decoded.

    Raises:
        ValueError: If a corpus is unknown, or a file or column is not as expected.
        FileNotFoundError: If a folder is missing or does not contain the corpus.
    """
    columns = dict(item.split("=", 1) for item in data.columns)
    options: dict[str, dict[str, Any]] = {
        "folder": {
            "layout": data.layout,
            "speaker_pattern": data.speaker_pattern,
            "allow_missing": data.allow_missing,
        },
        "table": {
            "columns": columns,
            "audio_root": data.audio_root,
            "allow_outside": data.allow_outside,
            "speaker_pattern": data.speaker_pattern,
        },
        "hub": {"columns": columns, "subset": data.subset, "speaker_pattern": data.speaker_pattern},
    }
    for corpus, (name, root) in zip(data.corpus, name_roots(data).items(), strict=True):
        for utterance in load_corpus(corpus, root, **options.get(corpus, {})):
            yield utterance if name == corpus else replace(utterance, corpus=name)


def label_utterances(data: DataArguments, utterances: Iterable[Utterance]) -> tuple[list[Utterance], Counter]:
    """Return the utterances with the labels of a recipe, and the numbers of dropped utterances by emotion and reason.

    Utterances without a target for the task of the recipe are dropped too.

    Raises:
        ValueError: For the reasons of `map_labels`.
    """
    utterances, dropped = map_labels(
        utterances,
        label_set=data.label_set,
        label_map=dict(item.split("=", 1) for item in data.label_map),
        min_utterances=data.min_utterances_per_emotion,
        rare_emotion=data.rare_emotion,
        target=data.target,
        keep_no_agreement=data.no_consensus == "keep" if data.task == "votes" else data.task == "dimensions",
    )
    task = load_task(data.task)
    if "dimensions" in (data.task, data.auxiliary_task):
        utterances = list(scale_ratings(utterances, name_scales(data), data.dimensions))
    outputs = task.list_outputs(utterances)
    known = [task.target_of(utterance, outputs) is not None for utterance in utterances]
    dropped.update(f"{row.emotion} (no target)" for row in compress(utterances, map(not_, known)))
    utterances = list(compress(utterances, known))
    if data.task == "votes" and any(counts := votes.count_votes(utterances, outputs)):
        logger.info(f"Votes that are not used: {counts[0]}; utterances without votes, as one vote each: {counts[1]}.")
    if data.task == "dimensions" and (unrated := [name for name in data.dimensions if name not in outputs]):
        logger.info(f"Not predicted, as no utterance is rated on them: {', '.join(unrated)}.")
    if dropped:
        logger.info(f"Left out because of their labels: {dict(sorted(dropped.items()))}.")
    if data.target == "emotion":
        names = Counter(utterance.emotion for utterance in utterances)
        if unusual := {name: count for name, count in sorted(names.items()) if name not in SYNONYMS}:
            logger.info(f"Emotion names that only this corpus uses: {unusual}. --label_map renames or drops them.")
    return utterances, dropped


def name_scales(data: DataArguments) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest rating of each corpus of a recipe, by its name, if the scale is known."""
    scales = {}
    for corpus, name in zip(data.corpus, name_roots(data), strict=True):
        if scale := RATING_SCALES.get(corpus) or tuple(data.rating_scale):
            scales[name] = scale
    return scales  # type: ignore[return-value]


def common_scale(data: DataArguments) -> tuple[float, float] | None:
    """Return the rating scale of all corpora of a recipe; None if the task has no ratings, (0, 1) if scales differ."""
    if data.task != "dimensions":
        return None
    scales = set(name_scales(data).values())
    return scales.pop() if len(scales) == 1 else (0, 1)


def select_split(data: DataArguments, utterances: list[Utterance]) -> Split:
    """Return the utterances of "train", "validation" and "test".

    Raises:
        ValueError: If the split is impossible, or a speaker would be in two parts.
    """
    options: dict[str, Any] = {"validation_share": data.validation_share, "seed": data.split_seed}
    if data.protocol is not None:
        return split_by_protocol(utterances, data.protocol, data.fold, folds=data.folds, **options)
    if data.split == "given":
        return split_as_given(utterances, **options)
    if data.split == "random":
        return split_randomly(utterances, test_share=data.test_share, **options)
    return split_by_speaker(utterances, test_share=data.test_share, **options)


def name_split(data: DataArguments) -> str:
    """Return the name of the split for results and card."""
    if data.protocol is not None:
        return f"{data.protocol}, fold {data.fold}, validation speakers by seed {data.split_seed}"
    if data.split == "given":
        return "the partitions given with the corpus"
    return f"{data.split}, seed {data.split_seed}"


def audio_folders(data: DataArguments) -> dict[str, Path]:
    """Return the folder of each corpus, to which its paths are relative in the results."""
    folders = {}
    for corpus, (name, root) in zip(data.corpus, name_roots(data).items(), strict=True):
        folder = Path(root).expanduser()
        if corpus == "hub":
            folder = cache_folder() / "hub"
        elif corpus == "table" and data.audio_root:
            folder = Path(data.audio_root).expanduser()
        elif corpus == "table" and folder.is_file():
            folder = folder.parent
        folders[name] = folder
    return folders


class Speech(NamedTuple):
    """Hold the dataset of a recipe and its description."""

    dataset: DatasetDict  # "train", "validation", "test"; "refit" if requested: training rows of train and validation
    outputs: list[str]  # names of the outputs of the model
    split: SplitRecord
    audio: AudioRecord
    audit: LeakRecord
    problems: list[AudioProblem]
    findings: list[Finding]


def load_speech(
    data: DataArguments,
    *,
    raw: Collection[str] = (),
    refit: bool = False,
    output_dir: str | os.PathLike | None = None,
) -> Speech:
    """Load, label, split and decode the corpora of a recipe; leaks between the parts are logged.

    Args:
        data: Corpora, labels and split.
        raw: Parts that are neither trimmed nor split into windows, as in the stock pipeline.
        refit: Whether to add a part "refit" with the utterances of train and validation as training rows.
        output_dir: Folder for the list of problems if the split fails; None writes no list.

    Raises:
        ValueError: If a corpus, its labels or its split is not as expected, too many utterances are unusable, or a part
            or an emotion has no readable audio.
        FileNotFoundError: If a folder is missing or does not contain the corpus.
    """
    utterances, dropped = label_utterances(data, load_utterances(data))
    with keep_problems(data, list_bad_rows(utterances), output_dir):
        split = select_split(data, utterances)
    planned = split
    split, problems = prepare_audio(split, data.hearing, min_duration=data.min_duration, raw=raw)
    with keep_problems(data, problems, output_dir):
        check_prepared(planned, split, problems, allow_missing=data.allow_missing)
        check_split(split, shared_speakers=data.protocol == "random_kfold" or data.split != "speaker")
    if problems:
        counts = Counter(problem.action for problem in problems)
        actions = ", ".join(f"{number} {action}" for action, number in counts.items())
        first = f"first: {problems[0].path}: {problems[0].reason}"
        logger.info(f"Of {pluralize(len(utterances), 'utterance')}: {actions} ({first}).")
    findings = find_shared_speakers(split) + find_identical_audio(split) + find_overlapping_audio(split)
    folders = audio_folders(data)
    if leaks := [finding for finding in findings if finding.severity == "leak"]:
        listed = describe_findings(leaks, common_folder(folders), limit=LISTED)
        logger.warning(f"Leaks between the parts of the split:\n{listed}")
    task = load_task(data.task)
    outputs = task.list_outputs(split["train"])
    label = Label(task.target_feature(outputs), lambda utterance: task.target_of(utterance, outputs))
    dataset = build_dataset(split, folders, data.hearing, raw=raw, label=label)
    if refit:
        pooled = {"train": planned["train"] + planned["validation"]}
        pooled, _ = prepare_audio(pooled, data.hearing, min_duration=data.min_duration)
        dataset["refit"] = build_dataset(pooled, folders, data.hearing, label=label)["train"]
    return Speech(
        dataset,
        outputs,
        describe_split(split, name_split(data), folders, planned=planned),
        describe_audio(split, problems, dropped, *(votes.count_votes(utterances, outputs) if task is votes else ())),
        describe_audit(findings),
        problems,
        findings,
    )


def list_bad_rows(utterances: Iterable[Utterance]) -> list[AudioProblem]:
    """Return the problems that the reader of the corpus found, before any audio is read."""
    return [AudioProblem(row.path, "skipped", row.problem) for row in utterances if row.problem]


@contextmanager
def keep_problems(
    data: DataArguments, problems: Sequence[AudioProblem], output_dir: str | os.PathLike | None
) -> Iterator[None]:
    """Write the problems if the block fails, and add to its message where they are and which files were not read.

    Raises:
        ValueError: If the block raises it.
    """
    try:
        yield
    except ValueError as error:
        causes = list(_describe_unread(data))
        if problems and output_dir is not None:
            with explain_full_disk(output_dir):
                Path(output_dir).mkdir(parents=True, exist_ok=True)
                write_problems(problems, output_dir)
            causes.append(f"Problems with the audio: {Path(output_dir, PROBLEMS)}.")
        raise ValueError(" ".join([str(error), *causes])) from error


def _describe_unread(data: DataArguments) -> Iterator[str]:
    """Yield a text for each corpus folder that contains files which may be audio but were not read."""
    for corpus, root in zip(data.corpus, audio_folders(data).values(), strict=True):
        if corpus not in ("table", "hub") and not (listing := list_files(root)).is_harmless:
            yield listing.describe(root)


def write_problems(problems: Iterable[AudioProblem], folder: str | os.PathLike) -> None:
    """Write audio_problems.csv into the output folder; it contains file names and is never published."""
    with whole_file(Path(folder, PROBLEMS)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "action", "reason"))
        rows.writerows(cells((spell(row.path), row.action, as_utf8(row.reason))) for row in problems)


def write_findings(data: DataArguments, findings: list[Finding], folder: str | os.PathLike) -> None:
    """Write audit.json into the output folder; it contains file names and is never published."""
    write_text(Path(folder, AUDIT), findings_as_json(findings, common_folder(audio_folders(data))))


def common_folder(folders: dict[str, Path]) -> str:
    """Return the common parent folder of all corpora; paths in findings are relative to it."""
    return os.path.commonpath([os.path.abspath(folder) for folder in folders.values()])
