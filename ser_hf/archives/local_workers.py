"""Workers on this machine: a process each."""

import multiprocessing
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from ser_hf.archives.orphans import end_with_parent
from ser_hf.archives.running import EXPECTED, WorkerDied


class LocalWorker:
    """Run shards in a child process, see `ser_hf.archives.running.Worker`."""

    def __init__(self, **options: Any):
        """Keep the arguments of `ShardWorker`."""
        self.options = options
        self.thread = ThreadPoolExecutor(1)

    def start(self) -> Future:
        """Start the process, which loads the model."""
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.options))
        self.process.start()
        other.close()
        return self._await_answer()

    def run(self, shard: int, careful: bool) -> Future:
        """Run a shard in the process."""
        with suppress(ConnectionError):  # of a process that has ended, which is the answer then
            self.pipe.send((shard, careful))
        return self._await_answer()

    def stop(self) -> None:
        """End the process, at once if it is busy."""
        if not self.answer.done():
            self.process.kill()
        with suppress(ConnectionError):
            self.pipe.send(None)
        self.process.join()
        self.thread.shutdown()

    def _await_answer(self) -> Future:
        self.answer = self.thread.submit(self._receive)
        return self.answer

    def _receive(self) -> Any:
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise WorkerDied(f"exit code {self.process.exitcode}") from error
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(pipe: Connection, options: dict[str, Any]) -> None:
    """Answer each request with a report or an expected error; any other error ends the process."""
    end_with_parent()
    from ser_hf.archives.worker import ShardWorker  # imports torch

    try:
        worker = ShardWorker(**options)
        pipe.send(None)
        while request := pipe.recv():
            try:
                pipe.send(worker.run(*request))
            except EXPECTED as error:
                pipe.send(error)
    except EXPECTED as error:  # of the model, or of the pipe when the parent has ended
        pipe.send(error)
