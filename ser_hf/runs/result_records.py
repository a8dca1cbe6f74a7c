"""Define the results of a run, the content of `all_results.json`, as dataclasses."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from ser_hf.evaluation.calibration import CalibrationRecord
from ser_hf.evaluation.paired import Difference
from ser_hf.runs.data_records import AudioRecord, LeakRecord, SplitRecord

# Schema 1 (not stored in the file) lacks some fields, which become None; schema 2 has one task. Both can be read.
SCHEMA = 3


class TaskScores(Protocol):
    """Describe the attributes that the scores of every task have, in addition to its metrics.

    Attributes:
        utterances: Number of utterances.
        speakers: Number of known speakers.
        intervals: {metric: [low, high]}, 95 % intervals.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        warning: Sentence that readers of the intervals must know; None if there is none.
        per_speaker: {speaker: scores}; no other attribute contains names of speakers.
    """

    utterances: int
    speakers: int
    intervals: dict[str, list[float]]
    interval_unit: str
    warning: str | None
    per_speaker: dict[str, dict]
    __dataclass_fields__: ClassVar[dict[str, Any]]  # marks a dataclass


@dataclass
class MachineRecord:
    """Describe the computation.

    Attributes:
        hardware: Processor or GPUs.
        date: ISO 8601.
        versions: Versions of ser_hf, Python and the packages that ser_hf requires.
        commit: Git commit of ser_hf, with "-dirty" if files were changed; None if unknown.
    """

    hardware: str
    date: str
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None


@dataclass
class TrainingRecord(MachineRecord):
    """Describe a training; fields about neural networks are None for heads on frozen features.

    Attributes:
        seconds: Duration of the last launch, including the initialisation of the head.
        architecture: Class of the model.
        parameters: Number of parameters.
        epochs: Requested number of epochs.
        epochs_run: Number of epochs run.
        best_epoch: Epoch with the best validation score, whose weights are kept.
        refit: Whether the weights are from a second training that includes the validation speakers.
        steps: Number of optimizer steps.
        resumed: Whether the last launch resumed from a checkpoint; `seconds` is then not the whole duration.
        processes: Number of processes.
        base_commit: Commit of the pretrained encoder on the Hub; None if it was a folder.
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
    base_commit: str | None = None


@dataclass
class EvaluationRecord(MachineRecord):
    """Describe the evaluation of a checkpoint on a corpus.

    Attributes:
        model: Id on the Hub, or name of the folder.
        shared_outputs: Outputs of the model that are also in the corpus; only these are scored.
        left_out_as_the_model_lacks_them: {emotion of the corpus: number of its utterances}, which are not scored.
        no_answers_as_the_corpus_lacks_them: Outputs of the model that are not in the corpus; their scores are removed.
        best_answer_not_shared: Number of utterances for which such an output has the best score.
        preprocessing: Name of the preprocessing and the fields of `Hearing`.
        backend: "torch", "onnx" or "probe".
        dtype: Requested data type.
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
    """Hold the context of a model in seconds (None: unlimited), and the number of longer utterances in each part."""

    seconds: float | None
    longer: dict[str, int]


@dataclass
class AgreementRecord:
    """Compare the stored test scores with those of the stock pipeline.

    Attributes:
        test: Number of test utterances.
        compared: Number of utterances compared.
        agree: Number of utterances with the stored scores.
        largest_difference: Largest difference of a score; None if unknown.
        tolerance: Largest difference that counts as agreement.
        error: Reason why the pipeline failed; None if it did not fail.
        files: SHA-256 of the compared files, by file name.
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
    """Hold the test scores of ser_hf with the recommended preprocessing, and the difference to the stock pipeline."""

    preprocessing: dict
    test: TaskScores
    difference: dict[str, Difference]


@dataclass
class ConditionRecord:
    """Hold the test scores under a degraded condition, such as noise.

    Attributes:
        scores: Scores by metric.
        differences: Differences to the scores without degradation, by metric.
        ece: Expected calibration error; None for ratings.
        uncertain: Share of the predictions below the threshold; None without a threshold.
        error: Why the condition was not computed; None if it was.
    """

    scores: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)
    ece: float | None = None
    uncertain: float | None = None
    error: str | None = None


@dataclass
class CandidateRecord:
    """Describe a head in a comparison.

    Attributes:
        features: Kind of features.
        head: Name of the head.
        parameters: Hyperparameters by name.
        inner_score: First metric of the task in cross-validation over the training speakers.
        seconds: Computing time.
        chosen: Whether it has the best `inner_score`.
        scores: Test score in each metric of the task.
        intervals: {metric: [low, high]}, 95 % intervals.
    """

    features: str
    head: str
    parameters: dict
    inner_score: float
    seconds: float
    chosen: bool
    scores: dict[str, float]
    intervals: dict[str, list[float]]


@dataclass
class FoldRecord:
    """Describe a fold of a cross-validation: test scores by metric, test speakers, training time in seconds."""

    scores: dict[str, float]
    speakers: list[str]
    utterances: int
    speaker_independent: bool | None
    seconds: float
    audio: AudioRecord | None = None


@dataclass
class Results:
    """Hold the content of all_results.json; attributes that a kind of run does not have are None.

    Attributes:
        outputs: Names of the outputs of the model, in the order of the model.
        test: Scores of the test utterances; in a cross-validation, of all folds pooled.
        task: Name of the task, a key of `TASKS`; `test` and `validation` have the type `Scores` of its module.
        schema: Version of the file format.
        validation: Scores of the validation utterances.
        split: Description of the split.
        audio: Number of utterances with unusual audio.
        audit: Number of leaks between the parts.
        training: Description of the training.
        calibration: Temperature and threshold.
        recommended: Scores with the recommended preprocessing.
        context: Context of the model.
        agreement: Comparison with the stock pipeline.
        candidates: Compared heads of a probe.
        evaluation: Description of the evaluation of a checkpoint on a corpus.
        protocol: Protocol of a cross-validation.
        conditions: Test scores under degraded conditions, by condition.
        rating_scale: Lowest and highest rating of the corpora, for the task "dimensions".
        recipe: Settings of all folds of a cross-validation.
        mean: Mean of each metric over the folds.
        sd: Standard deviation of each metric over the folds (n - 1).
        folds: Description of each fold.
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
    conditions: dict[str, ConditionRecord] | None = None
    rating_scale: tuple[float, float] | None = None
    recipe: dict | None = None
    mean: dict[str, float] | None = None
    sd: dict[str, float] | None = None
    folds: list[FoldRecord] | None = None
