"""Predict the emotions of paths, arrays, lists, folders and generators with any audio classification checkpoint.

Shapes: B utterances, T samples, C emotions.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import torch

from ser_hf.corpora.files import audio_files
from ser_hf.data.audio import SAMPLING_RATE
from ser_hf.data.checks import check_samples
from ser_hf.data.hearing import Hearing
from ser_hf.evaluation.predictions import average_windows
from ser_hf.models.postprocessing import to_ratings
from ser_hf.serving.adaptation import adapt_backend, adapt_to_speakers, read_voice
from ser_hf.serving.answers import find_answers, to_prediction
from ser_hf.serving.backends import Backend, load_backend
from ser_hf.serving.decoding import Item
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import timeline
from ser_hf.serving.prediction import Prediction
from ser_hf.serving.preprocessing import check_choice, read_preprocessing
from ser_hf.serving.speaker_turns import Turn
from ser_hf.serving.speech_detector import make_detector
from ser_hf.serving.stream import stream


class EmotionClassifier:
    """Score the emotions of utterances; load a classifier with `from_pretrained`.

    Attributes:
        task: What is recognised, a key of `ser_hf.tasks.TASKS`.
        emotions: Names of the C outputs, in the order of `score`.
        sampling_rate: Sampling rate of the waveforms for `score`, 16000 Hz.
        uncertainty_threshold: Predictions with a lower score are uncertain; None if the model is not calibrated.
        rating_scale: Lowest and highest rating that are returned; None if the model predicts no ratings.
        backend: "torch", "onnx" or "probe".
        hearing: How silence and long audio are handled.
        context: Longest input of the model in seconds; infinite if there is no limit.
        checkpoint: The torch model and its feature extractor; None for other backends.

    Examples:
        >>> backend = Backend("torch", ["happy", "sad"], lambda waveforms: np.array([[0.25, 0.75]] * len(waveforms)))
        >>> classifier = EmotionClassifier(backend, Hearing())
        >>> classifier(np.sin(np.arange(8_000, dtype=np.float32)), sampling_rate=8_000)
        {'sad': 0.75, 'happy': 0.25}
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, backend: Backend, hearing: Hearing):
        self.task = backend.task
        self.emotions = backend.emotions
        self.uncertainty_threshold = backend.uncertainty_threshold
        self.rating_scale = backend.rating_scale
        self.backend = backend.name
        self.hearing = hearing
        self.context = backend.context
        self.checkpoint = backend.checkpoint
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
        """Load any checkpoint of `AutoModelForAudioClassification`, or a probe (head.skops and head.json).

        Args:
            folder_or_id: Folder, or id on the Hub.
            device: Device to run on; None for the GPU if there is one, else the CPU.
            dtype: "float32"; "bfloat16" for matrix products and convolutions; "int8" for
                ``onnx/model_quantized.onnx`` on the CPU; or "auto" for bfloat16 on hardware that multiplies it
                natively, else float32. Scores differ from float32 by up to 0.05 in bfloat16, and in int8 by up to the
                difference that the export reported.
            backend: "torch"; "onnx" for ``onnx/model.onnx`` of the checkpoint on the CPU; or "auto", which uses that
                file on the CPU in float32 if it exists, onnxruntime is installed, and the weights have not changed
                since the export according to its export.json.
            preprocessing: "pipeline" for the scores of `pipeline("audio-classification")`: raw, whole audio, truncated
                to the model's context if it has one. "windows": the same up to the model's context, or up to 30 s if it
                has none; longer audio is scored in windows that overlap by half, and the scores are averaged. Of audio
                of more than 30 s, only the speech counts, see `predict_files`. "recommended": the values of
                `recommended_preprocessing` in config.json: `trim` ("none", "ends" or "pauses"), `speech` (how `trim`
                detects speech), `max_duration` (seconds of a window) and `window_overlap`. A probe always uses the
                preprocessing in its head.json.
            trust_remote_code: Allow code that comes with the checkpoint.

        Raises:
            ValueError: If weights of the checkpoint are missing, so that they would be random; if it is a probe on
                features normalised by speaker; if the ONNX file is damaged, or is requested and was exported from other
                weights; if an argument has an invalid value; or if the recommended preprocessing is missing in
                config.json or invalid.
            OSError: If the checkpoint does not exist, or lacks preprocessor_config.json.
            ImportError: If onnxruntime, opensmile or silero-vad is needed and not installed.
        """
        check_choice(preprocessing)
        name = os.fspath(folder_or_id)
        loaded = load_backend(name, device=device, dtype=dtype, backend=backend, trust_remote_code=trust_remote_code)
        return cls(loaded, read_preprocessing(name, preprocessing, context=loaded.context))

    def __call__(
        self,
        audio: str | os.PathLike | np.ndarray | Iterable,
        *,
        sampling_rate: int | None = None,
        batch_size: int = 8,
        speech: str = "energy",
    ) -> dict[str, float] | list[dict[str, float]] | Iterator[dict[str, float]] | Iterator[Prediction]:
        """Return the score of every emotion, best first; the same audio always gets the same scores.

        The scores of a recording, that is, of more than 30 s, are means over its speech, see `predict_files`.

        Args:
            audio: A path, an array, a list or other iterable of them, or a folder. An array is ``(T,)`` or
                ``(T, channels)`` (averaged) of floats within -1 to 1, int16, int32 or uint8.
            sampling_rate: Sampling rate of arrays in Hz, a whole number; the rate of files is in their headers.
            batch_size: Utterances per batch; it does not change the scores.
            speech: How the speech of recordings is detected: "energy", or "silero" (extra vad).

        Returns:
            A dict for a path or an array, a list of dicts for a list, an iterator of dicts for another iterable, and
            for a folder the iterator of `predict_files` over all its audio files.

        Raises:
            ValueError: If audio is empty, not finite or not decodable, an array is passed without its sampling rate or
                exceeds the range -1 to 1 by far, or the batch size is below 1.
            OSError: If a file does not exist.
            TypeError: If an item is neither a path nor an array.
        """
        _check_batch_size(batch_size)
        if isinstance(audio, str | os.PathLike) and Path(audio).is_dir():
            return self.predict_files(audio_files(audio, allow_outside=True), batch_size=batch_size, speech=speech)
        if isinstance(audio, str | os.PathLike) or hasattr(audio, "__array__"):
            return next(self._call([audio], sampling_rate, batch_size, speech))
        answers = self._call(audio, sampling_rate, batch_size, speech)
        return list(answers) if isinstance(audio, list | tuple) else answers

    def predict_files(
        self, paths: Iterable[Item], *, batch_size: int = 8, speech: str = "energy"
    ) -> Iterator[Prediction]:
        """Yield the prediction of each file in order; an unreadable file yields its error.

        A file of more than 30 s (and more than a window of `hearing`) is a recording: only its speech counts. The
        scores are means over the time of its segments, as `timeline` yields them by default. The emotion is the one
        with the best of these scores if it has at least 60 % of the time, else "mixed". With the preprocessing
        "pipeline", there are no recordings: all audio is scored as a whole.

        Files are decoded in threads while the model runs, in blocks of at most `batch_size` times 30 s of audio. Within
        a block, utterances of similar durations share a batch. At most three blocks are in memory (46 MB at batch
        size 8), independently of the number and length of the files. If the preprocessing is "pipeline", each file is
        decoded as a whole into mono at 16 kHz and is limited to ten minutes: it then takes up to 0.3 GB, and two files
        may be in memory at the same time.

        Args:
            paths: Files, parts of files (path, start in seconds, end in seconds), or channels of parts (path, start,
                end, number of the channel from 1), read one block ahead.
            batch_size: Utterances per batch.
            speech: How the speech of recordings is detected: "energy", or "silero" (extra vad).

        Raises:
            ValueError: If the batch size is below 1, or `speech` is another text.
            ImportError: If Silero is not installed.
        """
        _check_batch_size(batch_size)
        make_detector(speech, self.sampling_rate)
        for source, outcome in find_answers(self, paths, batch_size=batch_size, speech=speech):
            yield to_prediction(source, outcome)

    def adapt(
        self,
        clips: str | os.PathLike | Iterable,
        *,
        sampling_rate: int | None = None,
        emotions: Sequence[str | None] = (),
        prior_correction: bool = False,
    ) -> "EmotionClassifier":
        """Return a classifier for the speaker of some clips, which need no labels; see `ser_hf.serving.adaptation`.

        Args:
            clips: A folder, a path, or an iterable of paths, arrays, and tuples of path, start and end in seconds, all
                of one speaker; longer audio counts as several clips. Unreadable and silent clips are left out and
                logged.
            sampling_rate: Sampling rate of arrays in Hz.
            emotions: Emotion of each file or array, None where it is unknown; a few labels help. Empty for none.
            prior_correction: Whether emotions that are frequent in the clips get higher scores. Use it only if the
                emotions will be as frequent as in the clips.

        Raises:
            ValueError: If the model was trained without `voice_head`, its head is not linear, it does not run with
                torch, the clips have too little audio, or an emotion is unknown to the model.
            OSError: If `clips` is a path at which there is nothing, or a folder has no audio.
        """
        if others := sorted({emotion for emotion in emotions if emotion is not None} - set(self.emotions)):
            raise ValueError(f"emotions: expected some of {self.emotions} or None, found {others}.")
        voice = read_voice(clips, self.hearing, sampling_rate=sampling_rate, emotions=emotions)
        return EmotionClassifier(adapt_backend(self._backend, voice, prior_correction=prior_correction), self.hearing)

    def adapt_to_speakers(self, clips: Mapping[str, Sequence[Item]]) -> "dict[str, EmotionClassifier]":
        """Return a classifier for each speaker with at least 3 s of clips; they share one model, and run in turn.

        Args:
            clips: Speaker -> paths, or tuples of path, start and end in seconds.

        Raises:
            ValueError: For the reasons of `adapt`.
        """
        voices = ((speaker, read_voice(own, self.hearing)) for speaker, own in clips.items())
        backends = adapt_to_speakers(self._backend, voices)
        return {speaker: EmotionClassifier(backend, self.hearing) for speaker, backend in backends.items()}

    def timeline(
        self,
        path: str | os.PathLike,
        *,
        window: float = 4.0,
        hop: float = 1.0,
        turns: Sequence[Turn] | None = None,
        speech: str = "energy",
    ) -> Iterator[Segment]:
        """Yield the segments of a long recording; see `ser_hf.serving.long_recording.timeline`."""
        return timeline(self, path, window=window, hop=hop, turns=turns, speech=speech)

    def stream(
        self,
        chunks: Iterable[np.ndarray],
        sampling_rate: int,
        *,
        window: float = 4.0,
        hop: float = 1.0,
        speech: str = "energy",
    ) -> Iterator[Segment]:
        """Yield segments while audio arrives; see `ser_hf.serving.stream.stream`."""
        return stream(self, chunks, sampling_rate, window=window, hop=hop, speech=speech)

    def score(self, waveforms: Sequence[np.ndarray], *, batch_size: int = 8) -> np.ndarray:
        """Return the scores ``(B, C)`` of waveforms, ratings from 0 to 1; silence is not trimmed (see `trim`).

        Waveforms longer than `hearing.max_duration` are scored in overlapping windows, and the scores are averaged.
        Waveforms shorter than 50 ms are zero-padded. The scores equal those of `pipeline` and do not depend on the
        batch.

        Args:
            waveforms: B mono arrays ``(T,)`` float32 at `sampling_rate`.
            batch_size: Windows per batch; windows of similar lengths share a batch.

        Raises:
            ValueError: If a waveform is empty, not finite, of another shape or type, or exceeds the range -1 to 1 by
                far, or the batch size is below 1.
        """
        _check_batch_size(batch_size)
        windows, utterances = [], []
        for i, waveform in enumerate(map(np.asarray, waveforms)):
            if waveform.ndim != 1 or not len(waveform):
                raise ValueError(f"Expected mono waveforms (T,) with samples, found shape {waveform.shape}.")
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

    def rescale(self, scores: np.ndarray) -> np.ndarray:
        """Return results of `score` as they are shown: ratings on `rating_scale`, other scores unchanged."""
        return scores if self.rating_scale is None else to_ratings(scores, self.rating_scale)

    def trim(self, waveform: np.ndarray) -> np.ndarray:
        """Return a waveform ``(T,)`` trimmed according to `hearing`, as calls and `predict_files` do."""
        return self.hearing.trim_silence(waveform)

    def _call(
        self, audio: Iterable, sampling_rate: int | None, batch_size: int, speech: str
    ) -> Iterator[dict[str, float]]:
        for _, outcome in find_answers(self, audio, sampling_rate, batch_size=batch_size, speech=speech):
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome.scores


def _check_batch_size(batch_size: int) -> None:
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size: expected an integer of at least 1, found {batch_size!r}.")
