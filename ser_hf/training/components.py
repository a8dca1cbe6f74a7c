"""Build the components of a training from its arguments: model, head, augmentation and collator."""

import copy
import logging
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, SequenceFeatureExtractor, Trainer

from ser_hf.cpus import keep_freed_memory, usable_cpus
from ser_hf.data import Collator, SpectrogramMask, build_augmentation
from ser_hf.data.augment import Augmentation
from ser_hf.data.hearing import Hearing
from ser_hf.data.mixup import Mixup
from ser_hf.data.sampler import name_groups
from ser_hf.heads.ridge import STRENGTHS
from ser_hf.models import build_model
from ser_hf.models.adapters import add_adapter, check_peft
from ser_hf.models.backbone import SPECTROGRAM_MODELS
from ser_hf.models.checkpoint_loading import load_config
from ser_hf.models.context import context_of
from ser_hf.models.fast_modules import speed_up
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.tasks import CONFIG_KEY, load_task
from ser_hf.training.auxiliary import AuxiliaryLoss, list_dimensions, widen_head
from ser_hf.training.head_start import RegressionOptions, start_from_readout, start_from_regression
from ser_hf.training.trainer import SerTrainer


def prepare_process(training: SerTrainingArguments) -> None:
    """Restrict logging to rank 0, distribute the CPU cores over the processes, and keep the memory of large arrays.

    Raises:
        ValueError: If one process has several GPUs.
    """
    logging.getLogger("ser_hf").setLevel(logging.INFO if training.process_index == 0 else logging.ERROR)
    if training.use_cpu:  # accelerate launch sets one thread per process
        torch.set_num_threads(usable_cpus())
        keep_freed_memory()
    if training.n_gpu > 1:
        raise ValueError(
            f"Expected one process per GPU, found one process with {training.n_gpu} GPUs. Launch with --config_file "
            "recipes/accelerate/multi_gpu.yaml, or set CUDA_VISIBLE_DEVICES=0."
        )


def check_setup(data: DataArguments, model_args: ModelArguments, training: SerTrainingArguments) -> None:
    """Load the config of the encoder and set up a Trainer without data, so that faults are found before reading audio.

    Args:
        data: Data arguments of the recipe.
        model_args: Model arguments of the recipe.
        training: Training arguments of the recipe.

    Raises:
        OSError: If the encoder is missing.
        ImportError: If a package for the adapter, the optimizer or `report_to` is not installed.
        ValueError: If the optimizer, its arguments or the learning rate schedule are unknown, the head would stay
            random, an augmentation would have no effect, or several processes would unfreeze layers.
        RuntimeError: For other reasons of the Trainer.
    """
    if training.num_train_epochs == 0 and model_args.head_init == "random":
        raise ValueError("num_train_epochs: 0 leaves a random head; pass --head_init probe or readout.")
    check_head_copies(data, model_args, training)
    if model_args.adapter:
        check_peft()
    if training.gradual_unfreezing and training.world_size > 1:
        raise ValueError(
            "gradual_unfreezing: expected one process, because DDP needs the same parameters in each epoch."
        )
    if training.num_train_epochs == 0 and training.rehearse:
        raise ValueError("rehearse: expected with --num_train_epochs above 0. Leave it out.")
    if model_args.model_name_or_path is not None:
        load_config(model_args.model_name_or_path, model_args.trust_remote_code, model_args.revision)
    with TemporaryDirectory() as folder:
        arguments = copy.copy(training)
        arguments.output_dir, arguments.push_to_hub = folder, False
        trainer = Trainer(nn.Linear(1, 1), arguments, train_dataset=[0], eval_dataset=[0])
        trainer.create_optimizer_and_scheduler(num_training_steps=1)


def check_head_copies(data: DataArguments, model_args: ModelArguments, training: SerTrainingArguments) -> None:
    """Check that copies of the head's training utterances are augmented, and that an augmentation has an effect.

    Raises:
        ValueError: If it has none.
    """
    augmented = make_augmentation(data) is not None
    if model_args.head_copies and not augmented:
        raise ValueError("head_copies: expected with an augmentation, such as --telephone true, and only then.")
    if augmented and training.num_train_epochs == 0 and not model_args.head_copies:
        raise ValueError(
            "num_train_epochs: 0 trains the head only, so the augmentation has no effect; expected --head_copies 1 or "
            "more, or no augmentation."
        )


def make_model(
    task: str, outputs: Sequence[str], model_args: ModelArguments, training: SerTrainingArguments, dataset: DatasetDict
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Build the model of a task and its feature extractor, for the outputs and the longest utterance of the dataset.

    The test part does not influence the model. Longer test utterances are truncated by the stock pipeline, and counted.

    Args:
        task: What is recognised, a key of `TASKS`.
        outputs: Names of the outputs of the model, in their order.
        model_args: Model arguments of the recipe.
        training: Training arguments of the recipe.
        dataset: DatasetDict with "train" and "validation".
    """
    frozen_layers = model_args.freeze == "encoder" or model_args.freeze.isdigit()
    dropping_breaks = training.world_size > 1 or training.gradient_checkpointing or frozen_layers
    model, feature_extractor = build_model(
        model_args.model_name_or_path,
        outputs=outputs,
        problem_type=load_task(task).PROBLEM_TYPE,
        model_type=model_args.model_type,
        config_overrides=dict(item.split("=", 1) for item in model_args.config_overrides),
        freeze=model_args.freeze,
        layer_sum=model_args.layer_sum,
        masking=masking(model_args),
        longest=max(max(dataset[part]["duration"]) for part in ("train", "validation")),
        layerdrop=0.0 if dropping_breaks else None,
        revision=model_args.revision,
        trust_remote_code=model_args.trust_remote_code,
    )
    setattr(model.config, CONFIG_KEY, task)
    speed_up(model)
    if model_args.adapter:
        rank, alpha = model_args.adapter_rank, model_args.adapter_alpha
        assert rank is not None and alpha is not None
        add_adapter(model, model_args.adapter, rank=rank, alpha=alpha, targets=model_args.adapter_targets)
    return model, feature_extractor


def recommend_preprocessing(config: PreTrainedConfig, data: DataArguments) -> None:
    """Write the preprocessing for `EmotionClassifier(preprocessing="recommended")` into a model's config, in place."""
    longest = max(1.0, min(data.max_duration, context_of(config)))
    config.recommended_preprocessing = Hearing(
        data.recommended_trim, longest, data.window_overlap, data.speech
    ).describe()


def start_head(
    model_args: ModelArguments,
    model: PreTrainedModel,
    dataset: Dataset,
    feature_extractor: SequenceFeatureExtractor,
    *,
    data: DataArguments,
    training: SerTrainingArguments,
    strength: float | None = None,
) -> PreTrainedModel:
    """Fit the head on the frozen encoder; all processes run the same fit, so their initial weights are equal.

    Args:
        model_args: Model arguments, for `head_init` and the number of augmented copies.
        model: From `make_model`, on the device of the training.
        dataset: Training rows.
        feature_extractor: Feature extractor of the model.
        data: Data arguments, for the augmentation of the copies and the weights of the utterances.
        training: Training arguments, for batch size and precision.
        strength: Penalty of the fit; None to choose it by cross-validation over the speakers.

    Raises:
        ValueError: If the architecture does not support `head_init`.
    """
    head_init, copies = model_args.head_init, model_args.head_copies
    options = RegressionOptions(
        training.per_device_eval_batch_size,
        strengths=STRENGTHS if strength is None else (strength,),
        groups=name_groups(dataset) if data.balance_corpora else None,
        copies=copies,
    )
    collator = Collator(feature_extractor, augment=make_augmentation(data) if copies else None, seed=training.seed)
    if head_init == "readout":
        return start_from_readout(model, dataset, collator, options)
    if head_init == "probe":
        start_from_regression(model, dataset, collator, options, bf16=training.bf16)
    return model


def masking(model_args: ModelArguments) -> dict[str, Any]:
    """Return the SpecAugment settings of a recipe by their names in model configs."""
    names = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
    return {name: getattr(model_args, name) for name in names}


def make_mask(model_args: ModelArguments, model: PreTrainedModel) -> SpectrogramMask | None:
    """Return the SpecAugment mask of spectrograms; None for architectures that mask by themselves."""
    if model.config.model_type not in SPECTROGRAM_MODELS:
        return None
    return SpectrogramMask(**{name.removeprefix("mask_"): value for name, value in masking(model_args).items()})


def make_mixup(data: DataArguments, model: PreTrainedModel) -> Mixup | None:
    """Return the mixup of training utterances; None without mixup."""
    return Mixup(data.mixup, model.config.num_labels) if data.mixup else None  # type: ignore[arg-type]


def make_augmentation(data: DataArguments) -> Augmentation | None:
    """Return the augmentation of training waveforms; None without augmentation."""
    names = (
        "noise_snr", "time_shift", "gain", "pitch", "tempo", "speed", "noise_folder", "reverb", "telephone", "codec",
    )  # fmt: skip
    return build_augmentation(probability=data.augment_probability, **{name: getattr(data, name) for name in names})


def make_collator(
    data: DataArguments,
    model_args: ModelArguments,
    training: SerTrainingArguments,
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
    dataset: DatasetDict,
) -> Collator:
    """Return the collator of the training, with augmentation, mixup and SpecAugment."""
    return Collator(
        feature_extractor,
        augment=make_augmentation(data),
        mixup=make_mixup(data, model),
        mask=make_mask(model_args, model),
        seed=training.seed,
        ratings=list_dimensions(data, dataset["train"]),
    )


def make_trainer(
    model: PreTrainedModel,
    feature_extractor: SequenceFeatureExtractor,
    dataset: DatasetDict,
    *,
    data: DataArguments,
    model_args: ModelArguments,
    training: SerTrainingArguments,
) -> SerTrainer:
    """Return the Trainer of a model, with the collator that changes its training input.

    Args:
        model: From `make_model`, after `start_head`.
        feature_extractor: From `make_model`.
        dataset: DatasetDict with "train" and "validation".
        data: Data arguments of the recipe.
        model_args: Model arguments of the recipe.
        training: Training arguments of the Trainer.
    """
    collator = make_collator(data, model_args, training, model, feature_extractor, dataset)
    if collator.ratings:
        widen_head(model, len(collator.ratings))
    trainer = SerTrainer(
        model,
        training,
        collator,
        dataset=dataset,
        feature_extractor=feature_extractor,
        balance_corpora=data.balance_corpora,
    )
    if collator.ratings:
        ratings = np.array([dataset["train"][name] for name in collator.ratings], dtype=float).T
        outputs: int = model.config.num_labels  # type: ignore[assignment]
        columns = 1 if isinstance(dataset["train"].features["label"], ClassLabel) else outputs
        weight = training.auxiliary_weight
        trainer.compute_loss_func = AuxiliaryLoss(trainer.compute_loss_func, ratings, outputs, columns, weight)
    return trainer
