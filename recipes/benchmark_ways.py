"""Ways of training for `recipes/benchmark.py` (see its --help): transformers' example, and `recipes/finetune.py`."""

import sys

if __name__ == "__main__":
    print(__doc__)
    sys.exit()  # before the imports below, which take seconds

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile
from datasets import Dataset, DatasetDict
from transformers import AutoConfig, AutoModelForAudioClassification, Trainer, TrainingArguments
from transformers.trainer_utils import IntervalStrategy

from ser_hf.corpora import Utterance
from ser_hf.data import build_dataset, prepare_audio
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.models.checkpoint_loading import default_feature_extractor
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.runs.training_arguments import SerTrainingArguments
from ser_hf.training.components import make_model, make_trainer, prepare_process

EMOTIONS = ("angry", "happy", "neutral", "sad")
BATCH_SIZE = 4
LAYERDROP = {"layerdrop": "0"}
WHISPER_BASE = {
    "d_model": "512", "encoder_layers": "6", "encoder_attention_heads": "8", "encoder_ffn_dim": "2048",
    "decoder_layers": "6", "decoder_attention_heads": "8", "decoder_ffn_dim": "2048",
}  # fmt: skip


class Architecture(NamedTuple):
    """Describe a model with random weights."""

    kind: str  # `model_type` of transformers
    values: dict[str, str]  # that differ from its default configuration
    layers: int


MODELS = {
    "wav2vec2-base": Architecture("wav2vec2", LAYERDROP, 12),
    "wavlm-base": Architecture("wavlm", LAYERDROP, 12),
    "hubert-base": Architecture("hubert", LAYERDROP, 12),
    "whisper-tiny": Architecture("whisper", {}, 4),
    "whisper-base": Architecture("whisper", WHISPER_BASE, 6),
}


@dataclass(frozen=True)
class Way:
    """Describe a way of training: the stock way if `freeze` is None."""

    model: Architecture
    freeze: str | None = None
    bf16: bool = False
    compiled: bool = False


def make_stock(way: Way, paths: Sequence[str], epochs: int, folder: str) -> Trainer:
    """Return the Trainer of the example of transformers."""
    kind, values, _ = way.model
    config = AutoConfig.for_model(kind, num_labels=len(EMOTIONS))
    if values:
        config.update_from_string(",".join(f"{key}={value}" for key, value in values.items()))
    model = AutoModelForAudioClassification.from_config(config)
    if hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    extractor = default_feature_extractor(config)
    name = extractor.model_input_names[0]

    def transform(batch: dict) -> dict:
        waveforms = [soundfile.read(path, dtype="float32")[0] for path in batch["path"]]
        return {name: extractor(waveforms, sampling_rate=SAMPLING_RATE)[name], "labels": batch["label"]}

    dataset = Dataset.from_dict({"path": list(paths), "label": [i % len(EMOTIONS) for i in range(len(paths))]})
    dataset.set_transform(transform)
    arguments = TrainingArguments(
        str(Path(folder, "stock")),
        per_device_train_batch_size=BATCH_SIZE,
        num_train_epochs=epochs,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    return Trainer(model, arguments, train_dataset=dataset, processing_class=extractor)


def make_ours(way: Way, paths: Sequence[str], epochs: int, folder: str) -> Trainer:
    """Return the Trainer of `recipes/finetune.py`."""
    kind, values, _ = way.model
    rows = [
        Utterance(path=path, corpus="folder", emotion=EMOTIONS[i % len(EMOTIONS)], speaker=str(i))
        for i, path in enumerate(paths)
    ]
    split, _ = prepare_audio({"train": rows, "validation": rows[:1]}, raw=("validation",))
    dataset: DatasetDict = build_dataset(split, {"folder": Path(paths[0]).parent}, raw=("validation",))
    data = DataArguments(["folder"], [str(Path(paths[0]).parent)])
    overrides = [f"{key}={value}" for key, value in values.items()]
    model_args = ModelArguments(model_type=kind, freeze=str(way.freeze), config_overrides=overrides)
    training = SerTrainingArguments(
        str(Path(folder, "ours")),
        per_device_train_batch_size=BATCH_SIZE,
        num_train_epochs=epochs,
        bf16=way.bf16,
        torch_compile=way.compiled,
        report_to="none",
        disable_tqdm=True,
    )
    training.eval_strategy = training.save_strategy = IntervalStrategy.NO
    training.load_best_model_at_end = False
    prepare_process(training)
    model, extractor = make_model(data.task, list(EMOTIONS), model_args, training, dataset)
    return make_trainer(model, extractor, dataset, data=data, model_args=model_args, training=training)
