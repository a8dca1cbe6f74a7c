"""Score files with the stock pipeline alone. `run_pipeline` runs this file as a script in a new process.

It imports nothing from ser_hf, so it prints the scores that any user of transformers gets.

Standard input, JSON: "folder" (a saved checkpoint), "code" (whether code of the checkpoint may run) and "utterances", a
list of [path, start, end], with start and end in seconds or null. Standard output: one line of JSON per utterance, the
score of each label.
"""

import json
import os
import sys

import numpy as np
import soundfile
import soxr
from transformers import pipeline

SAMPLING_RATE = 16_000  # Hz


def decode(path: str, start: float | None, end: float | None) -> np.ndarray:
    """Decode a file, or its part from start to end in seconds, into a waveform ``(T,)`` float32: mono, 16 kHz."""
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except soundfile.LibsndfileError:
        channels, rate = decode_with_ffmpeg(path)
        channels = channels[round((start or 0.0) * rate) : None if end is None else round(end * rate)]
    else:
        with file:
            rate = file.samplerate
            first = round((start or 0.0) * rate)
            frames = -1 if end is None else round(end * rate) - first
            if first:
                file.seek(min(first, file.frames))
            channels = file.read(frames, dtype="float32", always_2d=True)
    return soxr.resample(channels.mean(axis=1), rate, SAMPLING_RATE)


def decode_with_ffmpeg(path: str) -> tuple[np.ndarray, int]:
    """Decode a format that libsndfile does not read into ``(T, channels)`` float32, and return its rate in Hz."""
    import av

    with open(path, "rb") as file, av.open(file, "r") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", stream.layout, stream.rate)
        frames = [part.to_ndarray() for frame in container.decode(stream) for part in resampler.resample(frame)]
        return np.concatenate(frames, axis=1).reshape(-1, stream.channels), stream.rate


def answer_request() -> None:
    """Read the request from standard input, and print the scores."""
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
        sys.exit("ser_hf was imported: these are not the scores of the stock pipeline alone.")


if __name__ == "__main__":
    answer_request()
