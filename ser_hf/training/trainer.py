"""Extend the stock Trainer by a head learning rate, batches of similar durations, and predictions in dataset order."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Trainer,
    TrainerCallback,
    TrainerState,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, PredictionOutput, TrainOutput, seed_worker

from ser_hf.data.collator import FIXED_LENGTH, Collator
from ser_hf.data.sampler import EpochRows, LengthGroupedSampler, SecondsBatchSampler, evaluation_order, name_groups
from ser_hf.models.backbone import count_layers, layer_number
from ser_hf.models.checkpoint_loading import is_head
from ser_hf.models.padding import evaluation_batch_size
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.tasks import load_task, name_task
from ser_hf.tasks.losses import RegressionLoss
from ser_hf.training.averaging import WeightAverage
from ser_hf.training.callbacks import DivergenceCallback, EpochCallback
from ser_hf.training.epoch_table import print_epochs
from ser_hf.training.frozen_states import train_on_states
from ser_hf.training.unfreezing import GradualUnfreezing
from ser_hf.training.whole_step import predict_step


class SerTrainer(Trainer):
    """Train a stock audio classifier on the parts of a dataset from `build_dataset`.

    Args:
        model: Model from `make_model`; its configuration names the task, which defines loss and metrics.
        args: Training arguments.
        data_collator: Collator; its `epoch` is updated during training.
        dataset: DatasetDict with "train" and "validation".
        feature_extractor: Feature extractor, saved in each checkpoint.
        balance_corpora: Whether an epoch has equally many utterances of each emotion of each corpus.

    Raises:
        ValueError: If `batch_seconds` is set and the feature extractor pads all utterances to the same duration.
    """

    model: PreTrainedModel
    args: SerTrainingArguments
    data_collator: Collator  # type: ignore[assignment]
    train_dataset: Dataset

    def __init__(
        self,
        model: PreTrainedModel,
        args: SerTrainingArguments,
        data_collator: Collator,
        *,
        dataset: DatasetDict,
        feature_extractor: SequenceFeatureExtractor,
        balance_corpora: bool = False,
    ):
        self.balance_corpora = balance_corpora
        if args.batch_seconds is not None and isinstance(feature_extractor, FIXED_LENGTH):
            raise ValueError(
                "batch_seconds: expected an architecture that pads utterances to the longest one of a batch, found "
                f"{model.config.model_type}, which pads all to the same duration. Set per_device_train_batch_size."
            )
        args.per_device_eval_batch_size = evaluation_batch_size(model.config, args.per_device_eval_batch_size)
        task = load_task(name_task(model.config))
        callbacks: list[TrainerCallback] = [EpochCallback(data_collator.epoch), DivergenceCallback()]
        if args.early_stopping_patience is not None:
            callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
        if args.ema_decay is not None:
            callbacks.append(WeightAverage(args.ema_decay))
        if args.gradual_unfreezing:
            callbacks.append(GradualUnfreezing(model))
        super().__init__(
            model=model,
            args=args,
            data_collator=data_collator,  # type: ignore[arg-type]
            train_dataset=dataset["train"],
            eval_dataset=dataset["validation"],
            processing_class=feature_extractor,
            compute_loss_func=task.make_loss(dataset["train"], args),
            compute_metrics=task.compute_metrics,
            callbacks=callbacks,
        )
        name, metric = next(iter(task.METRICS.items()))
        print_epochs(self, name, metric.short)

    def train(self, resume_from_checkpoint: str | None = None, **options) -> TrainOutput:  # type: ignore[override]
        """Train; a training that had stopped, for example by early stopping, is not continued."""
        if resume_from_checkpoint is None:
            with train_on_states(self):
                return super().train(**options)
        state = TrainerState.load_from_json(str(Path(resume_from_checkpoint, TRAINER_STATE_NAME)))
        stopped = state.stateful_callbacks["TrainerControl"]["args"]["should_training_stop"]
        if not stopped or state.num_train_epochs < self.args.num_train_epochs:
            with train_on_states(self):
                return super().train(resume_from_checkpoint, **options)
        self.state = state
        best = state.best_model_checkpoint if self.args.load_best_model_at_end else None
        self._load_from_checkpoint(best or resume_from_checkpoint)
        return TrainOutput(state.global_step, 0.0, {})

    def get_batch_samples(self, epoch_iterator, num_batches: int, device: torch.device):
        """Return the batches of an optimizer step, after a loss over the whole step got all predictions for them."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches and isinstance(self.compute_loss_func, RegressionLoss):
            predict_step(self, batches, self.compute_loss_func)
        return batches, count

    def _evaluate(self, trial, ignore_keys_for_eval, skip_scheduler: bool = False) -> dict[str, float]:
        """Evaluate; with `eval_on_start`, the start counts as an epoch and is kept until another one is better."""
        metrics = super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)
        if self.state.global_step == 0 and self.args.load_best_model_at_end:
            self._determine_best_metric(metrics, trial)
            folder = str(Path(self.args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-0"))
            self.save_model(folder, _internal_call=True)
            self.state.best_model_checkpoint = folder
        return metrics

    def get_train_dataloader(self) -> DataLoader:
        """Return the mini-batches of an epoch; with `batch_seconds`, their sizes differ."""
        if (seconds := self.args.batch_seconds) is None:
            return super().get_train_dataloader()
        args, dataset = self.args, self.train_dataset
        loader = DataLoader(
            dataset,
            batch_sampler=SecondsBatchSampler(self._epoch_rows(dataset), seconds, self._shares()),
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
            worker_init_fn=partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index),
        )
        return self.accelerator.prepare(loader)

    def _get_train_sampler(self, train_dataset=None) -> LengthGroupedSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        return LengthGroupedSampler(self._epoch_rows(dataset), self._train_batch_size * self._shares())

    def _shares(self) -> int:
        """Return the number of mini-batches of an optimizer step, over all processes."""
        return self.args.gradient_accumulation_steps * self.args.world_size

    def _epoch_rows(self, dataset: Dataset) -> EpochRows:
        return EpochRows(
            dataset["duration"],
            seed=self.args.seed,
            epoch=self.data_collator.epoch,
            sampling="balanced" if self.balance_corpora else self.args.sampling,
            categories=name_groups(dataset) if self.balance_corpora else dataset["emotion"],
        )

    def _get_eval_sampler(self, eval_dataset) -> list[int]:  # type: ignore[override]
        return evaluation_order(eval_dataset["duration"])

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer with rates by depth and for the head; biases and norms have no weight decay."""
        if self.optimizer is None:
            model = self.model if model is None else model
            decayed = set(self.get_decay_parameter_names(model))
            groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
            for name, rate in learning_rates(model, self.args).items():
                groups.setdefault((is_head(name), rate, name in decayed), []).append(model.get_parameter(name))
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, model)  # type: ignore[arg-type]
            parameters = [
                {"params": members, "lr": rate, "weight_decay": self.args.weight_decay if decays else 0.0}
                for (_, rate, decays), members in groups.items()
            ]
            self.optimizer = kind(parameters, **options)
        return self.optimizer

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """Predict one batch; only the logits of the task are gathered, without hidden states and auxiliary outputs."""
        ignored = ["hidden_states", "attentions"]
        loss, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignored)
        return loss, None if logits is None else logits[:, : self.model.config.num_labels], labels

    def evaluation_loop(self, *args, **kwargs):
        """Evaluate in float32 like the stock pipeline, even if training is in bfloat16."""
        with _exact_float32(self.accelerator.unwrap_model(self.model)):
            return super().evaluation_loop(*args, **kwargs)

    def predict(
        self, test_dataset: Dataset, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Predict a dataset in batches of similar durations; logits ``(N, C)`` are in the order of the dataset."""
        output = super().predict(test_dataset, ignore_keys, metric_key_prefix)
        back = np.argsort(evaluation_order(test_dataset["duration"]))
        predictions, labels = np.asarray(output.predictions), np.asarray(output.label_ids)
        return output._replace(predictions=predictions[back], label_ids=labels[back])


def learning_rates(model: nn.Module, args: SerTrainingArguments) -> dict[str, float]:
    """Return the peak learning rate of each trained parameter, by its name.

    With `layer_decay`, each transformer layer has the rate of the layer above times this factor. The top layer has
    `learning_rate`; everything outside of the layers, except the head, counts as the layer below the first one.

    Args:
        model: Audio classifier.
        args: Training arguments.

    Raises:
        ValueError: If `layer_decay` is set and the architecture has no transformer layers.

    Source: Clark et al. 2020, ELECTRA, https://arxiv.org/abs/2003.10555
    """
    layers = count_layers(model)
    if args.layer_decay is not None and not layers:
        raise ValueError("layer_decay: this architecture has no transformer layers. Leave it out.")
    decay = 1.0 if args.layer_decay is None else args.layer_decay
    head = args.head_learning_rate or args.learning_rate
    return {
        name: head if is_head(name) else args.learning_rate * decay ** (layers - layer_number(name))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@contextmanager
def _exact_float32(model: nn.Module) -> Iterator[None]:
    """Disable accelerate's autocast of `model`, and TF32 in convolutions on a GPU."""
    forward = model.forward
    if hasattr(model, "_original_forward"):  # set by accelerate if it wraps the forward pass
        model.forward = model._original_forward  # type: ignore[assignment]
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False):
            yield
    finally:
        if hasattr(model, "_original_forward"):
            model.forward = forward
