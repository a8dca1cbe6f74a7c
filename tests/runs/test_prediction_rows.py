"""Rows of predictions.csv."""

import os
from pathlib import Path

import numpy as np

from ser_hf.corpora import Utterance
from ser_hf.runs.prediction_rows import tabulate_utterances
from ser_hf.tasks import categories


def test_a_path_that_is_not_utf_8_is_spelled_and_the_columns_keep_their_order():
    path = os.path.join("/data", "sad", os.fsdecode(b"caf\xe9.wav"))
    rows = tabulate_utterances(
        [Utterance(path=path, corpus="folder", emotion="sad", speaker="1")],
        np.array([[0.25, 0.75]]),
        categories,
        ["happy", "sad"],
        {"folder": Path("/data")},
    )
    assert rows["path"].tolist() == [r"sad/caf\xe9.wav"]
    assert list(rows) == [
        "path", "start", "end", "corpus", "speaker", "gender", "split", "target", "prediction", "score_happy",
        "score_sad",
    ]  # fmt: skip
    assert rows[["split", "target", "prediction"]].to_numpy().tolist() == [["test", "sad", "sad"]]
