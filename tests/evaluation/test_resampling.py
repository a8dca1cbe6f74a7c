"""Bootstraps in blocks: the same numbers as at once, in bounded memory."""

import tracemalloc

import numpy as np
import pandas
import pytest

from ser_hf.evaluation import resampling
from ser_hf.evaluation.predictions import summarize
from ser_hf.evaluation.scores import METRICS, count_confusion


def make_table(emotions, utterances, *, speakers):
    generator = np.random.default_rng(0)
    draw = lambda: [emotions[i] for i in generator.integers(len(emotions), size=utterances)]  # noqa: E731
    names = [str(i % speakers) if speakers else None for i in range(utterances)]
    return pandas.DataFrame(
        {
            "path": [f"{i}.wav" for i in range(utterances)], "start": None, "end": None, "corpus": "x",
            "speaker": names, "gender": None, "target": draw(), "prediction": draw(),
        }
    )  # fmt: skip


@pytest.mark.parametrize(("emotions", "sizes"), [(1, [7]), (2896, [1] * 7), (1448, [4, 3]), (5000, [1] * 7)])
def test_blocks_hold_eight_million_counts(emotions, sizes):
    assert list(resampling.list_blocks(7, emotions)) == sizes


@pytest.mark.parametrize("speakers", [12, 0])
def test_the_intervals_do_not_depend_on_the_blocks(speakers, monkeypatch):
    emotions = ["a", "b", "c"]
    table = make_table(emotions, 60, speakers=speakers)
    whole = summarize(table, emotions).intervals
    monkeypatch.setattr(resampling, "BLOCK", 27)  # three resamples
    assert summarize(table, emotions).intervals == whole


def test_the_intervals_are_those_of_summed_confusion_matrices():
    emotions, speakers = ["a", "b", "c"], 12
    table = make_table(emotions, 60, speakers=speakers)
    groups = [rows for _, rows in table.groupby("speaker")]
    confusions = np.stack([count_confusion(list(rows.target), list(rows.prediction), emotions) for rows in groups])
    draws = np.random.default_rng(0).multinomial(speakers, np.full(speakers, 1 / speakers), size=1000)
    resampled = np.tensordot(draws, confusions, axes=1)
    expected = {name: np.quantile(metric(resampled), [0.025, 0.975]).tolist() for name, metric in METRICS.items()}
    assert summarize(table, emotions).intervals == expected


@pytest.mark.parametrize("speakers", [20, 0])
def test_many_emotions_need_little_memory(speakers, monkeypatch):
    monkeypatch.setattr(resampling, "BLOCK", 2**18)
    emotions = [f"e{i}" for i in range(300)]
    table = make_table(emotions, 500, speakers=speakers)
    tracemalloc.start()
    summarize(table, emotions, resamples=100)  # 72 MB at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
