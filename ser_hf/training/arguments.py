"""What a recipe can say: three dataclasses, read from YAML first and from the command line after it."""

import difflib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments


@dataclass
class DataArguments:
    """Which speech, which labels, and who is held out."""

    corpus: str = field(metadata={"help": "Corpus: folder, ravdess, ravdess_song or synthetic."})
    data_root: str | None = field(
        default=None,
        metadata={"help": "The corpus' folder. Only 'synthetic' needs none: it is written to the cache."},
    )
    speaker_pattern: str | None = field(
        default=None,
        metadata={"help": r"Corpus 'folder': regular expression over the file name; group 1 is the speaker."},
    )
    label_set: Literal["all", "four", "big6"] = field(
        default="all", metadata={"help": "Emotions to keep; 'four' lets excited join happy, as with IEMOCAP."}
    )
    label_map: list[str] = field(
        default_factory=list, metadata={"help": "Renamed emotions, old=new; 'old=' drops one."}
    )
    split: Literal["speaker", "random"] = field(
        default="speaker",
        metadata={"help": "Hold out whole speakers, or utterances at random: the latter inflates the scores."},
    )
    protocol: str | None = field(
        default=None, metadata={"help": "Published folds: emobox (6) or luna2021 (5) for ravdess."}
    )
    fold: int = field(default=1, metadata={"help": "Fold of the protocol, from 1."})
    validation_share: float = field(
        default=0.2, metadata={"help": "Share of the training speakers that goes to validation, above 0 to 0.5."}
    )
    test_share: float = field(
        default=0.2, metadata={"help": "Share of the speakers that goes to test, above 0 to 0.5; not with a protocol."}
    )
    split_seed: int = field(default=0, metadata={"help": "Chooses the held-out speakers; same seed, same split."})
    max_duration: float = field(
        default=30.0, metadata={"help": "Longer utterances are cut to their first so many seconds."}
    )
    augment_probability: float = field(
        default=0.5, metadata={"help": "Chance of each augmentation below, at train time, 0 to 1."}
    )
    noise_snr: float | None = field(
        default=None, metadata={"help": "Add white noise at this SNR in dB or up to 30 dB better."}
    )
    time_shift: float | None = field(
        default=None, metadata={"help": "Shift by up to this share of the utterance either way."}
    )
    gain: float | None = field(default=None, metadata={"help": "Change the level by up to this many dB either way."})
    pitch: float | None = field(
        default=None, metadata={"help": "Shift the pitch by up to this many semitones either way."}
    )
    speed: float | None = field(
        default=None, metadata={"help": "Change the speaking rate by up to this share either way; pitch stays."}
    )

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name}: expected above 0 and at most 0.5, found {getattr(self, name)}.")
        if bad := [item for item in self.label_map if "=" not in item]:
            raise ValueError(f"label_map: expected old=new, found {bad}.")
        if self.data_root is None and self.corpus != "synthetic":
            raise ValueError(f"data_root: expected the folder of corpus '{self.corpus}'. Say --data_root FOLDER.")
        if self.speaker_pattern is not None and self.corpus != "folder":
            raise ValueError(f"speaker_pattern: only corpus 'folder' takes one; '{self.corpus}' knows its speakers.")
        for name in ("augment_probability", "time_shift", "speed"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}.")
        if self.max_duration < 1:
            raise ValueError(f"max_duration: expected at least 1 second, found {self.max_duration}.")
        if self.protocol is None and self.fold != 1:
            raise ValueError(f"fold: only a protocol has folds; say --protocol too, or leave out --fold {self.fold}.")
        if self.protocol is not None and self.split == "random":
            raise ValueError("protocol and split: a protocol holds out speakers; leave out --split random.")


@dataclass
class ModelArguments:
    """Which encoder, what is trained of it, and how its features are masked."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Pretrained encoder: Hub id or folder. Or give model_type."}
    )
    model_type: str | None = field(
        default=None, metadata={"help": "Architecture to train from random weights: mel, whisper, wav2vec2 …"}
    )
    config_overrides: list[str] = field(
        default_factory=list, metadata={"help": "Values of the architecture's config, key=value."}
    )
    freeze: Literal["none", "cnn", "encoder"] = field(
        default="none", metadata={"help": "Keep the convolutional front end, or all but the head, as it is."}
    )
    head_init: Literal["random", "probe"] = field(
        default="random",
        metadata={"help": "Start the head at random, or from a linear probe of the frozen encoder (LP-FT)."},
    )
    layer_sum: bool = field(default=False, metadata={"help": "Let the head read a learned sum of all layers."})
    mask_time_prob: float = field(default=0.0, metadata={"help": "SpecAugment: share of the frames to mask, 0 to 1."})
    mask_time_length: int = field(
        default=10,
        metadata={"help": "SpecAugment: frames of a span (20 ms each; 10 ms for Whisper, AST and mel)."},
    )
    mask_feature_prob: float = field(
        default=0.0, metadata={"help": "SpecAugment: share of the channels or mel bins to mask, 0 to 1."}
    )
    mask_feature_length: int = field(default=10, metadata={"help": "SpecAugment: channels or mel bins of a band."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run code that comes with the checkpoint. Only for authors you trust."}
    )

    def __post_init__(self) -> None:
        if bad := [item for item in self.config_overrides if "=" not in item]:
            raise ValueError(f"config_overrides: expected key=value, found {bad}.")
        if (self.model_name_or_path is None) == (self.model_type is None):
            raise ValueError(
                "Expected either --model_name_or_path (a pretrained encoder) or --model_type (an architecture to train "
                f"from random weights), found {self.model_name_or_path!r} and {self.model_type!r}."
            )
        for name in ("mask_time_prob", "mask_feature_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}.")
        for name in ("mask_time_length", "mask_feature_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}.")


@dataclass
class SerTrainingArguments(TrainingArguments):
    """`transformers.TrainingArguments` with defaults proven for speech emotion, and what the stock Trainer lacks."""

    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the head; 10 times the encoder's is usual. None: the same."}
    )
    class_weights: Literal["balanced", "none"] = field(
        default="balanced", metadata={"help": "Weigh each emotion inversely to its number of utterances."}
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after so many epochs without a better validation UA. None: never."}
    )
    # Source of the rates, warm-up, batch and clipping: SUPERB, https://arxiv.org/abs/2105.01051, and Wagner et al.
    # 2023, https://arxiv.org/abs/2203.07378
    learning_rate: float = field(default=3e-5, metadata={"help": "Peak learning rate of the encoder."})
    num_train_epochs: float = field(default=15, metadata={"help": "Epochs; more than a finished run's continue it."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Utterances per process and step."})
    per_device_eval_batch_size: int = field(default=16, metadata={"help": "As above, in evaluation."})
    warmup_steps: float = field(default=0.1, metadata={"help": "Warm-up: steps, or below 1 the share of all steps."})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "Shape of the learning rate's decay."})
    metric_for_best_model: str | None = field(
        default="ua", metadata={"help": "What the best epoch is chosen by, on validation speakers: ua, wa, macro_f1."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to validate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save a checkpoint to resume from."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep: the last and the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Keep the best epoch's weights."})
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "Let early stopping count on after a resume."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator needs all columns."})
    dataloader_pin_memory: bool = field(
        default=torch.cuda.is_available(), metadata={"help": "Page-locked batches, for a GPU."}
    )
    dataloader_num_workers: int = field(
        default=min(4, (os.cpu_count() or 1) - 1), metadata={"help": "Processes that decode and augment."}
    )

    def __post_init__(self) -> None:
        for name, wanted in (("eval_strategy", "epoch"), ("save_strategy", "epoch"), ("load_best_model_at_end", True)):
            if getattr(self, name) != wanted:
                raise ValueError(f"{name}: expected {wanted}, as the best epoch on validation speakers is kept.")
        if self.resume_from_checkpoint is not None or self.max_steps > 0:
            raise ValueError(
                "resume_from_checkpoint and max_steps: leave them out. A run resumes by itself from the checkpoints in "
                "its output_dir, and its length is num_train_epochs."
            )
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()  # else bf16 is refused there
        super().__post_init__()
        metrics = ("ua", "wa", "macro_f1", "loss")
        if self.push_to_hub and "/" not in (self.hub_model_id or ""):
            raise ValueError("push_to_hub: expected the repository too. Say --hub_model_id USER/NAME.")
        # A misspelt name would switch early stopping off in silence.
        if self.metric_for_best_model.removeprefix("eval_") not in metrics:
            raise ValueError(f"metric_for_best_model: expected one of {metrics}, found '{self.metric_for_best_model}'.")


class _Parser(HfArgumentParser):
    def error(self, message: str) -> None:
        hint = (
            " A value that begins with - is spelled --key=VALUE."
            if re.search("expected .*one argument", message)
            else ""
        )
        raise ValueError(f"{message} (--help lists all arguments).{hint}")


def parse_recipe(argv: list[str]) -> tuple[DataArguments, ModelArguments, SerTrainingArguments]:
    """Read a recipe: an optional YAML file first, then the command line, which wins.

    Args:
        argv: As `sys.argv[1:]`; its first item may be the YAML file.

    Raises:
        FileNotFoundError: If there is no such YAML file.
        ValueError: If a key is unknown, the nearest being named, or a value is not of its kind.
    """
    parser = _Parser((DataArguments, ModelArguments, SerTrainingArguments), allow_abbrev=False)
    if argv and argv[0].endswith((".yaml", ".yml")):
        argv = _spell_yaml(Path(argv[0])) + argv[1:]
    known = sorted({option.lstrip("-") for option in parser._option_string_actions})
    for item in argv:
        key = item.removeprefix("--").split("=")[0]
        if item.startswith("--") and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"Unknown key '{key}'.{hint} --help lists all arguments.")
    *arguments, rest = parser.parse_args_into_dataclasses(argv, return_remaining_strings=True, look_for_args_file=False)
    if rest:
        raise ValueError(f"Expected --key value after the recipe's YAML file, found {rest}.")
    return tuple(arguments)


def _spell_yaml(path: Path) -> list[str]:
    """Spell a flat YAML file as command line arguments."""
    if not path.is_file():
        raise FileNotFoundError(f"No recipe '{path}': expected a YAML file such as recipes/configs/quickstart.yaml.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"'{path}' is not a recipe: expected lines of `key: value`.")
    argv = []
    for key, value in content.items():
        if isinstance(value, list):
            argv += [f"--{key}", *map(str, value)] if value else []
        elif isinstance(value, dict):
            argv.append(f"--{key}={json.dumps(value)}")
        elif value is not None:
            argv.append(f"--{key}={str(value).lower() if isinstance(value, bool) else value}")
    return argv
