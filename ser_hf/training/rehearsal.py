"""Rehearse a training on a few utterances, to find faults in about a minute that would spoil hours.

Two questions are answered on training utterances only. Can the model learn 32 utterances by heart, with the learning
rate of the recipe and without augmentation? Do the labels have anything to do with the audio, so that a linear
model on simple features predicts those of other speakers better than chance?

Shapes: N utterances.
"""

import copy
import logging
import math
import time
from collections import Counter
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import BatchSampler
from transformers import PreTrainedModel, SequenceFeatureExtractor, set_seed

from ser_hf.data.collator import Collator
from ser_hf.data.dataset import load_row
from ser_hf.data.sampler import EpochRows, SecondsBatchSampler
from ser_hf.heads.features import classical_features
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.tasks import load_task, name_task
from ser_hf.training.trainer import SerTrainer

UTTERANCES, STEPS, SECONDS = 32, 100, 60  # of the training by heart: it ends at the first limit
CHECKED = 240  # utterances whose labels are compared with their audio
LEAST_FALL = 0.05  # of the loss, as a share of the first loss
RISE = 1.5  # a loss of more than this times the first one shows that the learning rate is too high

logger = logging.getLogger(__name__)


class LabelScore(NamedTuple):
    """Hold the score of a linear model, its name, and the score below which 95 % of random labels stay."""

    score: float
    name: str
    random: float


@dataclass
class Rehearsal:
    """Hold what was observed.

    Attributes:
        losses: Loss before the first step, and in each pass over the utterances.
        metric: Name and value of the first metric of the task on the utterances, after the last step.
        guess: What guessing achieves, as text.
        labels: Score of a linear model on the labels of other speakers; None if there is one speaker or label.
        trained: Number of trained parameters.
        parameters: Number of all parameters.
        seconds_per_utterance: Duration of a step, divided by the size of its mini-batch.
    """

    losses: list[float]
    metric: tuple[str, float]
    guess: str
    labels: "LabelScore | None"
    trained: int
    parameters: int
    seconds_per_utterance: float


def rehearse(
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
    dataset: DatasetDict,
    training: SerTrainingArguments,
) -> Rehearsal:
    """Train a copy of the model on 32 utterances, compare labels and audio, and log what was observed.

    Args:
        model: The model to train, with a random head: `head_init` and `auxiliary_task` are not rehearsed. It is not
            changed.
        feature_extractor: Feature extractor of the model.
        dataset: DatasetDict with "train" and "validation".
        training: Training arguments of the recipe.

    Raises:
        ValueError: If nothing is trained, the loss does not fall, or the labels have no relation to the audio.
    """
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if not trained:
        raise ValueError(f"Rehearsal: none of {parameters} parameters is trained. Choose another --freeze.")
    train, task = dataset["train"], load_task(name_task(model.config))
    rated = task.PROBLEM_TYPE == "regression"
    score = _score_ratings if rated else _score_classes
    labels = score(_draw_evenly(train, CHECKED, training.seed))
    guess = "Chance: CCC 0" if rated else _describe_guess(Counter(_classes(train)))
    losses, metric, seconds = _learn_by_heart(model, feature_extractor, dataset, training)
    observed = Rehearsal(losses, metric, guess, labels, trained, parameters, seconds)
    logger.info(describe_rehearsal(observed, len(train), training))
    _check(observed, training)
    return observed


def describe_rehearsal(observed: Rehearsal, utterances: int, training: SerTrainingArguments) -> str:
    """Return what was observed, with an estimate of the time for all training utterances."""
    name, value = observed.metric
    seconds = utterances * training.num_train_epochs * observed.seconds_per_utterance / training.world_size
    minutes = seconds * (1 + training.refit) / 60
    labels = f"; {observed.labels.score:.3f} {observed.labels.name}" if observed.labels else ""
    return (
        f"Rehearsal: loss {observed.losses[0]:.3f} to {observed.losses[-1]:.3f} on {min(UTTERANCES, utterances)} "
        f"utterances in {len(observed.losses) - 1} passes, {name} {value:.3f}.\n"
        f"{observed.guess}{labels}.\n"
        f"Trained: {observed.trained / 1e6:.2f} of {observed.parameters / 1e6:.2f} M parameters. Memory: "
        f"{_memory():.1f} GB. Estimated time of training without validation: {minutes:.0f} min."
    )


def _describe_guess(counts: Counter) -> str:
    share = max(counts.values()) / counts.total()
    return f"Chance {1 / len(counts):.3f} UA, most frequent class {share:.3f} WA"


def _draw_evenly(train: Dataset, count: int, seed: int) -> Dataset:
    """Return rows of all emotions in turn, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(train))
    emotions = np.array(train["emotion"])[order]
    turns = np.zeros(len(order), dtype=int)
    for emotion in set(emotions):
        turns[emotions == emotion] = np.arange((emotions == emotion).sum())
    return train.select(order[np.argsort(turns, kind="stable")][:count])


def _classes(rows: Dataset) -> list[int]:
    """Return the class of each row: its label, or of votes the class with the most votes."""
    if isinstance(rows.features["label"], ClassLabel):
        return rows["label"]
    return np.argmax(rows["label"], axis=1).tolist()


def _score_classes(rows: Dataset) -> LabelScore | None:
    """Return the UA of a linear classifier on classical features, cross-validated over speakers."""
    classes = _classes(rows)
    if len(set(classes)) < 2 or (folds := _speaker_folds(rows)) is None:
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    answers = cross_val_predict(classifier, _features(rows), classes, cv=folds)
    chance = 1 / len(set(classes))
    random = chance + 1.64 * math.sqrt(chance * (1 - chance) / len(rows))
    recall = float(recall_score(classes, answers, average="macro", zero_division=0))
    return LabelScore(recall, "UA of a linear classifier", random)


def _score_ratings(rows: Dataset) -> LabelScore | None:
    """Return the mean Pearson correlation of a linear regression on classical features with the ratings."""
    ratings = np.asarray(rows["label"], dtype=float)
    if not ratings.std(0).all() or (folds := _speaker_folds(rows)) is None:
        return None
    values = cross_val_predict(make_pipeline(StandardScaler(), Ridge(1000.0)), _features(rows), ratings, cv=folds)
    correlations = [np.corrcoef(values[:, i], ratings[:, i])[0, 1] for i in range(ratings.shape[1])]
    return LabelScore(float(np.mean(correlations)), "correlation of a linear regression", 1.64 / math.sqrt(len(rows)))


def _speaker_folds(rows: Dataset) -> list | None:
    """Return at most four pairs of row numbers to fit and to score, without common speakers; None of one speaker."""
    speakers = [speaker or str(index) for speaker, index in zip(rows["speaker"], rows["index"], strict=True)]
    count = min(4, len(set(speakers)))
    return list(GroupKFold(count).split(speakers, groups=speakers)) if count > 1 else None


def _features(rows: Dataset) -> np.ndarray:
    return np.stack([classical_features(load_row(row)).to_numpy() for row in rows])


def _learn_by_heart(
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
    dataset: DatasetDict,
    training: SerTrainingArguments,
) -> tuple[list[float], tuple[str, float], float]:
    """Return the losses, the first metric of the task at the end, and the seconds per utterance."""
    rows = _draw_evenly(dataset["train"], UTTERANCES, training.seed)
    parts, collator = DatasetDict(train=rows, validation=rows), Collator(feature_extractor)
    arguments = copy.copy(training)
    arguments.push_to_hub, arguments.report_to = False, []
    with TemporaryDirectory() as arguments.output_dir:  # not the folder of the run, which stays free
        trainer = SerTrainer(
            copy.deepcopy(model), arguments, collator, dataset=parts, feature_extractor=feature_extractor
        )
    set_seed(training.seed)
    size = training.per_device_train_batch_size
    numbers = (
        BatchSampler(range(len(rows)), size, drop_last=False)
        if training.batch_seconds is None
        else SecondsBatchSampler(EpochRows(rows["duration"], seed=0, epoch=collator.epoch), training.batch_seconds, 1)
    )
    batches = [collator([rows[i] for i in batch]) for batch in numbers]
    losses, seconds = _run_steps(trainer, batches)
    task = load_task(name_task(model.config))
    metric = next(iter(task.METRICS))
    measured: Any = trainer.predict(rows).metrics
    return losses, (metric, measured[f"test_{metric}"]), seconds / len(rows)


def _run_steps(trainer: SerTrainer, batches: list) -> tuple[list[float], float]:
    """Return the loss before the first step and in each pass over the batches, and the seconds per pass."""
    model, optimizer = trainer.model.train(), trainer.create_optimizer()
    steps, losses = 0, [_mean_loss(trainer, batches)]
    began = time.monotonic()
    while not steps or (steps < STEPS and time.monotonic() - began < SECONDS and math.isfinite(losses[-1])):
        losses.append(0.0)
        for batch in batches:
            loss = _loss(trainer, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), trainer.args.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            losses[-1] += loss.item() / len(batches)
            steps += 1
    return losses, (time.monotonic() - began) / (len(losses) - 1)


@torch.no_grad()
def _mean_loss(trainer: SerTrainer, batches: list) -> float:
    return sum(_loss(trainer, batch).item() for batch in batches) / len(batches)


def _loss(trainer: SerTrainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    assert trainer.compute_loss_func is not None
    inputs = {name: value.to(trainer.model.device) for name, value in batch.items()}
    labels = inputs.pop("labels")
    return trainer.compute_loss_func(trainer.model(**inputs), labels)


def _check(observed: Rehearsal, training: SerTrainingArguments) -> None:
    """Raise ValueError with the likely reason if the rehearsal failed."""
    first, last, highest = observed.losses[0], observed.losses[-1], max(observed.losses)
    ways = "Leave out --rehearse to train all the same."
    if not math.isfinite(first):
        raise ValueError(
            f"Rehearsal: the loss is {first} before the first step. Check the weights of the encoder, and the audio "
            f"with 'ser-hf data audit'. {ways}"
        )
    if not last <= (1 - LEAST_FALL) * first:  # also if it is not a number
        rises = not highest <= RISE * first
        change = f"Lower --learning_rate (now {training.learning_rate:g}), as it rose to {highest:.3g} in between"
        if not rises:
            change = f"Raise --learning_rate (now {training.learning_rate:g}), or train more with another --freeze"
        raise ValueError(
            f"Rehearsal: the loss changed from {first:.3f} to {last:.3f} in {len(observed.losses) - 1} passes over "
            f"{UTTERANCES} utterances. {change}. {ways}"
        )
    if observed.labels and observed.labels.score < observed.labels.random:
        raise ValueError(
            "Rehearsal: a linear model on simple features recognises the labels of other speakers no better than "
            f"chance ({observed.labels.score:.3f} {observed.labels.name}; 95 % of random labels stay below "
            f"{observed.labels.random:.3f}). Check whether the labels belong to these files. {ways}"
        )


def _memory() -> float:
    """Return the peak memory of the GPU, or without one the memory of the process, in GB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return psutil.Process().memory_info().rss / 1e9
