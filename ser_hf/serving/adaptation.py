"""Make a model for one voice from clips without labels, as a stock model whose weights differ in the head only.

The head for known voices (`ser_hf.heads.voice`), which the training stored with `voice_head: true`, is adapted to the
clips and replaces the head of the model. No gradient steps are taken. The models of several speakers differ in the head
only, so they share the rest.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ser_hf.corpora.files import audio_files, pluralize
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
from ser_hf.serving.decoding import SECONDS_AHEAD, Item, Piece, decode_ahead, plan

LEAST_SECONDS = 3.0  # of one utterance; with one utterance, the validation UA on RAVDESS was not below that without any
FEWEST = 3  # clips for a statement about several voices
MOST_NAMED = 5
BATCH = 8

logger = logging.getLogger(__name__)


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


def read_voice(
    clips: str | os.PathLike | Iterable[Item],
    hearing: Hearing,
    *,
    sampling_rate: int | None = None,
    emotions: Sequence[str | None] = (),
) -> Voice:
    """Decode the clips of a speaker.

    Args:
        clips: A folder, a path, or an iterable of folders, paths, paths with start and end in seconds, and arrays.
        hearing: Defines how silence is trimmed and long audio is split.
        sampling_rate: Sampling rate of the arrays in Hz.
        emotions: As in `split_voice`.

    Raises:
        ValueError: If the number of emotions is not that of the clips.
        OSError: If `clips` is a path at which there is nothing, or a folder has no audio.
    """
    if isinstance(clips, str | os.PathLike) and not Path(clips).exists():
        raise FileNotFoundError(f"clips: expected a folder or an audio file, found nothing at '{clips}'.")
    items = [clips] if isinstance(clips, str | os.PathLike) else clips
    files = [file for item in items for file in _expand_folder(item)]
    if emotions and len(emotions) != len(files):
        raise ValueError(f"emotions: expected one for each of {len(files)} clips, found {len(emotions)}.")
    hearing = hearing._replace(window_overlap=0.0)  # each second counts once
    pieces = (piece for file in files for piece in plan(file, sampling_rate, hearing))
    return split_voice(decode_ahead(pieces, seconds=SECONDS_AHEAD), hearing, emotions)


def _expand_folder(item: Item) -> list[Item]:
    """Return the audio files of a folder; anything else is an item of its own."""
    if isinstance(item, str | os.PathLike) and Path(item).is_dir():
        return list(audio_files(item, allow_outside=True))
    return [item]


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
    original, head = _find_voice_head(backend)
    _log_problems(voice)
    if voice.seconds < LEAST_SECONDS:
        raise ValueError(
            f"Expected at least {LEAST_SECONDS:g} s of speech of one voice, found {voice.seconds:.1f} s in "
            f"{pluralize(len(voice.waveforms), 'usable clip')}. Add clips."
        )
    checkpoint = _load_again(original)
    write_classifier(checkpoint.model, *_fit_head(checkpoint, head, voice, prior_correction=prior_correction))
    checkpoint.model.config.adapted_voice = {
        "clips": len(voice.waveforms),
        "labelled": len(voice.emotions) - voice.emotions.count(None),
        "seconds": round(voice.seconds, 1),
        "prior_correction": prior_correction,
    }
    return run_checkpoint(checkpoint)


def adapt_to_speakers(backend: Backend, voices: Iterable[tuple[str, Voice]]) -> dict[str, Backend]:
    """Return a backend for each speaker of a recording; one model is loaded for all of them, which has to run alone.

    Speakers with less than `LEAST_SECONDS` of speech are left out and logged.

    Args:
        backend: A backend with a torch model.
        voices: Name and clips of each speaker; the clips of one speaker are in memory at a time.

    Raises:
        ValueError: For the other reasons of `adapt_backend`.
    """
    original, head = _find_voice_head(backend)
    shared, found = None, {}
    for speaker, voice in voices:  # all inputs are read before the head of the model changes, which influences them
        _log_problems(voice)
        if voice.seconds < LEAST_SECONDS:
            logger.warning(
                f"Not adapted to {speaker}: expected at least {LEAST_SECONDS:g} s of speech while nobody else speaks, "
                f"found {voice.seconds:.1f} s."
            )
            continue
        shared = shared or _load_again(original)
        found[speaker] = _fit_head(shared, head, voice, prior_correction=False)
    return {speaker: _run_with_head(shared, *values) for speaker, values in found.items()}  # type: ignore[arg-type]


def _run_with_head(checkpoint: Checkpoint, weight: torch.Tensor, bias: torch.Tensor) -> Backend:
    """Return a backend that sets the head of a model before each run."""
    backend = run_checkpoint(checkpoint)

    def run(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        write_classifier(checkpoint.model, weight, bias)
        return backend.run(waveforms)

    return replace(backend, run=run, checkpoint=None)


def _find_voice_head(backend: Backend) -> tuple[Checkpoint, VoiceHead]:
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
    return checkpoint, load_voice_head(path)


def _load_again(original: Checkpoint) -> Checkpoint:
    """Load the model of a checkpoint a second time, without the calibration of the head that will be replaced."""
    model = load_trained(original.name)  # a copy of a padding-aware model would share its hooks
    make_padding_aware(model)
    for name in ("calibration_temperature", "uncertainty_threshold"):
        vars(model.config).pop(name, None)
    return replace(original, model=model.to(original.model.device).eval())  # type: ignore[arg-type]


def _log_problems(voice: Voice) -> None:
    if voice.problems:
        logger.warning(f"Left out {pluralize(len(voice.problems), 'clip')}: {'; '.join(voice.problems[:MOST_NAMED])}.")


def _fit_head(
    checkpoint: Checkpoint, head: VoiceHead, voice: Voice, *, prior_correction: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight ``(C, D)`` and bias ``(C,)`` of the head for a voice, on the device of the model."""
    model = checkpoint.model
    inputs = read_inputs(checkpoint, voice.waveforms)
    if inputs.shape[1] != len(head.mean) or len(head.centres) != model.config.num_labels:
        raise ValueError(
            f"'{checkpoint.name}': {VOICE} is for {len(head.mean)} inputs and {len(head.centres)} emotions, the model "
            f"has {inputs.shape[1]} and {model.config.num_labels}: they are of different trainings. Train it again."
        )
    _warn_of_several(head, inputs, voice)
    ids = model.config.label2id
    labels = np.array([-1 if emotion is None else ids[emotion] for emotion in voice.emotions])  # type: ignore[index]
    weight, bias = head.adapt(inputs, labels, prior_correction=prior_correction)
    options = {"dtype": torch.float32, "device": model.device}
    return torch.tensor(weight, **options), torch.tensor(bias, **options)  # type: ignore[arg-type]


def read_inputs(checkpoint: Checkpoint, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Return the inputs ``(N, D)`` of the linear head of a model for waveforms ``(T,)`` at 16 kHz."""
    model, extractor = checkpoint.model, checkpoint.feature_extractor
    size = 1 if model.config.model_type in EQUAL_LENGTHS_ONLY else BATCH
    batches = (extract_features(extractor, waveforms[i : i + size]) for i in range(0, len(waveforms), size))
    return torch.cat([head_inputs(model, batch.to(model.device)).cpu() for batch in batches]).numpy()


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
