"""Turn shards into parts, in one process with one model."""

import json
import logging
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from ser_hf.archives.crashes import find_crashing
from ser_hf.archives.job import MANIFEST, Job, read_job
from ser_hf.archives.manifest import Manifest
from ser_hf.archives.shard_rows import predict_shard, write_part
from ser_hf.archives.store import Store
from ser_hf.cache import explain_full_disk
from ser_hf.data.silero import check_silero
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.choices import BACKENDS
from ser_hf.serving.predict import identify_model
from ser_hf.serving.prediction_table import Row

# Sums depend on the order of their terms, and this on the number of threads, so that another number gives other parts.
THREADS = 1

logger = logging.getLogger(__name__)


class ShardReport(NamedTuple):
    """Hold what a worker did with a shard.

    Attributes:
        shard: Number of the shard.
        files: Number of files; 0 if another process has written the part in the meantime.
        errors: Number of files with an error.
        seconds: Duration of the audio, up to the end of the last row of each file.
        elapsed: Time that the worker took, in seconds.

    Examples:
        >>> ShardReport(shard=3, files=250, errors=1, seconds=3_600.0, elapsed=9.5).files
        250
    """

    shard: int
    files: int
    errors: int
    seconds: float
    elapsed: float


class ShardWorker:
    """Hold the model of a job, and run shards with it."""

    def __init__(self, folder: str, *, device: str | None = None, number: int = 0, logs: str | None = None):
        """Load the model of a job.

        Args:
            folder: Folder of the job: path or URL.
            device: Device to run on; None for the GPU if there is one, else the CPU.
            number: Number of the process on this machine, which chooses its GPU.
            logs: Folder for the log of this process; None for no log.

        Raises:
            ValueError: If the model has changed since the job was planned.
        """
        if logs:
            _log_to(Path(logs))
        torch.set_num_threads(THREADS)
        if device is None and torch.cuda.is_available():
            torch.cuda.set_device(number % torch.cuda.device_count())
        self.store = Store(folder)
        self.job = read_job(self.store)
        self.source = Store(self.job.source)
        self.classifier = load_model(self.job, device)
        self.manifest = Manifest(self.store.fs.open(self.store.path(MANIFEST), "rb"))

    def run(self, shard: int, careful: bool = False) -> ShardReport:
        """Write the part of a shard, unless it is there.

        Args:
            shard: Number of the shard.
            careful: Decode each file in a child process first; those on which it crashes become error rows.

        Raises:
            OSError: If the store fails or the disk is full.
        """
        name, started = self.job.part(shard), time.monotonic()
        if self.store.exists(name):
            return ShardReport(shard, 0, 0, 0.0, 0.0)
        logger.info(f"Shard {shard}{' again, each file in a child process first' if careful else ''}")
        files = self.manifest.read_shard(shard)
        crashed = {}
        with explain_full_disk(tempfile.gettempdir()):
            if careful:
                with tempfile.TemporaryDirectory() as folder:
                    crashed = find_crashing(self.source, files, folder)
            rows = predict_shard(self.classifier, self.source, files, self.job.settings, crashed)
        self.store.add(name, write_part(rows, self.job))
        report = report_shard(shard, rows, time.monotonic() - started)
        logger.info(
            f"Shard {shard}: {report.files} files, {report.errors} with errors, {report.seconds / 3600:.3f} h of audio "
            f"in {report.elapsed:.1f} s"
        )
        return report


def load_model(job: Job, device: str | None) -> EmotionClassifier:
    """Load the model of a job, and check that it is the one with which the job was planned.

    Raises:
        ValueError: If it is another one, another backend or another version of ser_hf.
        ImportError: If the job needs Silero VAD, and it is not installed.
    """
    if job.settings.speech == "silero":
        check_silero()
    backend = job.model["backend"]
    classifier = EmotionClassifier.from_pretrained(
        job.name,
        device=device,
        dtype=job.settings.dtype,
        backend=backend if backend in BACKENDS else "auto",
        preprocessing=job.settings.preprocessing,
    )
    found = json.loads(json.dumps(identify_model(classifier, job.name, job.settings.dtype, job.settings.speech)))
    if other := [name for name, value in job.model.items() if found.get(name) != value]:
        raise ValueError(
            f"The model '{job.name}' is not the one with which the job was planned: {other[0]}: expected "
            f"{job.model[other[0]]!r}, found {found.get(other[0])!r}. Restore it, or plan a new job in another folder."
        )
    return classifier


def report_shard(shard: int, rows: list[Row], elapsed: float) -> ShardReport:
    """Count the files and errors of rows, and the seconds of audio.

    Examples:
        >>> report_shard(0, [{"key": "a.wav", "duration": 2.5}, {"key": "b.wav", "error": "silent"}], 0.5)
        ShardReport(shard=0, files=2, errors=1, seconds=2.5, elapsed=0.5)
    """
    ends: dict[object, float] = {}
    for row in rows:
        end = row.get("duration") if row.get("end") is None else row["end"]
        ends[row["key"]] = max(ends.get(row["key"], 0.0), float(end or 0.0))
    failed = {row["key"] for row in rows if row.get("error") is not None}
    return ShardReport(shard, len(ends), len(failed), sum(ends.values()), elapsed)


def _log_to(folder: Path) -> None:
    """Write the messages of ser_hf in this process to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / f"{platform.node()}-{os.getpid()}.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    package = logging.getLogger("ser_hf")
    package.handlers = [handler]
    package.propagate = False
    package.setLevel(logging.INFO)
