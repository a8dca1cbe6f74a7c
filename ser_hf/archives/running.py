"""Run the shards of a job that have no part, on workers that may die."""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ser_hf.archives.job import check_manifest, done_shards, read_job
from ser_hf.archives.store import Store

if TYPE_CHECKING:
    from ser_hf.archives.worker import ShardReport

ATTEMPTS = 3  # of a shard, or of loading the model
FULL = "is full"  # in the sentence of `explain_full_disk`
EXPECTED = (ValueError, OSError, RuntimeError, ImportError)  # errors that a worker survives


class WorkerDied(Exception):
    """The process of a worker has ended."""


class Worker(Protocol):
    """Describe a process that runs one shard at a time."""

    def start(self) -> Future:
        """Start the process, again after it has died; the result comes when it has loaded the model."""

    def run(self, shard: int, careful: bool) -> Future:
        """Run a shard; the result is a `ShardReport`, an error of the shard, or `WorkerDied`."""

    def stop(self) -> None:
        """End the process."""


@dataclass
class Progress:
    """Hold what one call of `run` has done.

    Attributes:
        shards: Number of shards that were to be done.
        done: Number of shards done.
        files: Number of files in them.
        errors: Number of files with an error.
        hours: Duration of the audio in hours.
        worker_hours: Time that the workers took for them in hours, without loading the model.
        failed: Shard -> reason, of those that ended their worker each time.

    Examples:
        >>> Progress(shards=2, done=2, hours=500.0, worker_hours=1.0).worker_hours_per_1000
        2.0
    """

    shards: int = 0
    done: int = 0
    files: int = 0
    errors: int = 0
    hours: float = 0.0
    worker_hours: float = 0.0
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def worker_hours_per_1000(self) -> float | None:
        """Hours of one worker per 1000 hours of audio; None without audio."""
        return 1000 * self.worker_hours / self.hours if self.hours else None


def run(
    folder: str,
    workers: Sequence[Worker],
    *,
    share: tuple[int, int] = (0, 1),
    show: Callable[[Progress, float], None] = lambda progress, seconds: None,
) -> Progress:
    """Write the parts of all shards that have none. Several calls, on any machines, may run the same job.

    A part is written whole or not at all. The same shard has the same part whoever writes it, on hardware of one kind.
    A worker that dies is started again, and its shard is run again; then each file is decoded in a child process first.

    Args:
        folder: Folder of the job: path or URL.
        workers: The workers; they are stopped in the end.
        share: (i, n) for the shards whose number divided by n leaves i.
        show: Called after each shard with the work so far and the seconds since the start.

    Raises:
        FileNotFoundError: If the folder has no job.
        ValueError: If the manifest or the model has changed since the job was planned.
        OSError: If the disk is full, or a store fails three times with one shard.
        RuntimeError: If workers die while they load the model.
    """
    store = Store(folder)
    job = read_job(store)
    check_manifest(store, job)
    done, (first, step) = done_shards(store), share
    shards = [shard for shard in range(first, job.shards, step) if shard not in done]
    random.shuffle(shards)  # another driver that runs the same job has another order, so that little is done twice
    progress, started = Progress(len(shards)), time.monotonic()
    try:
        for report in run_shards(shards, workers, progress.failed) if shards else ():
            seconds = time.monotonic() - started
            progress.done += 1
            progress.files += report.files
            progress.errors += report.errors
            progress.hours += report.seconds / 3600
            progress.worker_hours += report.elapsed / 3600
            show(progress, seconds)
    finally:
        for worker in workers if shards else ():
            worker.stop()
    return progress


def run_shards(shards: Sequence[int], workers: Sequence[Worker], failed: dict[int, str]) -> "Iterator[ShardReport]":
    """Yield the report of each shard as soon as it is done; workers that wait for a machine do not delay the others.

    Args:
        shards: Numbers of the shards.
        workers: The workers, not yet started.
        failed: Receives the shards that ended their worker each time.
    """
    waiting, deaths, errors = deque(shards), Counter[int | None](), Counter[int]()
    busy: dict[Future, tuple[Worker, int | None]] = {worker.start(): (worker, None) for worker in workers}
    while waiting or any(shard is not None for _, shard in busy.values()):
        for future in wait(busy, return_when=FIRST_COMPLETED).done:
            worker, shard = busy.pop(future)
            error = future.exception()
            if isinstance(error, WorkerDied):
                deaths[shard] += 1
                if shard is None and deaths[None] >= ATTEMPTS * len(workers):
                    raise RuntimeError(f"A worker ended while it loaded the model ({error}): is there enough memory?")
                if shard is not None and deaths[shard] < ATTEMPTS:
                    waiting.appendleft(shard)
                elif shard is not None:
                    failed[shard] = str(error)
                busy[worker.start()] = worker, None
                continue
            if error and shard is not None and isinstance(error, OSError) and FULL not in str(error):
                errors[shard] += 1
                if errors[shard] < ATTEMPTS:
                    waiting.append(shard)
                    error = None
            elif not error and shard is not None:
                yield future.result()
            if error:
                raise error
            if waiting:
                shard = waiting.popleft()
                busy[worker.run(shard, deaths[shard] > 0)] = worker, shard
