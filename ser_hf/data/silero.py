"""Speech detection with Silero VAD, a neural network of 1 MB that comes with the package silero-vad (extra vad).

Energy rules take music, hold tones and keyboard noise for speech; this network was trained to tell them apart. It gives
the probability of speech of each frame of 32 ms, from the frame, the last 4 ms before it, and its memory of earlier
frames. Speech starts with a frame above 0.5 and lasts until a frame is below 0.35.

The ONNX file of the package is run directly: importing the package would set the number of threads of torch to 1, and
the TorchScript file hides its memory, so that each recording would need its own copy.

Source: https://github.com/snakers4/silero-vad, version 6.2, for frames, context and both thresholds.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DETECTORS = ("energy", "silero")  # names of both ways to detect speech; `ser_hf.data.silence` is the first
FRAME = 512  # samples at 16 kHz, 32 ms
BEFORE = 64  # samples before a frame that the network receives with it
MEMORY = (1, 1, 128)  # shape of both parts of the network's memory
STARTS, LASTS = 0.5, 0.35  # probabilities
MODEL = "data/silero_vad_16k_sequence.onnx"


class SileroDetector:
    """Classify the consecutive blocks of one recording at 16 kHz as speech or not.

    Raises:
        ImportError: If silero-vad or onnxruntime is not installed.
    """

    def __init__(self) -> None:
        self._session = _load_session()
        self._before = np.zeros(BEFORE, dtype=np.float32)
        self._memory = np.zeros(MEMORY, dtype=np.float32), np.zeros(MEMORY, dtype=np.float32)
        self._waiting = np.zeros(0, dtype=np.float32)
        self._speaks = False

    def detect(self, blocks: np.ndarray) -> list[bool]:
        """Return for each of the next N blocks ``(N, T)`` whether a frame of speech ends in it.

        A block in which no frame ends, such as a short last one, is like the block before it.
        """
        waiting = len(self._waiting)
        frames = self.detect_frames(blocks.ravel())
        found: list[bool] = []
        for stop in waiting + np.arange(1, len(blocks) + 1) * blocks.shape[1]:
            ended = frames[max(0, (stop - blocks.shape[1]) // FRAME) : stop // FRAME]
            found.append(any(ended) if ended else (found[-1] if found else self._speaks))
        return found

    def detect_frames(self, samples: np.ndarray) -> list[bool]:
        """Return for each frame that the next samples ``(T,)`` complete whether it is speech."""
        samples = np.concatenate([self._waiting, samples.astype(np.float32)])
        whole = len(samples) // FRAME * FRAME
        frames, self._waiting = samples[:whole].reshape(-1, FRAME), samples[whole:]
        if not len(frames):
            return []
        before = np.concatenate([self._before[None], frames[:-1, -BEFORE:]])
        self._before = frames[-1, -BEFORE:]
        inputs = {"input": np.concatenate([before, frames], axis=1), "h": self._memory[0], "c": self._memory[1]}
        probabilities, *self._memory = self._session.run(["speech_probs", "hn", "cn"], inputs)
        found = []
        for probability in probabilities.ravel():
            self._speaks = bool(probability > (LASTS if self._speaks else STARTS))
            found.append(self._speaks)
        return found


def find_frames(waveform: np.ndarray) -> np.ndarray:
    """Return the numbers of the frames of 32 ms of a waveform ``(T,)`` at 16 kHz that are speech.

    Raises:
        ImportError: If silero-vad or onnxruntime is not installed.
    """
    return np.flatnonzero(SileroDetector().detect_frames(np.pad(waveform, (0, -len(waveform) % FRAME))))


def check_silero() -> None:
    """Check that the packages are installed, without loading the network.

    Raises:
        ImportError: If one is not.
    """
    if not (find_spec("silero_vad") and find_spec("onnxruntime")):
        raise ImportError('speech: silero needs silero-vad and onnxruntime: pip install "ser_hf[vad]".')


@lru_cache
def _load_session() -> "InferenceSession":
    check_silero()
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    spec = find_spec("silero_vad")
    assert spec is not None and spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0], MODEL)
    if not path.exists():
        raise ImportError(f"'{path.parent}' has no {path.name}: expected silero-vad 6.2.3 or later. Upgrade it.")
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])
