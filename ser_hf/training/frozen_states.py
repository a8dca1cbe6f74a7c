"""Compute the outputs of the frozen part of a model once, keep them in the cache, and train on them.

The cache has a file per utterance, a memory-mapped array ``(F, D)`` of float16. Its key consists of the weights and
the configuration of the frozen part, of the audio file and of the segment, so that other runs with the same encoder,
such as the folds of a cross-validation and the trials of a sweep, find it too.

Shapes: B batch, F frames, D size of a frame, T samples.
"""

import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import BatchFeature, PreTrainedModel
from transformers import __version__ as TRANSFORMERS

from ser_hf.cache import cache_folder, keep_file
from ser_hf.corpora.spelling import unspell
from ser_hf.data.audio import SAMPLING_RATE, cached_audio
from ser_hf.data.collator import MIN_SAMPLES, Collator
from ser_hf.data.sampler import evaluation_order
from ser_hf.models.context import POSITIONS_PER_SECOND, context_of
from ser_hf.models.frozen import FrozenPart, find_frozen_part, from_frozen_part, run_frozen_part

if TYPE_CHECKING:
    from ser_hf.training.trainer import SerTrainer

FREE = 0.5  # share of the free space of the disk that the states of a training may take
# Fields of a configuration that do not describe the encoder.
NOT_OF_ENCODER = {"_name_or_path", "architectures", "classifier_proj_size", "id2label", "label2id", "problem_type"}

logger = logging.getLogger(__name__)


class FrozenStates:
    """Load the outputs of the frozen part of a model from the cache, as the inputs of a training batch.

    Args:
        model: Audio classifier.
        part: Its frozen part.
        collator: Collator of the training rows.
        bf16: Whether the part is computed in bfloat16.
    """

    def __init__(self, model: PreTrainedModel, part: FrozenPart, collator: Collator, *, bf16: bool = False):
        self.name = model.main_input_name
        self.masked = model.config.model_type != "whisper"
        digest = hashlib.blake2b(digest_size=16)
        stock = type(model.config)().to_dict().keys() - NOT_OF_ENCODER
        settings = {key: value for key, value in model.config.to_dict().items() if key in stock}
        identity = [settings, collator.feature_extractor.to_dict(), part.layers, bf16, TRANSFORMERS]
        digest.update(json.dumps(identity, sort_keys=True, default=str).encode())
        for module in part.modules:
            for name, tensor in module.state_dict().items():
                digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().data)
        self.folder = cache_folder() / "frozen" / digest.hexdigest()

    def __call__(self, rows: list[dict]) -> BatchFeature:
        """Return states ``(B, F, D)`` float16, zero-padded, and the attention mask ``(B, T)`` of their audio."""
        states = [np.load(self.path(row), mmap_mode="r", allow_pickle=False) for row in rows]
        padded = np.zeros((len(rows), max(map(len, states)), states[0].shape[1]), dtype=np.float16)
        for i, state in enumerate(states):
            padded[i, : len(state)] = state
        batch = BatchFeature({self.name: torch.from_numpy(padded)})
        if self.masked:
            samples = torch.tensor(list(map(_count_samples, rows)))
            batch["attention_mask"] = (torch.arange(int(samples.max())) < samples[:, None]).int()
        return batch

    def path(self, row: dict) -> Path:
        """Return the cache file of a row, whether it exists or not."""
        audio = cached_audio(unspell(row["audio"]["path"]), start=row["start"], end=row["end"])
        identity = (
            f"{audio.parent.name}{audio.name}|{row['window_start']}|{row['window_end']}|{row['pauses']}|{row['speech']}"
        )
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:34]}.npy"


@contextmanager
def train_on_states(trainer: "SerTrainer") -> Iterator[None]:
    """Let a trainer train on stored outputs of the frozen part of its model, if they never change.

    They change with augmentation, mixup and masks. They are not stored if those that are not in the cache yet would
    take more than half of the free space of the disk, of any machine.
    """
    model, collator, args = trainer.model, trainer.data_collator, trainer.args
    part = find_frozen_part(model)
    changing = collator.augment or collator.mixup or collator.mask
    if part is None or changing or not args.cache_frozen:
        yield
        return
    states = FrozenStates(model.to(args.device), part, collator, bf16=args.bf16)  # type: ignore[arg-type]
    rows = trainer.train_dataset
    missing = [i for i in evaluation_order(rows["duration"]) if not _is_whole(states.path(rows[i]))]
    if not all(gather_object([_have_space(trainer, part, missing)])):
        yield
        return
    fill_cache(trainer, states, part, missing)
    collator.load_states = states
    try:
        with from_frozen_part(model, part):
            yield
    finally:
        collator.load_states = None


def fill_cache(trainer: "SerTrainer", states: FrozenStates, part: FrozenPart, missing: list[int]) -> None:
    """Compute the outputs of the frozen part for the training rows that are not in the cache, in all processes."""
    model: Any
    model, rows, args = trainer.model, trainer.train_dataset, trainer.args
    if missing:
        logger.info(f"The frozen part of the model is computed once, for {len(missing)} utterances: {states.folder}")
    loader = DataLoader(
        rows,
        args.per_device_eval_batch_size,
        sampler=missing[args.process_index :: args.world_size],
        collate_fn=partial(_with_rows, trainer.data_collator),
        num_workers=args.dataloader_num_workers,
    )
    training = model.training
    model.eval()
    for batch, inputs in tqdm(loader, "Computing the frozen part", leave=False):
        inputs.pop("labels")
        with torch.autocast(model.device.type, torch.bfloat16, enabled=args.bf16):
            outputs = run_frozen_part(model, part, inputs.to(model.device))
        lengths = [outputs.shape[1]] * len(batch)
        if states.masked:
            lengths = model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(-1)).tolist()
        limit = torch.finfo(torch.float16).max
        for row, output, frames in zip(batch, outputs.clamp(-limit, limit).half().cpu().numpy(), lengths, strict=True):
            content = io.BytesIO()
            np.save(content, output[:frames])
            keep_file(states.path(row), content.getvalue())
    model.train(training)
    trainer.accelerator.wait_for_everyone()


def _with_rows(collator: Collator, rows: list[dict]) -> tuple[list[dict], BatchFeature]:
    return rows, collator(rows)


def _count_samples(row: dict) -> int:
    """Return the number of samples of a training row, with the padding of short ones."""
    first, last = (round(row[name] * SAMPLING_RATE) for name in ("window_start", "window_end"))
    return max(last - first, MIN_SAMPLES)


def _is_whole(path: Path) -> bool:
    """Return whether a cache file exists and is as long as its header says."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True


def _have_space(trainer: "SerTrainer", part: FrozenPart, missing: list[int]) -> bool:
    """Return whether the states that are not in the cache take at most `FREE` of the free space."""
    config: Any = trainer.model.config
    seconds = np.asarray(trainer.train_dataset["duration"])[missing].sum()
    if config.model_type == "whisper":
        seconds = context_of(config) * len(missing)  # all utterances are padded to it
    size = seconds * POSITIONS_PER_SECOND * 2 * (config.conv_dim[-1] if part.channels_first else config.hidden_size)
    folder = next(path for path in (cache_folder(), *cache_folder().absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if size > FREE * free:
        logger.info(
            f"The outputs of the frozen part are computed again in each epoch: in the cache, they would take "
            f"{size / 1e9:.1f} GB of {free / 1e9:.1f} GB. Set SER_HF_CACHE to a folder on a larger disk, or delete "
            f"'{cache_folder() / 'frozen'}', the outputs of earlier trainings."
        )
        return False
    return True
