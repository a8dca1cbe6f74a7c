"""Workers of a Ray cluster: an actor each."""

import os
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from ser_hf.archives.running import EXPECTED, WorkerDied


def connect(workers: int) -> None:
    """Connect to the cluster that RAY_ADDRESS or this machine names, or else start Ray on this machine only.

    Args:
        workers: Number of workers if Ray is started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), log_to_driver=False)
    except ConnectionError:
        if "RAY_ADDRESS" in os.environ:
            raise
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")


class RayWorker:
    """Run shards in an actor, see `ser_hf.archives.running.Worker`; it waits until the cluster has room for it."""

    def __init__(self, *, gpus: float, **options: Any):
        """Keep the number of GPUs of the actor, and the arguments of `ShardWorker`."""
        self.gpus, self.options = gpus, options

    def start(self) -> Future:
        """Start the actor, which loads the model."""
        remote: Any = ray.remote(_Actor)
        self.actor = remote.options(num_cpus=1, num_gpus=self.gpus).remote(self.options)
        return _translate(self.actor.load.remote())

    def run(self, shard: int, careful: bool) -> Future:
        """Run a shard in the actor."""
        return _translate(self.actor.run.remote(shard, careful))

    def stop(self) -> None:
        """End the actor."""
        ray.kill(self.actor)


class _Actor:
    """Hold a `ShardWorker`; an unexpected error ends the process, as that of a `LocalWorker`."""

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def load(self) -> None:
        from ser_hf.archives.worker import ShardWorker  # imports torch

        self.worker = ShardWorker(**self.options)

    def run(self, shard: int, careful: bool) -> Any:
        try:
            return self.worker.run(shard, careful)
        except EXPECTED:
            raise
        except Exception:
            os._exit(1)


def _translate(reference: ray.ObjectRef) -> Future:
    """Return the future of a result, with the errors of `ser_hf.archives.running.Worker`."""
    result: Future = Future()

    def finish(future: Future) -> None:
        error = future.exception()
        if isinstance(error, RayActorError):
            result.set_exception(WorkerDied(str(error).splitlines()[0]))
        elif isinstance(error, RayTaskError):
            result.set_exception(error.cause)
        elif error:
            result.set_exception(error)
        else:
            result.set_result(future.result())

    reference.future().add_done_callback(finish)
    return result
