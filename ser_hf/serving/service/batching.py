"""Score the audio of several threads together: one thread runs the model, on batches of what the others wait for."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import NamedTuple

import numpy as np

from ser_hf.cpus import release_memory
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.service.errors import StoppedError

RELEASED = 100  # batches, after which freed memory is returned to the system
STOPPED = "Expected a model that runs, found one that has stopped. Try again when the service was restarted."
WAIT = 0.003  # seconds that a batch that is not full waits for more


class Job(NamedTuple):
    """Hold windows ``(T,)`` of one thread, and the place of their scores."""

    windows: Sequence[np.ndarray]
    scores: Future[np.ndarray]


class Batcher:
    """Share a model among threads: while the context lasts, `classifier` can be called from any number of them.

    A thread waits for the scores of each of its batches, so there is at most one job per thread, and memory does not
    grow. A long recording consists of many batches, between which other threads get their scores. The scores do not
    depend on other threads: if a shared batch fails, each of its jobs is scored alone. Before the start and after the
    end, or when the thread of the model has died, the classifier raises `StoppedError`.

    Args:
        classifier: The model; only the thread of this object runs it.
        batch_size: Windows per batch.
        report: Called with the number of windows of each batch.

    Attributes:
        classifier: The classifier for all threads.

    Examples:
        >>> from ser_hf.data.hearing import Hearing
        >>> from ser_hf.serving.backends import Backend
        >>> backend = Backend("torch", ["happy", "sad"], lambda waveforms: np.full((len(waveforms), 2), 0.5))
        >>> with Batcher(EmotionClassifier(backend, Hearing())) as batcher:
        ...     batcher.classifier.score([np.ones(16_000, dtype=np.float32)])
        array([[0.5, 0.5]])
    """

    def __init__(
        self,
        classifier: EmotionClassifier,
        *,
        batch_size: int = 4,
        report: Callable[[int], None] = lambda windows: None,
    ):
        self._backend, self._batch_size, self._report = classifier._backend, batch_size, report
        self.classifier = EmotionClassifier(replace(self._backend, run=self._wait_for_scores), classifier.hearing)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._taken: list[Job] = []  # the jobs of the current batch
        self._accepts, self._lock = False, Lock()  # no job is put after the None that ends the thread
        self._thread = Thread(target=self._work, name="model", daemon=True)

    def __enter__(self) -> "Batcher":
        self._accepts = True  # before the thread, which ends this if it fails
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        """Score the jobs that wait, and stop."""
        with self._lock:
            self._accepts = False
            self._jobs.put(None)
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether the thread of the model runs."""
        return self._thread.is_alive()

    def _wait_for_scores(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        job = Job(windows, Future())
        with self._lock:
            if not self._accepts:
                raise StoppedError(STOPPED)
            self._jobs.put(job)
        return job.scores.result()

    def _work(self) -> None:
        try:
            self._score_batches()
        finally:  # after an error too, so that nobody waits for this thread
            with self._lock:
                self._accepts = False
            while not self._jobs.empty():
                self._taken += filter(None, [self._jobs.get()])
            for job in self._taken:
                if not job.scores.done():
                    job.scores.set_exception(StoppedError(STOPPED))

    def _score_batches(self) -> None:
        stopped, number = False, 0
        while not stopped and (job := self._jobs.get()):
            jobs = self._taken = [job]
            size, end = len(job.windows), time.monotonic() + WAIT
            while size < self._batch_size:
                try:
                    more = self._jobs.get(timeout=max(0.0, end - time.monotonic()))
                except Empty:
                    break
                if more is None:
                    stopped = True
                    break
                jobs.append(more)
                size += len(more.windows)
            self._report(size)
            self._score(jobs)
            number += 1
            if number % RELEASED == 0:
                release_memory()

    def _score(self, jobs: Sequence[Job]) -> None:
        try:
            scores = self._run([window for job in jobs for window in job.windows])
        except Exception as error:  # whatever it is, the threads that wait must get it
            if len(jobs) == 1:
                jobs[0].scores.set_exception(error)
                return
            for job in jobs:
                self._score([job])
            return
        first = 0
        for job in jobs:
            job.scores.set_result(scores[first : first + len(job.windows)])
            first += len(job.windows)

    def _run(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """Return the scores ``(B, C)`` of windows; those of similar lengths share a batch, if the model allows it."""
        size = self._batch_size if self._backend.pads else 1
        order = np.argsort([-len(window) for window in windows], kind="stable")
        batches = [order[first : first + size] for first in range(0, len(order), size)]
        scores = np.concatenate([self._backend.run([windows[place] for place in batch]) for batch in batches])
        return scores[np.argsort(order)]
