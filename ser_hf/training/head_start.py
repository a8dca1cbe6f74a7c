"""Initialise the head with a linear probe of the frozen encoder, so that a random head does not distort the encoder.

The stock heads are linear: a projection, the mean over the frames that are not padding, and a classifier. A ridge
regression (`ser_hf.heads.ridge`) on the mean hidden states of the encoder can therefore be written into
their weights, which is a much better initialisation than random weights.

Source: Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, https://arxiv.org/abs/2202.10054

Shapes: N utterances, D hidden, P projection, C classes.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import BatchFeature, PreTrainedModel

from ser_hf.data import Collator
from ser_hf.data.sampler import evaluation_order
from ser_hf.heads.pooling import has_linear_head, without_head
from ser_hf.heads.ridge import STRENGTHS, fit_regression
from ser_hf.models.padding import evaluation_batch_size
from ser_hf.models.readout import activations, append_dimensions, write_readout


@dataclass(frozen=True)
class RegressionOptions:
    """Hold the options of a regression on the training utterances.

    Attributes:
        batch_size: Utterances per forward pass.
        strengths: Penalties per input to choose from.
        groups: Group of each utterance, with the same weight for each group; None gives it to each emotion.
        copies: Number of copies of each utterance that are augmented by the collator.

    Examples:
        >>> RegressionOptions(batch_size=8).strengths
        (0.1, 0.3, 1.0, 3.0)
    """

    batch_size: int
    strengths: Sequence[float] = STRENGTHS
    groups: Sequence[str] | None = None
    copies: int = 0


def start_from_regression(
    model: PreTrainedModel, dataset: Dataset, collator: Collator, options: RegressionOptions, *, bf16: bool
) -> None:
    """Set the head of `model`, in place, to a ridge regression on the mean hidden states of `dataset`.

    The penalty is chosen by cross-validation over the training speakers and stored in `config.head_strength`.

    Args:
        model: A model with a linear head (`projector` and `classifier`).
        dataset: The training part, with the columns `label`, `speaker` and `duration`.
        collator: Its augmentation changes the copies.
        options: Batch size, penalties, groups and copies.
        bf16: Run the encoder in bfloat16.

    Raises:
        ValueError: If the architecture's head is not linear.
    """
    if not has_linear_head(model):
        raise ValueError(f"head_init: the head of '{model.config.model_type}' is not linear; use random.")

    def compute_inputs(each: Collator) -> np.ndarray:
        return mean_hidden_states(model, dataset, each, batch_size=options.batch_size, bf16=bf16)

    _write_head(model, *_fit(model, dataset, collator, options, compute_inputs))


def start_from_readout(
    model: PreTrainedModel, dataset: Dataset, collator: Collator, options: RegressionOptions
) -> PreTrainedModel:
    """Return a Whisper classifier with a ridge regression on the activations of its frozen layers as its head.

    The penalty is chosen by cross-validation over the training speakers and stored in `config.head_strength`.

    Args:
        model: From `build_model`.
        dataset: The training part, with the columns `label`, `speaker` and `duration`.
        collator: Its augmentation changes the copies.
        options: Batch size, penalties, groups and copies.

    Raises:
        ValueError: If the model is not a Whisper classifier.
    """
    wider = append_dimensions(model, model.config.num_labels).eval()  # type: ignore[arg-type]

    def compute_inputs(each: Collator) -> np.ndarray:
        return run_in_order(
            lambda batch: activations(wider, batch["input_features"]), wider, dataset, each, options.batch_size
        )

    write_readout(wider, *_fit(wider, dataset, collator, options, compute_inputs))
    return wider


def _fit(
    model: PreTrainedModel,
    dataset: Dataset,
    collator: Collator,
    options: RegressionOptions,
    compute_inputs: Callable[[Collator], np.ndarray],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight ``(C, D)`` and bias ``(C,)`` of a regression, on the device of `model`; store the penalty.

    Args:
        model: The model; its config gets the penalty.
        dataset: The training part.
        collator: Its augmentation changes the copies.
        options: Penalties, groups and copies.
        compute_inputs: Returns the inputs ``(N, D)`` of all utterances as a collator augments them.
    """
    inputs = np.concatenate([compute_inputs(each) for each in _vary(collator, options.copies)])
    weight, bias, model.config.head_strength = fit_regression(
        inputs, dataset["label"], dataset["speaker"], options.strengths, options.groups
    )
    to_tensor = partial(torch.tensor, dtype=torch.float32, device=model.device)
    return to_tensor(weight), to_tensor(bias)


def _vary(collator: Collator, copies: int) -> Iterator[Collator]:
    """Yield the collator without augmentation, and with another augmentation for each copy."""
    plain = copy.copy(collator)
    plain.augment = None
    yield plain
    for number in range(1, copies + 1):
        collator.epoch.fill_(number)
        yield collator


@torch.no_grad()
def mean_hidden_states(
    model: PreTrainedModel, dataset: Dataset, collator: Collator, *, batch_size: int, bf16: bool
) -> np.ndarray:
    """Return the mean hidden states, as the stock head pools them, ``(N, D)`` in the order of the dataset.

    Args:
        model: A model with a linear head (`projector` and `classifier`).
        dataset: Utterances, with the columns `label` and `duration`.
        collator: Collator without augmentation.
        batch_size: Utterances per forward pass.
        bf16: Run the encoder in bfloat16.
    """

    def pool(batch: BatchFeature) -> torch.Tensor:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            return model(**batch).logits.float()

    with without_head(model):
        return run_in_order(pool, model, dataset, collator, batch_size)


def run_in_order(
    run: Callable[[BatchFeature], torch.Tensor],
    model: PreTrainedModel,
    dataset: Dataset,
    collator: Collator,
    batch_size: int,
) -> np.ndarray:
    """Run batches of similar durations, and return the results ``(N, D)`` in the order of the dataset."""
    order = evaluation_order(dataset["duration"])
    loader = DataLoader(dataset, evaluation_batch_size(model.config, batch_size), sampler=order, collate_fn=collator)
    results = []
    for batch in tqdm(loader, "Probing the encoder", leave=False):
        batch.pop("labels")
        results.append(run(batch.to(model.device)).cpu())
    return torch.cat(results).numpy()[np.argsort(order)]


@torch.no_grad()
def _write_head(model: PreTrainedModel, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Write the probe into the first C rows of the projection.

    The other rows stay random. Their weights in the classifier start at zero, so they do not change the scores before
    training.
    """
    projector, classifier = model.projector, model.classifier
    assert isinstance(projector, nn.Linear) and isinstance(classifier, nn.Linear)
    classes = len(bias)
    norms = weight.norm(dim=1)  # distributed over both layers, so that they learn at similar rates
    size = projector.weight.norm(dim=1).mean()
    projector.weight[:classes] = weight / norms[:, None] * size
    projector.bias.zero_()
    classifier.weight.zero_()
    classifier.weight[:, :classes] = torch.diag(norms / size)
    classifier.bias.copy_(bias)
