"""Compare training with transformers' audio-classification example; `recipes/benchmark.py` runs this (see its --help).

Each way trains in a process of its own, on the same utterances: synthetic audio with the lengths of RAVDESS (normal)
and of IEMOCAP (log-normal), models with random weights. The ways take turns of one epoch, so other processes on the
machine affect all of them. The stock way is the example of transformers: random order, the feature extractor for each
utterance, its collator, float32. In both ways, the convolutions of speech encoders are frozen and layerdrop is off.
"""

import sys

if __name__ == "__main__":
    print(__doc__)
    sys.exit()  # before the imports below, which take seconds

import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from benchmark_ways import BATCH_SIZE, MODELS, Architecture, Way, make_ours, make_stock
from scipy.stats import lognorm, norm
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from ser_hf.cache import write_text
from ser_hf.cpus import release_memory
from ser_hf.data.audio import SAMPLING_RATE

# Durations in seconds, RAVDESS: 3.7 on average. IEMOCAP: median 3.7, long tail; 10 039 utterances of 0.6 to 34 s.
LENGTHS = {"RAVDESS-like": norm(3.7, 0.34), "IEMOCAP-like": lognorm(0.65, scale=np.exp(1.3))}
LONGEST = 20.0  # seconds; the example cuts longer audio
STOCK = "stock"
HEADER = ("model", "lengths", "way", "utterances/s", "x stock", "first epoch, utterances/s", "share of GEMM rate",
          "waiting for data", "peak MiB")  # fmt: skip


def count_gradients(of_output: Sequence[int], states: Any, weight: Sequence[int], *options: Any, **outputs: Any) -> int:
    """Return the FLOPs of the gradients of a convolution; torch counts those of the weights as if there were no groups.

    Args:
        of_output: Shape ``(B, C, F)``.
        states: Shape of the input.
        weight: Shape ``(C, C / G, K)``.
        options: Further arguments of `torch.ops.aten.convolution_backward`; the last one says which gradients.
        outputs: Their shapes.
    """
    return 2 * math.prod(of_output) * math.prod(weight[1:]) * sum(options[-1][:2])


COUNTS = {torch.ops.aten.convolution_backward: count_gradients}


class Turn(NamedTuple):
    """Hold the measurements of an epoch."""

    seconds: float
    waited: float  # seconds for data
    flops: int | None  # counted in the first epoch
    memory: int  # peak of the process or GPU, bytes


def compare_training(models: Sequence[str], utterances: int, repeats: int, file: Path | None = None) -> dict[str, Any]:
    """Print a row per model, distribution of lengths and way; return the rows and how they were measured.

    Args:
        models: Keys of `MODELS`.
        utterances: Utterances of an epoch.
        repeats: Epochs that are measured, after a first one.
        file: JSON file to write after each model and distribution; None for no file.
    """
    amount = f"{utterances} utterances, batches of {BATCH_SIZE}, median of {repeats} epochs after the first"
    rows: list[dict[str, Any]] = []
    results = {"measured": f"{describe_hardware()}; {amount}", "rows": rows}
    for model in models:
        for lengths, distribution in LENGTHS.items():
            durations = distribution.ppf((np.arange(utterances) + 0.5) / utterances).clip(0.6, LONGEST)
            for row in measure(list_ways(MODELS[model]), durations, repeats):
                rows.append({"model": model, "lengths": lengths} | row)
                print(render_row(rows[-1]), flush=True)
            if file:
                write_text(file, json.dumps(results, indent=1) + "\n")
    print(f"\n{render_table(results)}")
    return results


def list_ways(model: Architecture) -> dict[str, Way]:
    """Return the ways of training a model by their names; those in bfloat16 need a GPU."""
    whole = "none" if model.kind == "whisper" else "cnn"
    ways = {
        STOCK: Way(model),
        "ours": Way(model, whole),
        "ours, first half frozen": Way(model, str(model.layers // 2)),
    }
    if torch.cuda.is_available():
        ways |= {"ours, bf16": Way(model, whole, True), "ours, bf16, compiled": Way(model, whole, True, True)}
    return ways


def measure(ways: Mapping[str, Way], durations: np.ndarray, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield the results of each way; `ways` contains the stock way."""
    context = multiprocessing.get_context("spawn")
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = write_audio(Path(folder), durations)
        pipes = {name: context.Pipe() for name in ways}
        processes = [
            context.Process(target=train, args=(way, paths, repeats + 1, pipes[name][1]), daemon=True)
            for name, way in ways.items()
        ]
        for process in processes:
            process.start()
        for _, theirs in pipes.values():
            theirs.close()  # so that `recv` fails if the process has ended
        for _ in range(repeats + 1):
            for name, (channel, _) in pipes.items():
                channel.send(True)
                turns[name].append(channel.recv())
                rates.append(multiplication_rate())
        for process in processes:
            process.join()
    stock = statistics.median(turn.seconds for turn in turns[STOCK][1:])
    for name, (first, *later) in turns.items():
        seconds = statistics.median(turn.seconds for turn in later)
        yield {
            "way": name,
            "rate": len(durations) / seconds,
            "ratio": stock / seconds,
            "first": len(durations) / first.seconds,
            "share": first.flops and first.flops / seconds / statistics.median(rates),
            "waited": statistics.median(turn.waited / turn.seconds for turn in later),
            "memory": later[-1].memory / 2**20,
        }


def write_audio(folder: Path, durations: np.ndarray) -> list[str]:
    """Write noise of these durations in seconds as WAV files, in random order, and return the paths."""
    rng = np.random.default_rng(0)
    paths = []
    for i, duration in enumerate(rng.permutation(durations)):
        paths.append(str(folder / f"{i:05d}.wav"))
        soundfile.write(paths[-1], rng.normal(0, 0.1, round(duration * SAMPLING_RATE)), SAMPLING_RATE)
    return paths


def train(way: Way, paths: Sequence[str], epochs: int, channel: Connection) -> None:
    """Train in this process, an epoch for each message of the parent."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SER_HF_CACHE"] = str(Path(folder, "cache"))
        trainer = (
            make_stock(way, paths, epochs, folder) if way.freeze is None else make_ours(way, paths, epochs, folder)
        )
        trainer.add_callback(turns := Turns(channel, count=not way.compiled))
        turns.wait()
        trainer.train()


class Turns(TrainerCallback):
    """Wait for a message before each epoch, and answer with its measurements.

    Args:
        channel: Connection to the parent.
        count: Whether to count the FLOPs of the first epoch.
    """

    def __init__(self, channel: Connection, *, count: bool):
        self.channel = channel
        self.counter = FlopCounterMode(display=False, custom_mapping=COUNTS) if count else None
        self.flops: int | None = None

    def wait(self):
        """Wait for the parent, and start the clock."""
        self.channel.recv()
        self.start, self.waited = clock(), 0.0

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Count the operations from here: not what is computed once before the first epoch."""
        self.last = clock()
        if self.counter and not state.global_step:
            self.counter.__enter__()

    def on_step_begin(self, args, state, control, **kwargs):
        """Add the time since the last step."""
        self.waited += clock() - self.last

    def on_step_end(self, args, state, control, **kwargs):
        """Start to wait for data."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.last = clock()

    def on_epoch_end(self, args, state, control, **kwargs):
        """Report the epoch, and wait for the next turn unless this was the last."""
        seconds = clock() - self.start
        if self.counter:
            self.counter.__exit__(None, None, None)
            self.flops, self.counter = self.counter.get_total_flops(), None
        release_memory()  # for the other ways
        self.channel.send(Turn(seconds, self.waited, self.flops, peak_memory()))
        if state.epoch < state.num_train_epochs:
            self.wait()


def clock() -> float:
    """Return seconds: of this process on one CPU thread, which a busy machine does not change, else of the wall."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


def peak_memory() -> int:
    """Return the peak memory in bytes, of the GPU if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def multiplication_rate() -> float:
    """Return the FLOP/s of the multiplication of two matrices, in bfloat16 on a GPU and else in float32."""
    gpu = torch.cuda.is_available()
    size, kind = (8192, torch.bfloat16) if gpu else (1536, torch.float32)
    matrix, rates = torch.randn(size, size, device="cuda" if gpu else "cpu", dtype=kind), []
    for _ in range(5):
        start = clock()
        matrix @ matrix
        if gpu:
            torch.cuda.synchronize()
        rates.append(2 * size**3 / (clock() - start))
    return statistics.median(rates)


def render_table(results: Mapping[str, Any]) -> str:
    """Return the rows and how they were measured in Markdown."""
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|", *map(render_row, results["rows"])]
    return "\n".join([*lines, "", f"{results['measured']}."])


def render_row(row: Mapping[str, Any]) -> str:
    """Return a row of the table in Markdown."""
    share = "" if row["share"] is None else f"{row['share']:.0%}"
    cells = [
        row["model"],
        row["lengths"],
        row["way"],
        f"{row['rate']:.3g}",
        f"{row['ratio']:.2f}",
        f"{row['first']:.3g}",
        share,
        f"{row['waited']:.1%}",
        f"{row['memory']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def describe_hardware() -> str:
    """Return hardware, clock and date."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{processor()}, no GPU"
    clocked = "wall time" if torch.cuda.is_available() or torch.get_num_threads() > 1 else "CPU time"
    return f"{name}, {torch.get_num_threads()} threads, {clocked}, torch {torch.__version__}, {date.today()}"


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if platform.system() == "Linux" else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
