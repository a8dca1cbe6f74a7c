"""Define `ser-hf timeline` and `ser-hf listen`: emotions over time, of a recording or of a microphone."""

import argparse
import contextlib
import json
import queue
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser_hf.commands.model_options import (
    add_channel_options,
    add_model_options,
    add_speech_option,
    check_channel_options,
    load_chosen_model,
)
from ser_hf.commands.outputs import check_outputs
from ser_hf.escaping import one_line, show
from ser_hf.serving.annotation_files import check_package
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.segment_files import EXTENSIONS, clock, describe_segment, write_segments
from ser_hf.serving.segment_summary import describe_speaker, summarize_speakers
from ser_hf.serving.speaker_turns import Turn, read_turns

if TYPE_CHECKING:
    from ser_hf.serving import EmotionClassifier

FIGURE = ".png"
CHUNK = 0.05  # seconds of audio per chunk of the microphone
LONGEST = 3600  # longest window, in seconds


def timeline_command(argv: list[str]) -> int:
    """Print the emotions of a long recording over time; write them as a table, labels, subtitles or a figure."""
    options = _read_timeline_options(argv)
    _check_formats(options.output)
    check_outputs(options.output, filter(None, [options.file, options.speakers]))
    _check_recording(options.file)
    turns = read_turns(options.speakers, options.file) if options.speakers else None
    classifier = load_chosen_model(options)
    segments: list[Segment] = []
    finished = False
    speakers = bool(turns) or options.channels == "separate"
    try:
        for segment in _find_segments(classifier, options, turns):
            if not segments and not options.json:
                show(_head(classifier, speakers=speakers))
            segments.append(segment)
            line = json.dumps(describe_segment(segment)) if options.json else _describe(segment, _width(classifier))
            show(line, flush=True)
        finished = True
        if not segments:
            show(f"No speech found in '{options.file}'.", file=sys.stderr if options.json else None)
    finally:  # keep the segments found before Ctrl+C or before an error in the file
        for path in options.output if finished or segments else ():
            _write(options.file, segments, path, classifier.rating_scale)
            show(f"Wrote {path}", file=sys.stderr if options.json else None)
    if speakers and segments and not options.json:
        from ser_hf.tasks import load_task

        show(*map(describe_speaker, summarize_speakers(segments, load_task(classifier.task).answer)))
    return 0


def _read_timeline_options(argv: list[str]) -> argparse.Namespace:
    parser = _build_timeline_parser("timeline", timeline_command.__doc__)
    parser.add_argument("file", help="Recording of any duration: wav, flac, mp3, ogg, m4a …")
    extensions = ", ".join([*EXTENSIONS, FIGURE])
    parser.add_argument("--output", nargs="+", default=[], help=f"Files to write, with the extensions {extensions}.")
    parser.add_argument(
        "--speakers", metavar="FILE",
        help="Who speaks when: RTTM, JSON of whisperX or pyannote, or a table of start, end and speaker.",
    )  # fmt: skip
    add_channel_options(parser)
    parser.add_argument(
        "--adapt", action="store_true",
        help="With --speakers: adapt the model to the voice of each speaker first; it needs --voice_head in training.",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="Print each segment as a JSON object on one line.")
    options = parser.parse_args(argv)
    check_channel_options(parser, options)
    if options.adapt and not options.speakers:
        parser.error("adapt needs --speakers.")
    return options


def _find_segments(
    classifier: "EmotionClassifier", options: argparse.Namespace, turns: list[Turn] | None
) -> Iterable[Segment]:
    if options.channels == "separate":
        from ser_hf.serving.long_recording import channel_timelines

        names = options.channel_names
        return channel_timelines(
            classifier, options.file, names, window=options.window, hop=options.hop, speech=options.speech
        )
    if options.adapt:
        from ser_hf.serving.adapted_timeline import adapted_timeline

        assert turns is not None  # of --speakers
        return adapted_timeline(
            classifier, options.file, turns, window=options.window, hop=options.hop, speech=options.speech
        )
    return classifier.timeline(options.file, window=options.window, hop=options.hop, turns=turns, speech=options.speech)


def listen_command(argv: list[str]) -> int:
    """Print the emotions of speech from the microphone, until Ctrl+C."""
    parser = _build_timeline_parser("listen", listen_command.__doc__)
    options = parser.parse_args(argv)
    classifier = load_chosen_model(options)
    classifier.score(
        [np.zeros(round(options.window * classifier.sampling_rate), dtype=np.float32)]
    )  # warm-up: the first run is slow
    with contextlib.suppress(KeyboardInterrupt):
        show("Listening; press Ctrl+C to stop.", flush=True)
        arrivals = microphone(classifier.sampling_rate)
        follow(classifier, arrivals, window=options.window, hop=options.hop, speech=options.speech)
    return 0


def follow(
    classifier: "EmotionClassifier",
    arrivals: Iterable[tuple[float, np.ndarray]],
    *,
    window: float,
    hop: float,
    speech: str = "energy",
) -> None:
    """Print each result of a stream as soon as it is available; "…" marks preliminary results.

    The latency is the time from the arrival of the newest audio to the result, including the time in the queue. The
    real-time factor is the computing time divided by the duration of the audio so far: below 1 the classifier is fast
    enough.

    Args:
        classifier: An `EmotionClassifier`.
        arrivals: Chunks ``(T,)`` at the classifier's sampling rate, each with the `time.monotonic` of its arrival in
            seconds.
        window: Longest speech per score, in seconds.
        hop: Seconds between two results.
        speech: How speech is detected, "energy" or "silero".
    """
    arrived = started = computed = duration = 0.0

    def chunks() -> Iterator[np.ndarray]:
        nonlocal arrived, started, computed, duration
        for moment, chunk in arrivals:
            arrived, started = moment, time.monotonic()
            duration += len(chunk) / classifier.sampling_rate
            yield chunk
            computed += time.monotonic() - started

    width = _width(classifier)
    for segment in classifier.stream(chunks(), classifier.sampling_rate, window=window, hop=hop, speech=speech):
        now = time.monotonic()
        factor = (computed + now - started) / duration
        line = _describe(segment, width) + ("" if segment.final else " …")
        show(f"{line:{width + 42}}  latency {now - arrived:.2f} s, real-time factor {factor:.2f}", flush=True)


def microphone(sampling_rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield chunks ``(T,)`` of the default microphone endlessly, each with the `time.monotonic` of its arrival.

    Args:
        sampling_rate: Sampling rate in Hz.

    Raises:
        ImportError: If sounddevice or PortAudio is not installed.
        RuntimeError: If no microphone can be opened.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: sounddevice without PortAudio
        raise ImportError(
            f'listen needs sounddevice ({error}): pip install "ser_hf[listen]", and on Linux the system\'s PortAudio '
            "(Debian and Ubuntu: apt install libportaudio2)."
        ) from error
    arrivals: queue.SimpleQueue[tuple[float, np.ndarray]] = queue.SimpleQueue()
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
        raise RuntimeError(f"No microphone could be opened ({error}): connect one and allow access to it.") from error


def _build_timeline_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ser-hf {command}", description=description, allow_abbrev=False)
    add_model_options(parser)
    parser.add_argument(
        "--window", type=_seconds, default=4.0, help="Longest speech per score, in seconds (%(default)s)."
    )
    parser.add_argument("--hop", type=_seconds, default=1.0, help="Seconds between two results (%(default)s).")
    add_speech_option(parser)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"expected seconds above 0 and at most {LONGEST}, found {text}")
    return seconds


def _check_recording(path: str) -> None:
    if Path(path).is_dir():
        raise ValueError(f"Expected a recording, found the folder '{path}'. `ser-hf predict` reads folders.")
    if not Path(path).exists():
        raise FileNotFoundError(f"No recording '{path}': expected an audio file.")


def _check_formats(paths: Iterable[str]) -> None:
    for path in map(Path, paths):
        if path.suffix not in (*EXTENSIONS, FIGURE):
            known = " or ".join([*EXTENSIONS, FIGURE])
            raise ValueError(f"output: expected a file with the extension {known}, found '{path}'.")
        if not path.absolute().parent.is_dir():
            raise ValueError(f"output: expected a file in an existing folder, found '{path}'.")
        check_package(path.suffix)


def _write(audio: str, segments: list[Segment], path: str, scale: tuple[float, float] | None) -> None:
    if Path(path).suffix != FIGURE:
        write_segments(segments, path, recording=audio)
        return
    from ser_hf.data.decoder import open_audio
    from ser_hf.evaluation.figures import plot_timeline

    plot_timeline(open_audio(audio), segments, path, scale=scale)  # type: ignore[arg-type]


def _width(classifier: "EmotionClassifier") -> int:
    return max(map(len, [*map(one_line, classifier.emotions), "emotion"]))


def _head(classifier: "EmotionClassifier", *, speakers: bool) -> str:
    names = f"{'emotion':{_width(classifier)}}  score" if classifier.rating_scale is None else "ratings"
    return f"{'start':>9}  {'end':>9}  {names}" + "  speaker" * speakers


def _describe(segment: Segment, width: int) -> str:
    note = "  uncertain" if segment.uncertain else ""
    times = f"{clock(segment.start, 2):>9}  {clock(segment.end, 2):>9}"
    score = f"{100 * segment.score:3.0f} %" if segment.emotion in segment.scores else ""
    speaker = "" if segment.speaker is None else f"  {one_line(segment.speaker)}{' (overlap)' * segment.overlap}"
    return f"{times}  {one_line(segment.emotion):{width}}  {score}{speaker}{note}"
