"""Fit the head for known voices at the end of a training, from which `ser-hf adapt` makes models for one voice."""

import logging

from datasets import Dataset
from transformers import PreTrainedModel, SequenceFeatureExtractor

from ser_hf.data import Collator
from ser_hf.heads.linear_head import check_linear, head_inputs
from ser_hf.heads.voice import check_speakers, fit_voice_head
from ser_hf.heads.voice_files import save_voice_head
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.head_start import run_in_order

logger = logging.getLogger(__name__)


def check_voices(model: PreTrainedModel, dataset: Dataset) -> None:
    """Check before the training that a head for known voices can be fitted after it.

    Args:
        model: The model to train.
        dataset: Training rows.

    Raises:
        ValueError: If the head is not linear, or for the reasons of `check_speakers`.
    """
    try:
        check_linear(model)
    except ValueError as error:
        raise ValueError(f"voice_head: {error} Leave out voice_head.") from error
    check_speakers(dataset["speaker"])


def store_voice_head(
    model: PreTrainedModel,
    dataset: Dataset,
    feature_extractor: SequenceFeatureExtractor,
    training: SerTrainingArguments,
) -> None:
    """Fit a head for known voices on the inputs of the head of a trained model, and write it to the output folder.

    Args:
        model: The trained model.
        dataset: Training rows, with the columns `label`, `speaker` and `duration`.
        feature_extractor: Feature extractor of the model.
        training: Training arguments, for the batch size and the output folder.
    """
    was_training = model.training
    model.eval()
    size = training.per_device_eval_batch_size
    inputs = run_in_order(lambda batch: head_inputs(model, batch), model, dataset, Collator(feature_extractor), size)
    model.train(was_training)
    head = fit_voice_head(inputs, dataset["label"], dataset["speaker"])
    save_voice_head(head, training.output_dir)
    logger.info(f"Head for known voices: {len(head.mean)} inputs, {len(set(dataset['speaker']))} training speakers.")
