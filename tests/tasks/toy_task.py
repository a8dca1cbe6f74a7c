"""A whole task in one file: how lively a voice is, 0 to 1, by the third code in the name of a RAVDESS file."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas
from datasets import Value
from torch.nn import functional

from ser_hf.evaluation import ccc
from ser_hf.tasks import Metric

PROBLEM_TYPE, PERCENT, OPTIONS = "regression", False, ()
METRICS = {"ccc": Metric("Concordance correlation coefficient", "CCC", lowest=-1.0)}
CARD = {"introduction": "Tells how lively a voice is: CCC {{ shown(test.ccc) }} on {{ test.utterances }} utterances.\n"}
LIVELINESS = {"03": 0.75, "04": 0.25, "05": 1.0}
calibrate = describe_calibration = None


@dataclass
class Scores:
    utterances: int
    speakers: int
    ccc: float
    intervals: dict[str, list[float]]
    interval_unit: str = "utterance"
    warning: str | None = None
    per_speaker: dict[str, dict] = field(default_factory=dict)


def list_outputs(utterances):
    return ["liveliness"]


def target_feature(outputs):
    return Value("float32")


def target_of(utterance, outputs):
    return LIVELINESS.get(Path(utterance.path).name.split("-")[2])


def make_loss(train, training):
    return lambda outputs, labels, num_items_in_batch=None: functional.mse_loss(outputs["logits"][:, 0], labels)


def compute_metrics(prediction):
    return {"ccc": ccc(prediction.label_ids, prediction.predictions[:, 0])}


def tabulate(targets, scores, outputs):
    return pandas.DataFrame({"target_liveliness": targets, "score_liveliness": scores[:, 0]})


def summarize(table, outputs):
    pairs = table[["target_liveliness", "score_liveliness"]].to_numpy()
    draws = np.random.default_rng(0).integers(len(pairs), size=(200, len(pairs)))
    interval = np.nanquantile([ccc(*pairs[draw].T) for draw in draws], [0.025, 0.975]).tolist()
    return Scores(len(table), table["speaker"].nunique(), ccc(*pairs.T), {"ccc": interval})


def draw_scores(scores, table, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)


def answer(scores):
    return f"liveliness {scores['liveliness']:.2f}"


def match_outputs(outputs, utterances):
    return outputs, outputs


def restrict_scores(scores, names, shared):
    return scores
