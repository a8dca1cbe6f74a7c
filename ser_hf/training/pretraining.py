"""Continue the self-supervised pretraining of wav2vec 2.0: masks, negatives, temperature and loss.

Shapes: B batch, T samples, F frames, N negatives.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from datasets import DatasetDict
from transformers import (
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
    Trainer,
    TrainerCallback,
)
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

from ser_hf.data import Collator, extract_features
from ser_hf.data.augment import Augmentation
from ser_hf.data.collator import MIN_SAMPLES
from ser_hf.runs.pretraining_arguments import PretrainingArguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.callbacks import DivergenceCallback, EpochCallback
from ser_hf.training.epoch_table import print_epochs
from ser_hf.training.trainer import SerTrainer

IGNORED = -100  # label of a frame that is not masked, as in the losses of torch
COLLAPSED = 1.1  # codes per group; a collapsed codebook has 1


class MaskingCollator(Collator):
    """Decode dataset rows, augment those of the training part, extract features, and choose masks and negatives.

    The validation rows have the same masks and negatives in every epoch, so that their losses can be compared.

    Args:
        feature_extractor: The feature extractor of the encoder.
        config: The configuration of the encoder.
        arguments: Masking options.
        augment: From `build_augmentation`; None for no augmentation.
        seed: The same seed, epoch and utterance give the same mask and negatives.
    """

    def __init__(
        self,
        feature_extractor: SequenceFeatureExtractor,
        config: PreTrainedConfig,
        arguments: PretrainingArguments,
        *,
        augment: Augmentation | None = None,
        seed: int = 0,
    ):
        super().__init__(feature_extractor, augment=augment, seed=seed)
        self.config = config
        self.arguments = arguments

    def __call__(self, rows: list[dict]) -> BatchFeature:
        """Return the inputs of the model, and `labels` ``(B, F)``: 0 for masked frames and -100 for the others."""
        waveforms = [self._waveform(row) for row in rows]
        waveforms = [np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples)))) for samples in waveforms]
        batch = extract_features(self.feature_extractor, waveforms)
        frames = count_frames(batch["attention_mask"].sum(-1), self.config).tolist()  # B integers
        mask = np.zeros((len(rows), max(frames)), dtype=bool)
        negatives = np.zeros((*mask.shape, self.config.num_negatives), dtype=np.int64)  # (B, F, N)
        for i, (row, count) in enumerate(zip(rows, frames, strict=True)):
            with _numpy_seed(self._seed(row)):
                own = _compute_mask_indices(
                    (1, count), self.arguments.mask_time_prob, self.arguments.mask_time_length, min_masks=2
                )
                mask[i, :count] = own
                # the model looks negatives up in the frames of the whole mini-batch, one utterance after another
                first = i * mask.shape[1]
                negatives[i, :count] = first + _sample_negative_indices((1, count), self.config.num_negatives, own)
        batch["mask_time_indices"] = torch.from_numpy(mask)
        batch["sampled_negative_indices"] = torch.from_numpy(negatives)
        batch["labels"] = torch.where(batch["mask_time_indices"], 0, IGNORED)
        return batch

    def _seed(self, row: dict) -> tuple[int, int, int]:
        seed, epoch, index = super()._seed(row)
        return seed, epoch if row["split"] == "train" else 0, index


def count_frames(samples: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    """Return the number of frames ``(B,)`` that the convolutions of an encoder compute from ``samples (B,)``."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


@contextmanager
def _numpy_seed(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed the global generator of numpy, which the functions of transformers use, and restore it."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


class Pretrainer(SerTrainer):
    """Train an encoder from `build_self_supervised` on its objective; the best epoch has the lowest validation loss.

    The log of each epoch has `perplexity` and `eval_perplexity`: the effective number of codes per group of the
    quantizer that a mini-batch uses.

    Args:
        model: Model from `build_self_supervised`.
        args: Training arguments.
        data_collator: Collator; its `epoch` is updated during training.
        dataset: DatasetDict with "train" and "validation".
        arguments: Temperatures of the quantizer.
    """

    balance_corpora = False

    def __init__(
        self,
        model: PreTrainedModel,
        args: SerTrainingArguments,
        data_collator: MaskingCollator,
        *,
        dataset: DatasetDict,
        arguments: PretrainingArguments,
    ):
        args.label_names = ["labels"]
        self.perplexities: list[torch.Tensor] = []
        Trainer.__init__(  # SerTrainer takes the loss and the metrics from a task
            self,
            model=model,
            args=args,
            data_collator=data_collator,  # type: ignore[arg-type]
            train_dataset=dataset["train"],
            eval_dataset=dataset["validation"],
            processing_class=data_collator.feature_extractor,
            compute_loss_func=mean_loss,
            callbacks=[
                EpochCallback(data_collator.epoch),
                DivergenceCallback(),
                TemperatureCallback(arguments.gumbel_start, arguments.gumbel_end),
            ],
        )
        print_epochs(self, "perplexity", "perplexity")

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Return the loss, and keep the perplexity of the codebook for the log of the epoch."""
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        self.perplexities.append(outputs.codevector_perplexity.detach() / self.model.config.num_codevector_groups)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean perplexity of the training or validation batches to the log.

        Raises:
            ValueError: If the codebook has collapsed.
        """
        prefix = next((prefix for prefix in ("", "eval_") if f"{prefix}loss" in logs), None)
        if prefix is not None:
            mean = self.accelerator.gather(torch.stack(self.perplexities).mean()).mean().item()
            self.perplexities = []
            logs[f"{prefix}perplexity"] = mean
        super().log(logs, start_time)
        if logs.get("eval_perplexity", COLLAPSED) < COLLAPSED:
            raise ValueError(
                f"The codebook collapsed: in epoch {self.state.epoch:g}, the validation speakers use {mean:.2f} of "
                f"{self.model.config.num_codevectors_per_group} codes per group. Lower --learning_rate, or raise the "
                "weight of the diversity loss with --config_overrides diversity_loss_weight=0.5, and pass a new "
                "--output_dir."
            )


def mean_loss(outputs, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
    """Return the loss per masked frame of an optimizer step, over all its mini-batches and processes.

    Args:
        outputs: Of the model; `loss` is a sum over the masked frames.
        labels: From `MaskingCollator`, ``(B, F)``.
        num_items_in_batch: Number of masked frames of the step; None to count those of `labels`.
    """
    count = labels.ne(IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
    return outputs.loss / count


class TemperatureCallback(TrainerCallback):
    """Decay the Gumbel temperature of the quantizer exponentially over the training.

    Args:
        start: Temperature of the first step.
        end: Temperature at the end of the training.
    """

    def __init__(self, start: float, end: float):
        self.start = start
        self.end = end

    def on_step_begin(self, args, state, control, model, **kwargs):  # type: ignore[override]
        """Set the temperature of the next step."""
        model.set_gumbel_temperature(self.start * (self.end / self.start) ** (state.global_step / state.max_steps))
