"""Read and write `pretraining.json`, the record of a continued pretraining, which marks a finished run."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cattrs
from datasets import Dataset

from ser_hf.cache import write_text
from ser_hf.foreign_files import read_json
from ser_hf.runs.file_names import PRETRAINING
from ser_hf.runs.result_records import TrainingRecord


@dataclass
class PretrainingRecord:
    """Describe a continued pretraining.

    Attributes:
        training: Architecture, duration, epochs, hardware, date and versions.
        curve: For each epoch: `epoch`, `loss`, `perplexity`, `validation_loss` and `validation_perplexity`. The
            perplexity is the effective number of codes per group that a mini-batch uses.
        codes_per_group: Number of codes in each group of the codebook.
        speakers: Corpus and name of all training and validation speakers.
        utterances: Number of utterances by part.
        hours: Duration of the training audio.
    """

    training: TrainingRecord
    curve: list[dict[str, float]]
    codes_per_group: int
    speakers: list[tuple[str, str | None]]
    utterances: dict[str, int]
    hours: float


def list_epochs(log_history: Iterable[dict]) -> list[dict[str, float]]:
    """Return one row for each epoch in the log of a `Pretrainer`, see `PretrainingRecord.curve`."""
    epochs: dict[float, dict[str, float]] = {}
    for log in log_history:
        row = epochs.setdefault(log["epoch"], {"epoch": log["epoch"]})
        for name in ("loss", "perplexity"):
            row |= {name: log[name]} if name in log else {}
            row |= {f"validation_{name}": log[f"eval_{name}"]} if f"eval_{name}" in log else {}
    return list(epochs.values())


def write_pretraining(folder: str | Path, record: PretrainingRecord) -> None:
    """Write pretraining.json atomically, after all other files."""
    write_text(Path(folder, PRETRAINING), json.dumps(asdict(record), indent=1, ensure_ascii=False))


def read_pretraining(folder: str | Path) -> PretrainingRecord | None:
    """Return the record of a finished pretraining; None if pretraining.json does not exist.

    Raises:
        ValueError: If pretraining.json is damaged.
    """
    path = Path(folder, PRETRAINING)
    if not path.is_file():
        return None
    try:
        return cattrs.structure(read_json(path), PretrainingRecord)
    except (cattrs.BaseValidationError, ValueError) as error:
        raise ValueError(f"'{path}' is damaged. Delete it, and run the pretraining again.") from error


def check_test_speakers(name: str | None, test: Dataset) -> None:
    """Check that an encoder was not pretrained on the speakers on which it will be tested.

    Args:
        name: Folder or Hub id of the encoder; None for random weights. Only a folder of `pretrain` has a record.
        test: Test rows.

    Raises:
        ValueError: If a test speaker was a training or validation speaker of the pretraining.
    """
    record = read_pretraining(name) if name is not None else None
    if record is None:
        return
    tested = {(corpus, speaker) for corpus, speaker in zip(test["corpus"], test["speaker"], strict=True) if speaker}
    if shared := sorted(tested & set(record.speakers)):
        raise ValueError(
            f"model_name_or_path: '{name}' was pretrained on {len(shared)} of the {len(tested)} test speakers (first: "
            f"{'/'.join(map(str, shared[0]))}). Pretrain with the protocol, fold and split options of this recipe."
        )
