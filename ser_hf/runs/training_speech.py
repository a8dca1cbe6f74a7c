"""Read and write training_speech.json, the measured training speech of a checkpoint."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs

from ser_hf.cache import write_text
from ser_hf.foreign_files import read_json
from ser_hf.runs.file_names import TRAINING_SPEECH


@dataclass
class EmbeddingRecord:
    """Describe the embeddings of the training speech, the D inputs of the linear head.

    Attributes:
        mean: Mean of the training utterances ``(D,)``.
        deviation: Standard deviation of the training utterances ``(D,)``.
        distances: 50 %, 95 % and 99 % quantile of the distances of validation utterances, see `ser_hf.heads.pooling`.
    """

    mean: list[float]
    deviation: list[float]
    distances: list[float]


@dataclass
class TrainingSpeech:
    """Hold the content of training_speech.json.

    Attributes:
        corpus: Names of the corpora.
        utterances: Number of utterances that were measured.
        properties: {property: [5 %, 50 % and 95 % quantile]}, see `measure_properties`.
        embedding: None if the head is not linear.
    """

    corpus: list[str]
    utterances: int
    properties: dict[str, list[float]]
    embedding: EmbeddingRecord | None = None


def write_training_speech(folder: str | Path, speech: TrainingSpeech) -> None:
    """Write training_speech.json into the folder of a checkpoint."""
    write_text(Path(folder, TRAINING_SPEECH), json.dumps(asdict(speech)))


def read_training_speech(path: str | Path) -> TrainingSpeech:
    """Return the content of a training_speech.json.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        return cattrs.structure(read_json(path), TrainingSpeech)
    except cattrs.BaseValidationError as error:
        reasons = "; ".join(cattrs.transform_error(error))
        raise ValueError(f"'{path}': expected the statistics that finetune writes, found: {reasons}.") from error
