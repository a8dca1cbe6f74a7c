"""One of C emotions per utterance.

Shapes: N rows, C emotions.
"""

from pathlib import Path

import numpy as np
import pandas
from datasets import Dataset
from scipy.special import softmax

from ser_hf.evaluation import Scores
from ser_hf.evaluation.figures import plot_confusion, plot_speakers
from ser_hf.evaluation.predictions import COLUMNS, average_windows


def tabulate_predictions(dataset: Dataset, logits: np.ndarray) -> pandas.DataFrame:
    """Return the table of predictions of one split: a row per utterance, its windows averaged.

    Args:
        dataset: A part of `build_dataset`'s result, N rows.
        logits: ``(N, C)`` in the order of the dataset.
    """
    emotions = dataset.features["label"].names
    scores = average_windows(softmax(logits.astype(np.float64), -1), dataset["utterance"])
    names = [name for name in COLUMNS if name in dataset.column_names]
    table = dataset.select_columns([*names, "utterance", "emotion"]).to_pandas()
    table = table.drop_duplicates("utterance", ignore_index=True).rename(columns={"emotion": "target"})
    table["prediction"] = [emotions[label] for label in scores.argmax(-1)]
    scores = pandas.DataFrame(scores, columns=[f"score_{name}" for name in emotions])
    return pandas.concat([table[COLUMNS], scores], axis=1)


def draw_scores(scores: Scores, folder: str | Path) -> None:
    """Draw the confusion matrix and, where speakers are known, the scores of each into a folder, which is made.

    Args:
        scores: Of the test utterances.
        folder: Where confusion.png and speakers.png are written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plot_confusion(scores, folder / "confusion.png")
    if scores.speakers:
        plot_speakers(scores, folder / "speakers.png")
