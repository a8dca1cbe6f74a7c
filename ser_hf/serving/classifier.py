"""Any audio classification checkpoint, asked about paths, arrays, lists, folders and generators.

Shapes: B utterances, T samples, C emotions.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
import torch

from ser_hf.corpora.files import audio_files
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.hearing import Hearing
from ser_hf.evaluation.predictions import average_windows
from ser_hf.serving.backends import Backend, load_backend
from ser_hf.serving.decoding import (
    Piece,
    Source,
    check_samples,
    decode_ahead,
    plan_array,
    plan_file,
)
from ser_hf.serving.preprocessing import check_choice, read_preprocessing
from ser_hf.serving.segments import Segment
from ser_hf.serving.stream import stream
from ser_hf.serving.timeline import timeline

SECONDS_AHEAD = 30.0  # for each utterance of a batch: so much audio is decoded in advance


@dataclass(frozen=True)
class Prediction:
    """Hold what a file says, or why it says nothing.

    Attributes:
        path: As it was given.
        start: First second within the file, as it was given.
        end: Last second within the file, as it was given.
        duration: Seconds of audio, before silence is trimmed; None where the file is unreadable.
        scores: Every emotion, the best first; None where there is an error.
        error: What is wrong with the file; None where all is well.
    """

    path: str
    start: float | None
    end: float | None
    duration: float | None
    scores: dict[str, float] | None
    error: str | None

    @property
    def emotion(self) -> str | None:
        """The emotion of the best score."""
        return next(iter(self.scores)) if self.scores else None


class EmotionClassifier:
    """Score the emotions of utterances; load one by `from_pretrained`.

    Attributes:
        emotions: C names, in the order of `score`.
        sampling_rate: Of the waveforms that `score` takes, 16000 Hz.
        uncertainty_threshold: A best score below it is uncertain; None where nobody has calibrated it.
        backend: What runs: "torch", "onnx" or "probe".
        preprocessing: What is done to silence and to long audio.
        context: Seconds that the model takes at most; infinite where it takes any duration.
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, backend: Backend, hearing: Hearing):
        self.emotions = backend.emotions
        self.uncertainty_threshold = backend.uncertainty_threshold
        self.backend = backend.name
        self.hearing = hearing
        self.context = backend.context
        self._backend = backend

    @classmethod
    def from_pretrained(
        cls,
        folder_or_id: str | os.PathLike,
        *,
        device: str | torch.device | None = None,
        dtype: str = "float32",
        backend: str = "auto",
        preprocessing: str = "windows",
        trust_remote_code: bool = False,
    ) -> "EmotionClassifier":
        """Load any checkpoint of `AutoModelForAudioClassification`, or a probe's (head.skops and head.json).

        Args:
            folder_or_id: Folder, or id on the Hub.
            device: Where it runs; None for the GPU if there is one.
            dtype: "float32"; "bfloat16", of matrix products and convolutions; "int8", which runs
                ``onnx/model_quantized.onnx`` on the CPU; or "auto", which is bfloat16 on hardware that multiplies it
                and float32 elsewhere. In bfloat16 a score may differ by 0.05, in int8 by as much as the export said.
            backend: "torch"; "onnx", which runs ``onnx/model.onnx`` of the checkpoint on the CPU; or "auto", which
                takes that file on the CPU in float32 where there is one, of the same weights as far as its export.json
                tells, and onnxruntime is installed.
            preprocessing: "pipeline", the answer of `pipeline("audio-classification")`: the audio is raw and whole, and
                a model of fixed context cuts what is longer; "windows", the same for audio up to the model's context,
                or 30 s where it has none, while longer audio is scored in windows that overlap by half, whose scores
                are averaged; or "recommended", what `recommended_preprocessing` in config.json says: `trim` ("none",
                "ends" or "pauses"), `max_duration` (seconds of a window) and `window_overlap`. A probe keeps the
                preprocessing of its head.json.
            trust_remote_code: Allow the checkpoint to bring code of its own.

        Raises:
            ValueError: If weights of the checkpoint are missing, so that its answers would be random; if it is a probe
                that needs other audio of the speaker; if the ONNX file is damaged, or asked for and of other weights;
                an argument is none of its legal values; or the
                recommended preprocessing is missing in config.json or invalid.
            OSError: If there is no such checkpoint, or it lacks preprocessor_config.json.
            ImportError: If onnxruntime or opensmile is needed and missing.
        """
        check_choice(preprocessing)
        name = os.fspath(folder_or_id)
        options = {"device": device, "dtype": dtype, "backend": backend, "trust_remote_code": trust_remote_code}
        loaded = load_backend(name, **options)
        return cls(loaded, read_preprocessing(name, preprocessing, context=loaded.context))

    def __call__(
        self,
        audio: str | os.PathLike | np.ndarray | Iterable,
        *,
        sampling_rate: int | None = None,
        batch_size: int = 8,
    ) -> dict[str, float] | list[dict[str, float]] | Iterator[dict[str, float]] | Iterator[Prediction]:
        """Return every emotion with its score, the best first; the same audio always gets the same answer.

        Args:
            audio: A path or an array gives a dict; a list of them gives a list; another iterable gives an iterator, in
                its order; a folder gives the iterator of `predict_files` over all its audio files. An array is ``(T,)``
                or ``(T, channels)``, which are averaged: floats within -1 to 1, int16, int32 or uint8.
            sampling_rate: Of the arrays, in Hz, a whole number; files say theirs.
            batch_size: Utterances that the model hears at once; it changes no score.

        Raises:
            ValueError: If audio is empty, not finite or not decodable, an array comes without its rate or is far louder
                than 1, or the batch size is below 1.
            OSError: If there is no such file.
            TypeError: If an item is neither path nor array.
        """
        _check_batch_size(batch_size)
        if isinstance(audio, str | os.PathLike) and Path(audio).is_dir():
            return self.predict_files(audio_files(audio, allow_outside=True), batch_size=batch_size)
        if isinstance(audio, str | os.PathLike) or hasattr(audio, "__array__"):
            return next(self._answer([audio], sampling_rate, batch_size))
        answers = self._answer(audio, sampling_rate, batch_size)
        return list(answers) if isinstance(audio, list | tuple) else answers

    def predict_files(
        self,
        paths: Iterable[str | os.PathLike | tuple[str, float | None, float | None]],
        *,
        batch_size: int = 8,
    ) -> Iterator[Prediction]:
        """Yield the prediction of each file in order; a bad file yields its error, and the others follow.

        Files are decoded in threads while the model works, in blocks of at most `batch_size` times 30 s of audio;
        within a block, batches are of like durations. At most three blocks are in memory (46 MB at batch size 8),
        whatever the number and length of the files. Where silence is trimmed or the preprocessing is "pipeline", each
        file is held whole, in mono at 16 kHz, and may last ten minutes at most: it then takes up to 0.3 GB, and two may
        be held at once.

        Args:
            paths: Files, or stretches of files (path, first second, last second), read one block ahead.
            batch_size: Utterances that the model hears at once.

        Raises:
            ValueError: If the batch size is below 1.
        """
        _check_batch_size(batch_size)
        pieces = (piece for item in paths for piece in self._plan_file(item))
        for source, outcome in self._hear(pieces, batch_size):
            failed = isinstance(outcome, Exception)
            scores, error = (None, str(outcome)) if failed else (self._name(outcome), None)
            yield Prediction(*source, scores, error)

    def timeline(self, path: str | os.PathLike, *, window: float = 4.0, hop: float = 1.0) -> Iterator[Segment]:
        """Yield the segments of a long recording, in constant memory; see `ser_hf.serving.timeline.timeline`."""
        return timeline(self, path, window=window, hop=hop)

    def stream(
        self, chunks: Iterable[np.ndarray], sampling_rate: int, *, window: float = 4.0, hop: float = 1.0
    ) -> Iterator[Segment]:
        """Yield segments while audio comes in; see `ser_hf.serving.stream.stream`."""
        return stream(self, chunks, sampling_rate, window=window, hop=hop)

    def score(self, waveforms: Sequence[np.ndarray], *, batch_size: int = 8) -> np.ndarray:
        """Return the scores ``(B, C)`` of waveforms as they are: no silence is trimmed off (see `trim`).

        Those longer than `hearing.max_duration` are scored in overlapping windows, and the scores are averaged.
        Those under 50 ms are zero-padded. The scores are those of `pipeline`, and the same in any batch.

        Args:
            waveforms: B mono arrays ``(T,)`` float32 at `sampling_rate`.
            batch_size: Windows that the model hears at once, of like lengths.

        Raises:
            ValueError: If a waveform is empty, of another shape or type, not finite or far louder than 1, or the batch
                size is below 1.
        """
        _check_batch_size(batch_size)
        windows, utterances = [], []
        for i, waveform in enumerate(map(np.asarray, waveforms)):
            if waveform.ndim != 1 or not len(waveform):
                raise ValueError(f"Expected mono waveforms (T,) of samples, found shape {waveform.shape}.")
            check_samples(waveform)
            found = self.hearing.cut_windows(waveform)
            windows += found
            utterances += [i] * len(found)
        if not windows:
            return np.empty((0, len(self.emotions)))
        size = batch_size if self._backend.pads else 1
        order = np.argsort([-len(window) for window in windows], kind="stable")
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        scores = np.concatenate([self._backend.run([windows[i] for i in batch]) for batch in batches])
        return average_windows(scores[np.argsort(order)], utterances)

    def trim(self, waveform: np.ndarray) -> np.ndarray:
        """Return a waveform ``(T,)`` trimmed as `hearing` says; calls and `predict_files` do it too."""
        return self.hearing.trim_silence(waveform)

    def _answer(self, audio: Iterable, sampling_rate: int | None, batch_size: int) -> Iterator[dict[str, float]]:
        pieces = (piece for item in audio for piece in self._plan(item, sampling_rate))
        for _, outcome in self._hear(pieces, batch_size):
            if isinstance(outcome, Exception):
                raise outcome
            yield self._name(outcome)

    def _plan(self, item: str | os.PathLike | np.ndarray, sampling_rate: int | None) -> Iterator[Piece]:
        if isinstance(item, str | os.PathLike):
            return plan_file(item, None, None, self.hearing)
        if hasattr(item, "__array__"):
            return plan_array(np.asarray(item), sampling_rate, self.hearing)
        raise TypeError(f"Expected paths or arrays, found {type(item).__name__}.")

    def _plan_file(self, item: str | os.PathLike | tuple) -> Iterator[Piece]:
        path, start, end = item if isinstance(item, tuple) else (item, None, None)
        return plan_file(path, start, end, self.hearing)

    def _hear(self, pieces: Iterable[Piece], batch_size: int) -> Iterator[tuple[Source, np.ndarray | Exception]]:
        """Yield each source with its scores ``(C,)``, the mean of its pieces, or with the first thing that failed."""
        heard, failure = [], None
        for block in decode_ahead(pieces, seconds=SECONDS_AHEAD * batch_size):
            waveforms = [decoded for _, decoded in block if not isinstance(decoded, Exception)]
            scores = iter(self.score(waveforms, batch_size=batch_size))
            for piece, decoded in block:
                if isinstance(decoded, Exception):
                    failure = failure or decoded
                else:
                    heard.append(next(scores))
                if piece.final:
                    yield piece.source, failure or np.mean(heard, axis=0)
                    heard, failure = [], None

    def _name(self, scores: np.ndarray) -> dict[str, float]:
        best_first = np.argsort(-scores, kind="stable")
        return {self.emotions[i]: float(scores[i]) for i in best_first}


def _check_batch_size(batch_size: int) -> None:
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size: expected a whole number of at least 1, found {batch_size!r}.")
