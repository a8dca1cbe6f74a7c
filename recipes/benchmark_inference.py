"""Compare inference with the stock pipeline on the CPU; `recipes/benchmark.py` runs this with --model (see its --help).

All methods score the same files in turns, so other processes on the machine affect all of them equally. The
scores are compared with the scores that the stock pipeline gives to one decoded file at a time, without resampling by
ffmpeg and without padding. Memory is measured over all files of the corpus, in a separate process for each classifier.

Shapes: N files, C emotions.
"""

import sys

if __name__ == "__main__":
    print(__doc__)
    sys.exit()  # before the imports below, which take seconds

import multiprocessing
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
import torch
from benchmark_training import describe_hardware, multiplication_rate
from torch.utils.flop_counter import FlopCounterMode
from transformers import pipeline

from ser_hf.data import decode_audio
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.devices import choose_dtype

BATCH_SIZE = 8
REPEATS = 3
LOOP = "loop over pipeline(path)"
ARRAYS = f"pipeline(arrays, batch_size={BATCH_SIZE})"
EXPORTS = {"ONNX float32": "onnx/model.onnx", "ONNX int8": "onnx/model_quantized.onnx"}
HEADER = ("method", "utterances/s", "x loop", "x pipeline(arrays)", "share of GEMM rate",
          "largest difference of a score", "other emotions", "MiB over the loaded model")  # fmt: skip

Method = Callable[[int], list[dict[str, float]]]  # number of files, counted from the first one -> scores of each file


def compare_inference(folder: Path, paths: Sequence[str], corpus: Sequence[str]) -> None:
    """Print one row per method of inference.

    Args:
        folder: Folder of the checkpoint; the rows of ONNX need the files of `ser-hf export`.
        paths: N files, on which the speed is measured.
        corpus: All files, on which the memory is measured.
    """
    stock = pipeline("audio-classification", model=str(folder), device="cpu", top_k=None)
    waveforms = [decode_audio(path) for path in paths]
    options = list_classifiers(folder)
    classifiers = {name: EmotionClassifier.from_pretrained(**these) for name, these in options.items()}
    methods = {
        LOOP: lambda count: [to_dict(stock(path)) for path in paths[:count]],
        ARRAYS: lambda count: [to_dict(found) for found in stock(waveforms[:count], batch_size=BATCH_SIZE)],
        **{name: lambda count, score=score: score(list(paths[:count])) for name, score in classifiers.items()},
    }
    if not shutil.which("ffmpeg"):
        del methods[LOOP]
    rates, answers = time_methods(methods, len(paths))
    operations, speed = count_operations(stock, waveforms[:BATCH_SIZE]), multiplication_rate()
    peaks = measure_peaks(options, corpus)
    print_table(rates, answers, [to_dict(stock(waveform)) for waveform in waveforms], peaks, speed / operations)
    print(
        f"\n{len(paths)} files, median of {REPEATS} turns; memory over {len(corpus)} files; scores compared with the "
        f"stock pipeline on one decoded file at a time. {describe_hardware()}. A file takes {operations / 1e9:.1f} "
        f"GFLOP; the GEMM rate is the speed of multiplying two matrices in float32, {speed / 1e9:.0f} GFLOP/s."
    )
    if LOOP not in methods:
        print("pipeline(path) is left out: it needs the ffmpeg program.")
    if missing := [file for file in EXPORTS.values() if not (folder / file).is_file()]:
        print(f"Without {' and '.join(missing)}: run `ser-hf export {folder}` first.")


def list_classifiers(folder: Path) -> dict[str, dict]:
    """Return the arguments of `EmotionClassifier.from_pretrained` by name, for each weights file in the checkpoint.

    There is no row for bfloat16 if this processor does not multiply it.
    """
    options = {
        "torch float32": {"backend": "torch"},
        "torch bfloat16": {"backend": "torch", "dtype": "bfloat16"},
        "ONNX float32": {"backend": "onnx"},
        "ONNX int8": {"backend": "onnx", "dtype": "int8"},
    }
    if choose_dtype("auto", torch.device("cpu")) != torch.bfloat16:
        del options["torch bfloat16"]
    held = {name: these for name, these in options.items() if name not in EXPORTS or (folder / EXPORTS[name]).is_file()}
    common = {"folder_or_id": folder, "device": "cpu", "preprocessing": "pipeline"}
    return {f"EmotionClassifier, {name}": common | these for name, these in held.items()}


def time_methods(
    methods: Mapping[str, Method], count: int
) -> tuple[dict[str, float], dict[str, list[dict[str, float]]]]:
    """Return files per second (median over the turns) and the scores of each file, for each method."""
    seconds, answers = {name: [] for name in methods}, {}
    for method in methods.values():
        method(BATCH_SIZE)  # the first run allocates memory and is not measured
    for _ in range(REPEATS):
        for name, method in methods.items():
            start = time.perf_counter()
            answers[name] = method(count)
            seconds[name].append(time.perf_counter() - start)
    return {name: count / float(np.median(taken)) for name, taken in seconds.items()}, answers


def count_operations(stock: Callable[[np.ndarray], object], waveforms: Sequence[np.ndarray]) -> float:
    """Return the mean number of floating-point operations for a waveform, those of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        for waveform in waveforms:
            stock(waveform)
    return counter.get_total_flops() / len(waveforms)


def measure_peaks(options: Mapping[str, dict], corpus: Sequence[str]) -> dict[str, float]:
    """Return the result of `measure_peak` for each classifier, in a new process each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ser_hf.serving"])  # imported once, not by each process
    with context.Pool(1, maxtasksperchild=1) as pool:
        peaks = pool.starmap(measure_peak, [(these, corpus) for these in options.values()], chunksize=1)
    return dict(zip(options, peaks, strict=True))


def measure_peak(options: dict, corpus: Sequence[str]) -> float:
    """Return the peak memory of a classifier during prediction minus its memory after loading, in MiB."""
    classifier = EmotionClassifier.from_pretrained(**options)
    process, done = psutil.Process(), Event()
    resident = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.01):
            resident.append(process.memory_info().rss)

    watcher = Thread(target=watch)
    watcher.start()
    for _ in classifier.predict_files(corpus, batch_size=BATCH_SIZE):
        pass
    done.set()
    watcher.join()
    return (max(resident) - resident[0]) / 2**20


def print_table(
    rates: Mapping[str, float],
    answers: Mapping[str, list[dict[str, float]]],
    expected: list[dict[str, float]],
    peaks: Mapping[str, float],
    limit: float,
) -> None:
    """Print the table in Markdown; `limit` is the number of utterances per second at the GEMM rate."""
    print("", f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|", sep="\n")
    reference = stack_scores(expected, expected[0])
    for name, rate in rates.items():
        scores = stack_scores(answers[name], expected[0])
        others = (scores.argmax(1) != reference.argmax(1)).sum()
        cells = [
            name,
            f"{rate:.1f}",
            f"{rate / rates[LOOP]:.2f}" if LOOP in rates else "",
            f"{rate / rates[ARRAYS]:.2f}",
            f"{rate / limit:.0%}",
            f"{np.abs(scores - reference).max():.1e}",
            f"{others} of {len(expected)}",
            f"{peaks[name]:.0f}" if name in peaks else "",
        ]
        print(f"| {' | '.join(cells)} |")


def to_dict(answer: list[dict]) -> dict[str, float]:
    """Return the output of the stock pipeline for a file as {emotion: score}."""
    return {item["label"]: item["score"] for item in answer}


def stack_scores(answers: Sequence[Mapping[str, float]], emotions: Sequence[str]) -> np.ndarray:
    """Return the scores ``(N, C)`` of N answers."""
    return np.array([[answer[emotion] for emotion in emotions] for answer in answers])
