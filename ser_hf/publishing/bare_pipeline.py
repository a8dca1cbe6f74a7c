"""Score files by the stock pipeline alone. `ask_pipeline` runs this file as a script in a fresh process.

It imports nothing of ser_hf: what it prints is what any user of transformers gets.

Standard input, JSON: "folder" (a saved checkpoint), "code" (whether its own code may run) and "utterances", a list of
[path, start, end] in seconds or null. Standard output: a line of JSON per utterance, its score by label.
"""

import json
import sys

import numpy as np
import soundfile
import soxr
from transformers import pipeline

SAMPLING_RATE = 16_000  # Hz


def decode(path: str, start: float | None, end: float | None) -> np.ndarray:
    """Return a file, or the stretch between two times, as a waveform ``(T,)`` float32: mono, 16 kHz."""
    with soundfile.SoundFile(path) as file:
        first = round((start or 0.0) * file.samplerate)
        frames = -1 if end is None else round(end * file.samplerate) - first
        file.seek(min(first, file.frames))
        channels = file.read(frames, dtype="float32", always_2d=True)
        return soxr.resample(channels.mean(axis=1), file.samplerate, SAMPLING_RATE)


def answer_request() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    classifier = pipeline(
        "audio-classification",
        model=request["folder"],
        device="cpu",
        dtype="float32",
        trust_remote_code=request["code"],
    )
    for path, start, end in request["utterances"]:
        answers = classifier(decode(path, start, end), top_k=None)
        print(json.dumps({answer["label"]: answer["score"] for answer in answers}))
    if any(name.partition(".")[0] == "ser_hf" for name in sys.modules):
        sys.exit("ser_hf was imported: these answers are not those of the stock pipeline alone.")


if __name__ == "__main__":
    answer_request()
