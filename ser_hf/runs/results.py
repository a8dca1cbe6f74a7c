"""`all_results.json`: what a run found, as dataclasses; read and written here only."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

import cattrs

from ser_hf.cache import write_text
from ser_hf.evaluation.calibration import CalibrationRecord
from ser_hf.runs.file_names import RESULTS
from ser_hf.tasks import load_task

# 1: versions that stored no schema; what they lack is None. 2: categories only. Both are read.
SCHEMA = 3


class TaskScores(Protocol):
    """Describe what the scores of every task have, beside its metrics.

    Attributes:
        utterances: Number of utterances.
        speakers: Number of known speakers.
        intervals: {metric: [low, high]}, 95 % intervals.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        warning: What a reader of the intervals has to know, a sentence; None if nothing.
        per_speaker: {speaker: scores}; names of speakers are nowhere else.
    """

    utterances: int
    speakers: int
    intervals: dict[str, list[float]]
    interval_unit: str
    warning: str | None
    per_speaker: dict[str, dict]
    __dataclass_fields__: ClassVar[dict[str, Any]]  # says that it is a dataclass


@dataclass
class Part:
    """Describe the training, validation or test part of a split."""

    speakers: list[str]
    utterances: int
    emotions: dict[str, int]


@dataclass
class SplitRecord:
    """Describe a split.

    Attributes:
        name: The split in words.
        speaker_independent: Whether no speaker is in two parts; None if unknown.
        test: The test part.
        train: The training part; None where a checkpoint is evaluated on a corpus.
        validation: The validation part; None likewise.
        digest: SHA-256 over corpus, path, times and part of every utterance.
    """

    name: str
    speaker_independent: bool | None
    test: Part
    train: Part | None = None
    validation: Part | None = None
    digest: str | None = None


@dataclass
class AudioRecord:
    """Count utterances with unusual audio, by what was done about them; `hours` is the duration of all others."""

    hours: float = 0.0
    skipped: int = 0
    too_short: int = 0
    windowed: int = 0
    padded: int = 0
    dropped_emotions: dict[str, int] = field(default_factory=dict)


@dataclass
class LeakRecord:
    """Count what was found in two parts of the split; None was not looked for."""

    shared_speaker: int
    identical_audio: int
    overlapping_audio: int | None = None


@dataclass
class MachineRecord:
    """Describe the computation: hardware, date (ISO 8601) and versions of the libraries."""

    hardware: str
    date: str
    versions: dict[str, str] = field(default_factory=dict)


@dataclass
class TrainingRecord(MachineRecord):
    """Describe a training; the fields of a neural network are None for heads on frozen features.

    Attributes:
        seconds: Duration of the last launch, with the start of the head.
        architecture: Class of the model.
        parameters: Their number.
        epochs: As asked for.
        epochs_run: As done.
        best_epoch: The epoch with the best validation score, whose weights are kept.
        refit: Whether the weights are those of a second training, with the validation speakers.
        steps: Optimizer steps.
        resumed: Whether the last launch resumed from a checkpoint, so that `seconds` is not the whole duration.
        processes: Number of processes.
    """

    seconds: float = 0.0
    architecture: str | None = None
    parameters: int | None = None
    epochs: float | None = None
    epochs_run: float | None = None
    best_epoch: float | None = None
    refit: bool = False
    steps: int | None = None
    resumed: bool = False
    processes: int = 1


@dataclass
class EvaluationRecord(MachineRecord):
    """Describe the evaluation of a checkpoint on a corpus.

    Attributes:
        model: Hub id, or name of the folder.
        shared_outputs: Outputs that the corpus can score, the only ones scored.
        left_out_as_the_model_lacks_them: Emotion of the corpus -> number of its utterances, which are not scored.
        no_answers_as_the_corpus_lacks_them: Outputs of the model whose scores are left out.
        best_answer_not_shared: Number of utterances whose answer is such an output.
        preprocessing: Name of the preprocessing and the fields of `Hearing`.
        backend: "torch", "onnx" or "probe".
        dtype: As asked for.
        seconds: Duration of the scoring.
        cut_utterances: Number of utterances that are longer than the context of the model and were cut.
    """

    model: str = ""
    shared_outputs: list[str] = field(default_factory=list)
    left_out_as_the_model_lacks_them: dict[str, int] = field(default_factory=dict)
    no_answers_as_the_corpus_lacks_them: list[str] = field(default_factory=list)
    best_answer_not_shared: int = 0
    preprocessing: dict = field(default_factory=dict)
    backend: str = ""
    dtype: str = ""
    seconds: float = 0.0
    cut_utterances: int = 0


@dataclass
class ContextRecord:
    """Hold the seconds of audio that a model takes, None for any, and how many utterances of each part are longer."""

    seconds: float | None
    longer: dict[str, int]


@dataclass
class AgreementRecord:
    """Compare the stored test scores with those of the stock pipeline.

    Attributes:
        test: Number of test utterances.
        compared: Number of utterances compared.
        agree: Number of utterances with the stored scores.
        largest_difference: Of a score; None if unknown.
        tolerance: Largest difference that counts as agreement.
        error: Why the pipeline failed; None if it did not.
        files: SHA-256 of what was compared, by file name.
    """

    test: int
    compared: int
    agree: int
    largest_difference: float | None
    tolerance: float
    error: str | None = None
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class RecommendedRecord:
    """Hold the test scores by ser_hf with the recommended preprocessing, paired with those of the stock pipeline."""

    preprocessing: dict
    test: TaskScores
    difference: dict[str, dict]


@dataclass
class CandidateRecord:
    """Describe a head of a comparison; `inner_ua` is the UA of the cross-validation over the training speakers."""

    features: str
    head: str
    parameters: dict
    inner_ua: float
    seconds: float
    chosen: bool
    ua: float
    wa: float
    macro_f1: float
    intervals: dict[str, list[float]]


@dataclass
class FoldRecord:
    """Describe one fold of a cross-validation: test scores by metric, test speakers, training time in seconds."""

    scores: dict[str, float]
    speakers: list[str]
    utterances: int
    speaker_independent: bool | None
    seconds: float
    audio: AudioRecord | None = None


@dataclass
class Results:
    """Hold what all_results.json of a finished run holds; a part that a kind of run lacks is None.

    Attributes:
        outputs: Names of the model's outputs, in their order.
        test: Scores of the test utterances; of all folds pooled, in a cross-validation.
        task: What is recognised, a key of `TASKS`; `test` and `validation` are its `Scores`.
        schema: Version of this layout.
        validation: Scores of the validation utterances.
        split: Who is in which part.
        audio: Unusual audio.
        audit: Leaks between the parts.
        training: How it was trained.
        calibration: Temperature and threshold.
        recommended: Scores with the recommended preprocessing.
        context: Audio that the model takes.
        agreement: Comparison with the stock pipeline.
        candidates: Heads of a comparison.
        evaluation: The evaluation of a checkpoint on a corpus.
        protocol: Of a cross-validation, as the rest.
        recipe: Settings that the folds share.
        mean: Mean of each metric over the folds.
        sd: Standard deviation of each metric over the folds (n - 1).
        folds: Each fold.
    """

    outputs: list[str]
    test: TaskScores
    task: str = "categories"
    schema: int = SCHEMA
    validation: TaskScores | None = None
    split: SplitRecord | None = None
    audio: AudioRecord | None = None
    audit: LeakRecord | None = None
    training: TrainingRecord | None = None
    calibration: CalibrationRecord | None = None
    recommended: RecommendedRecord | None = None
    context: ContextRecord | None = None
    agreement: AgreementRecord | None = None
    candidates: list[CandidateRecord] | None = None
    evaluation: EvaluationRecord | None = None
    protocol: str | None = None
    recipe: dict | None = None
    mean: dict[str, float] | None = None
    sd: dict[str, float] | None = None
    folds: list[FoldRecord] | None = None


def write_results(folder: str | Path, results: Results) -> None:
    """Write all_results.json, in one step and after all other files: where it exists, the run is finished."""
    write_text(Path(folder, RESULTS), print_results(results))


def print_results(results: Results) -> str:
    """Return what all_results.json holds; parts that are None are left out."""
    present = {name: value for name, value in asdict(results).items() if value is not None}
    return json.dumps(present, indent=1, ensure_ascii=False)


def read_results(folder: str | Path) -> Results | None:
    """Return the results of a finished run, or None where there is none.

    Raises:
        ValueError: If all_results.json is damaged, or of a newer version than this one.
    """
    path = Path(folder, RESULTS)
    return parse_results(path.read_text(encoding="utf-8"), str(path)) if path.exists() else None


def parse_results(text: str, name: str = RESULTS) -> Results:
    """Return the results that a text in JSON holds.

    Args:
        text: What all_results.json holds.
        name: Its path, for errors.

    Raises:
        ValueError: If it is damaged, or of a newer version than this one.
    """
    try:
        content = {"schema": 1, "task": "categories"} | json.loads(text)
        if content["schema"] > SCHEMA:
            raise ValueError(f"its schema is {content['schema']}; install a newer ser_hf")
        task = load_task(content["task"])
        converter = cattrs.Converter()
        converter.register_structure_hook_func(
            lambda kind: kind is TaskScores, lambda value, _: cattrs.structure(value, task.Scores)
        )
        return converter.structure(_upgrade(content, task), Results)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        reason = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else error
        raise ValueError(
            f"'{name}': expected the results of a run of schema {SCHEMA} or older, found: {reason}."
        ) from error


def _upgrade(content: dict, task: ModuleType) -> dict:
    """Return the content of an older schema in the newest one."""
    if content["schema"] == SCHEMA:
        return content
    content["schema"] = SCHEMA
    evaluation = content.get("evaluation")
    for part, old, new in ((content, "emotions", "outputs"), (evaluation, "shared_emotions", "shared_outputs")):
        if part and old in part:
            part[new] = part.pop(old)
    if not content.get("calibration"):  # schema 1 wrote {} for a model that is not calibrated
        content.pop("calibration", None)
    for fold in content.get("folds") or []:
        fold["scores"] = {name: fold.pop(name, None) for name in task.METRICS}
    return content
