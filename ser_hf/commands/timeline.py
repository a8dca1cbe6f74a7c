"""`ser-hf timeline` and `ser-hf listen`: emotions over time, of a recording or of what is being said."""

import argparse
import contextlib
import queue
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_hf.commands.model_options import add_model_options, load_chosen_model
from ser_hf.serving.segment_files import WRITERS, clock, write_segments
from ser_hf.serving.segments import Segment

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier

FIGURE = ".png"
CHUNK = 0.05  # seconds of audio that a microphone hands over at once
LONGEST = 3600  # seconds of a window


def timeline_command(argv: list[str]) -> int:
    """Print the emotions of a long recording over time; write them as a table, labels, subtitles or a figure."""
    parser = _build_timeline_parser("timeline", timeline_command.__doc__)
    parser.add_argument("file", help="Recording of any length: wav, flac, mp3, ogg, opus, aiff …")
    endings = ", ".join([*WRITERS, FIGURE])
    parser.add_argument("--output", nargs="+", default=[], help=f"Files to write too, by their endings: {endings}.")
    options = parser.parse_args(argv)
    _check_outputs(options.output)
    classifier = load_chosen_model(options)
    segments, heard = [], False
    try:
        for segment in classifier.timeline(options.file, window=options.window, hop=options.hop):
            if not segments:
                print(f"{'start':>9}  {'end':>9}  {'emotion':{_width(classifier)}}  score")
            segments.append(segment)
            print(_describe_segment(segment, _width(classifier)), flush=True)
        heard = True
        if not segments:
            print(f"No speech found in '{options.file}'.")
    finally:  # what was found until Ctrl+C, or until the file broke off, is kept
        for path in options.output if heard or segments else ():
            _write(options.file, segments, path)
            print(f"Written: {path}")
    return 0


def listen_command(argv: list[str]) -> int:
    """Print the emotion of what is said into the microphone, until Ctrl+C."""
    parser = _build_timeline_parser("listen", listen_command.__doc__)
    options = parser.parse_args(argv)
    classifier = load_chosen_model(options)
    classifier.score(
        [np.zeros(round(options.window * classifier.sampling_rate), dtype=np.float32)]
    )  # the first is slow
    with contextlib.suppress(KeyboardInterrupt):
        print("Listening; Ctrl+C ends it.", flush=True)
        follow(classifier, microphone(classifier.sampling_rate), window=options.window, hop=options.hop)
    return 0


def follow(
    classifier: "EmotionClassifier", arrivals: Iterable[tuple[float, np.ndarray]], *, window: float, hop: float
) -> None:
    """Print each result of a stream as it comes; "…" marks those that audio to come may change.

    The latency is the time from the arrival of the newest audio to the result, waiting included; the real-time factor
    the share of the time heard so far that went into computing: below 1 the recogniser keeps up.

    Args:
        classifier: An `EmotionClassifier`.
        arrivals: Chunks ``(T,)`` at the classifier's rate, each with the `time.monotonic` of its arrival in seconds.
        window: Seconds of speech that a score is based on, at most.
        hop: Seconds between two results.
    """
    arrived = taken = worked = heard = 0.0

    def chunks() -> Iterator[np.ndarray]:
        nonlocal arrived, taken, worked, heard
        for moment, chunk in arrivals:
            arrived, taken = moment, time.monotonic()
            heard += len(chunk) / classifier.sampling_rate
            yield chunk
            worked += time.monotonic() - taken

    width = _width(classifier)
    for segment in classifier.stream(chunks(), classifier.sampling_rate, window=window, hop=hop):
        now = time.monotonic()
        factor = (worked + now - taken) / heard
        line = _describe_segment(segment, width) + ("" if segment.final else " …")
        print(f"{line:{width + 42}}  latency {now - arrived:.2f} s, real-time factor {factor:.2f}", flush=True)


def microphone(sampling_rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the default microphone's chunks ``(T,)``, each with the `time.monotonic` of its arrival, without end.

    Raises:
        ImportError: If sounddevice or the system's PortAudio is missing.
        RuntimeError: If there is no microphone that can be opened.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: sounddevice without PortAudio
        raise ImportError(
            f'listen needs sounddevice ({error}): pip install "ser_hf[listen]", and on Linux the system\'s PortAudio '
            "(Debian and Ubuntu: apt install libportaudio2)."
        ) from error
    arrivals = queue.SimpleQueue()
    try:
        with sounddevice.InputStream(
            samplerate=sampling_rate,
            blocksize=round(CHUNK * sampling_rate),
            channels=1,
            dtype="float32",
            callback=lambda chunk, *_: arrivals.put((time.monotonic(), chunk[:, 0].copy())),
        ):
            while True:
                yield arrivals.get()
    except sounddevice.PortAudioError as error:
        raise RuntimeError(f"No microphone could be opened ({error}): connect one and allow its use.") from error


def _build_timeline_parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ser-hf {command}", description=description, allow_abbrev=False)
    add_model_options(parser)
    parser.add_argument(
        "--window", type=_seconds, default=4.0, help="Seconds of speech heard at once, at most (%(default)s)."
    )
    parser.add_argument("--hop", type=_seconds, default=1.0, help="Seconds between two results (%(default)s).")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected seconds above 0 and up to {LONGEST}, found {text}")
    return seconds


def _check_outputs(paths: Iterable[str]) -> None:
    for path in map(Path, paths):
        if path.suffix not in (*WRITERS, FIGURE):
            known = ", ".join([*WRITERS, FIGURE])
            raise ValueError(f"output: unknown ending '{path.suffix}' of '{path}': expected one of {known}.")
        if not path.absolute().parent.is_dir():
            raise ValueError(f"output: expected a folder that exists, found '{path.parent}'.")


def _write(audio: str, segments: list[Segment], path: str) -> None:
    if Path(path).suffix != FIGURE:
        write_segments(segments, path)
        return
    from ser_hf.evaluation.figures import plot_timeline

    plot_timeline(audio, segments, path)


def _width(classifier: "EmotionClassifier") -> int:
    return max(map(len, [*classifier.emotions, "emotion"]))


def _describe_segment(segment: Segment, width: int) -> str:
    note = "  uncertain" if segment.uncertain else ""
    times = f"{clock(segment.start, 2):>9}  {clock(segment.end, 2):>9}"
    return f"{times}  {segment.emotion:{width}}  {100 * segment.score:3.0f} %{note}"
