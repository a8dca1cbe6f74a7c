"""Make a model for one voice from clips without labels, as a stock model whose weights differ in the head only.

The head for known voices (`ser_hf.heads.voice`), which the training stored with `voice_head: true`, is adapted to the
clips and replaces the head of the model. No gradient steps are taken.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ser_hf.corpora.files import pluralize
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.checks import SilenceError
from ser_hf.data.collator import extract_features
from ser_hf.data.hearing import Hearing
from ser_hf.heads.linear_head import check_linear, head_inputs, write_classifier
from ser_hf.heads.voice import VoiceHead
from ser_hf.heads.voice_files import VOICE, load_voice_head
from ser_hf.models import make_padding_aware
from ser_hf.models.checkpoint_loading import load_trained
from ser_hf.models.padding import EQUAL_LENGTHS_ONLY
from ser_hf.serving.backends import Backend, Checkpoint, run_checkpoint
from ser_hf.serving.checkpoint_files import find_file
from ser_hf.serving.decoding import Piece

LEAST_SECONDS = 3.0  # of one utterance; with one utterance, the validation UA on RAVDESS was not below that without any
FEWEST = 3  # clips for a statement about several voices
MOST_NAMED = 5
BATCH = 8

logger = logging.getLogger(__name__)


class TooLittleSpeechError(ValueError):
    """Signal that there is less than `LEAST_SECONDS` of usable speech to adapt to."""


@dataclass
class Voice:
    """Hold the usable clips of a speaker.

    Attributes:
        names: Name of each clip, for messages.
        emotions: Emotion of each clip; None if it is unknown.
        waveforms: Waveforms ``(T,)`` at 16 kHz.
        problems: Why the other clips were left out.
    """

    names: list[str] = field(default_factory=list)
    emotions: list[str | None] = field(default_factory=list)
    waveforms: list[np.ndarray] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Duration of all clips."""
        return sum(map(len, self.waveforms)) / SAMPLING_RATE


def split_voice(
    blocks: Iterable[list[tuple[Piece, np.ndarray | Exception]]], hearing: Hearing, emotions: Sequence[str | None]
) -> Voice:
    """Return the clips of some decoded audio; audio that is longer than a window is split into clips.

    Args:
        blocks: Pieces with their waveforms or errors, from `ser_hf.serving.decoding.decode_ahead`.
        hearing: Defines the windows.
        emotions: Emotion of each file or array in order, None if it is unknown; or an empty list.
    """
    voice, number = Voice(), 0  # of the file or array
    for piece, decoded in (item for block in blocks for item in block):
        name = piece.source.path or f"array {number + 1}"
        if isinstance(decoded, Exception):
            reason = "is silent" if isinstance(decoded, SilenceError) else str(decoded)
            voice.problems.append(f"'{name}': {reason}")
        else:
            windows = hearing.cut_windows(decoded)
            voice.names += [name] * len(windows)
            voice.emotions += [emotions[number] if emotions else None] * len(windows)
            voice.waveforms += windows
        number += piece.final
    return voice


def adapt_backend(backend: Backend, voice: Voice, *, prior_correction: bool = False) -> Backend:
    """Return a backend for the speaker of some clips; an adapted backend is adapted from its original checkpoint.

    Args:
        backend: A backend with a torch model.
        voice: The clips.
        prior_correction: As in `VoiceHead.adapt`.

    Raises:
        ValueError: If the backend has no torch model, its head is not linear, the checkpoint has no head for known
            voices, or the clips have less than `LEAST_SECONDS`.
    """
    checkpoint = backend.checkpoint
    if checkpoint is None:
        raise ValueError(f"A model for one voice needs a torch model, found '{backend.name}': pass backend='torch'.")
    check_linear(checkpoint.model)
    path = find_file(checkpoint.name, VOICE)
    if path is None:
        raise ValueError(
            f"'{checkpoint.name}' has no {VOICE}, the head for known voices and the statistics of the training "
            "speakers. Train it with --voice_head true."
        )
    if voice.problems:
        logger.warning(f"Left out {pluralize(len(voice.problems), 'clip')}: {'; '.join(voice.problems[:MOST_NAMED])}.")
    if voice.seconds < LEAST_SECONDS:
        raise TooLittleSpeechError(
            f"Expected at least {LEAST_SECONDS:g} s of speech of one voice, found {voice.seconds:.1f} s in "
            f"{pluralize(len(voice.waveforms), 'usable clip')}. Add clips."
        )
    return run_checkpoint(_adapt(checkpoint, load_voice_head(path), voice, prior_correction=prior_correction))


def read_inputs(checkpoint: Checkpoint, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Return the inputs ``(N, D)`` of the linear head of a model for waveforms ``(T,)`` at 16 kHz."""
    model, extractor = checkpoint.model, checkpoint.feature_extractor
    size = 1 if model.config.model_type in EQUAL_LENGTHS_ONLY else BATCH
    batches = (extract_features(extractor, waveforms[i : i + size]) for i in range(0, len(waveforms), size))
    return torch.cat([head_inputs(model, batch.to(model.device)).cpu() for batch in batches]).numpy()


def _adapt(original: Checkpoint, head: VoiceHead, voice: Voice, *, prior_correction: bool) -> Checkpoint:
    model = load_trained(original.name)  # a copy of a padding-aware model would share its hooks
    make_padding_aware(model)
    model = model.to(original.model.device).eval()  # type: ignore[arg-type]
    adapted = Checkpoint(original.name, model, original.feature_extractor, original.dtype)
    inputs = read_inputs(adapted, voice.waveforms)
    if inputs.shape[1] != len(head.mean) or len(head.centres) != model.config.num_labels:
        raise ValueError(
            f"'{original.name}': {VOICE} is for {len(head.mean)} inputs and {len(head.centres)} emotions, the model "
            f"has {inputs.shape[1]} and {model.config.num_labels}: they are of different trainings. Train it again."
        )
    _warn_of_several(head, inputs, voice)
    ids = model.config.label2id
    labels = np.array([-1 if emotion is None else ids[emotion] for emotion in voice.emotions])
    adapted_head = head.adapt(inputs, labels, prior_correction=prior_correction)
    weight, bias = (torch.tensor(values, dtype=torch.float32) for values in adapted_head)
    write_classifier(model, weight.to(model.device), bias.to(model.device))
    config = model.config
    for name in ("calibration_temperature", "uncertainty_threshold"):  # of the head that is replaced
        vars(config).pop(name, None)
    config.adapted_voice = {
        "clips": len(voice.waveforms),
        "labelled": len(voice.emotions) - voice.emotions.count(None),
        "seconds": round(voice.seconds, 1),
        "prior_correction": prior_correction,
    }
    return adapted


def _warn_of_several(head: VoiceHead, inputs: np.ndarray, voice: Voice) -> None:
    """Log a warning with the evidence if the clips seem to be of several voices."""
    if len(inputs) < FEWEST or (spread := head.spread_of(inputs)) <= head.spread:
        return
    projected = head.standardise(inputs) @ head.voices.T
    centred = projected - projected.mean(0)
    side = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0
    apart = side if side.mean() <= 0.5 else ~side
    names = list(dict.fromkeys(np.array(voice.names)[apart].tolist()))
    logger.warning(
        f"The clips may be of several voices. In the directions that tell training speakers apart, their variance is "
        f"{spread:.2f}; 95 % of single training speakers are below {head.spread:.2f}. Most different from the "
        f"others: {', '.join(names[:MOST_NAMED])}{' …' if len(names) > MOST_NAMED else ''}. Check who speaks."
    )
