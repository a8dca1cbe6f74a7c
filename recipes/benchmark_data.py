"""Compare data loading with the usual libraries; `recipes/benchmark.py` runs this (see its --help).

Decoding is compared with torchcodec and with the ffmpeg program that `pipeline(path)` calls, if they are installed.
Batches are compared with random order and with the length grouping of transformers. Memory is measured after each of
several epochs of loading.
"""

import sys

if __name__ == "__main__":
    print(__doc__)
    sys.exit()  # before the imports below, which take seconds

import gc
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

import numpy as np
import psutil
import torch
from torch.utils.data import DataLoader
from transformers import Wav2Vec2FeatureExtractor
from transformers.trainer_pt_utils import LengthGroupedSampler as StockSampler

from ser_hf.corpora import load_corpus
from ser_hf.data import (
    Collator,
    EpochRows,
    LengthGroupedSampler,
    build_dataset,
    decode_audio,
    load_audio,
    prepare_audio,
)
from ser_hf.data.audio import SAMPLING_RATE

BATCH_SIZE = 32
FILES = 100
REPEATS = 5
EPOCHS = 5


def compare_data_path(corpus: str, data_root: str | os.PathLike) -> list[str]:
    """Print one line per comparison, and return the paths of the corpus."""
    split, _ = prepare_audio({"train": list(load_corpus(corpus, data_root))})
    paths = [utterance.path for utterance in split["train"]]
    durations = [utterance.duration for utterance in split["train"]]
    print("| what | ser_hf | usual | ser_hf / usual |\n|---|---|---|---|")
    compare_decoding(choose(paths, FILES))
    compare_padding(f"padding, {corpus} durations", durations)
    # IEMOCAP: 10 039 utterances, median 3.7 s, long tail
    compare_padding("padding, log-normal durations", np.random.default_rng(0).lognormal(1.3, 0.65, 10_000))
    measure_memory(build_dataset(split, {corpus: data_root})["train"])
    return paths


def choose(paths: Sequence[str], count: int) -> list[str]:
    """Return `count` evenly spaced paths, or all paths if there are fewer."""
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths)), dtype=int)]


def compare_decoding(paths: Sequence[str]) -> None:
    """Print the milliseconds per file for decoding and for reading from the cache."""
    ours = milliseconds(decode_audio, paths)
    print(f"| decode and resample, then from cache | {ours:.2f} and {milliseconds(load_audio, paths):.2f} ms | | |")
    if shutil.which("ffmpeg"):
        stock = milliseconds(decode_by_ffmpeg, paths)
        print(f"| decode against an ffmpeg process | {ours:.2f} ms | {stock:.2f} ms | {ours / stock:.3f} |")
    if importlib.util.find_spec("torchcodec"):
        stock = milliseconds(decode_by_torchcodec, paths)
        print(f"| decode against torchcodec | {ours:.2f} ms | {stock:.2f} ms | {ours / stock:.3f} |")


def milliseconds(decode: Callable, paths: Sequence[str]) -> float:
    """Return the median over repetitions of the mean time per file, in milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for path in paths:
            decode(path)
        times.append((time.perf_counter() - start) / len(paths) * 1000)
    return float(np.median(times))


def decode_by_ffmpeg(path: str) -> np.ndarray:
    """Decode as `pipeline(path)` does."""
    command = [
        "ffmpeg",
        "-i",
        path,
        "-ac",
        "1",
        "-ar",
        str(SAMPLING_RATE),
        "-f",
        "f32le",
        "-loglevel",
        "quiet",
        "pipe:1",
    ]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


def decode_by_torchcodec(path: str) -> torch.Tensor:
    """Decode as `datasets.Audio` does."""
    from torchcodec.decoders import AudioDecoder

    return AudioDecoder(path, sample_rate=SAMPLING_RATE, num_channels=1).get_all_samples().data


def compare_padding(name: str, durations: Sequence[float]) -> None:
    """Print the `padding_multiplier` at batch size 32: ser_hf, random order, and length grouping of transformers."""
    generator = torch.Generator().manual_seed(0)
    orders = {
        "ours": LengthGroupedSampler(EpochRows(durations, seed=0, epoch=torch.tensor(0)), BATCH_SIZE),
        "random": torch.randperm(len(durations), generator=generator).tolist(),
        "grouped": StockSampler(BATCH_SIZE, lengths=[int(1000 * d) for d in durations], generator=generator),
    }
    cost = {kind: padding_multiplier(np.asarray(durations), list(order)) for kind, order in orders.items()}
    stock = f"{cost['random']:.3f} random, {cost['grouped']:.3f} grouped"
    print(f"| {name} | {cost['ours']:.3f} | {stock} | {cost['ours'] / cost['random']:.3f} |")


def padding_multiplier(durations: np.ndarray, order: Sequence[int]) -> float:
    """Return the duration of the padded batches divided by the duration of the utterances, for one order."""
    batches = [durations[order[i : i + BATCH_SIZE]] for i in range(0, len(order), BATCH_SIZE)]
    return sum(batch.max() * len(batch) for batch in batches) / sum(batch.sum() for batch in batches)


def measure_memory(dataset) -> None:
    """Print the resident memory after each epoch of loading, in MiB."""
    collator = Collator(Wav2Vec2FeatureExtractor(return_attention_mask=True))
    sampler = LengthGroupedSampler(EpochRows(dataset["duration"], seed=0, epoch=collator.epoch), BATCH_SIZE)
    resident = []
    for epoch in range(EPOCHS):
        collator.epoch.fill_(epoch)
        for _ in DataLoader(dataset, BATCH_SIZE, sampler=sampler, collate_fn=collator):
            pass
        gc.collect()
        resident.append(psutil.Process().memory_info().rss / 2**20)
    print(f"| memory after epochs 1 to {EPOCHS} | {' '.join(f'{value:.0f}' for value in resident)} MiB | | |")
