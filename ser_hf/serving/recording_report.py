"""Analyse a recording for the page: an answer in words, lanes of segments, a figure, a table, and files."""

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ser_hf.data.audio import read_header
from ser_hf.data.decoder import open_audio
from ser_hf.escaping import markdown
from ser_hf.evaluation.figures.timeline import plot_timeline
from ser_hf.serving.annotation_files import check_package
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.emotion_segments import Segment, name_speaker
from ser_hf.serving.long_recording import channel_timelines, timeline
from ser_hf.serving.segment_files import EXTENSIONS, clock, write_segments
from ser_hf.serving.segment_lanes import draw_lanes
from ser_hf.serving.segment_summary import DOMINANT, MIXED, Summary, summarize, summarize_speakers
from ser_hf.serving.speaker_turns import Turn, read_turns
from ser_hf.tasks import load_task

LONGEST = 7200  # seconds of a recording
LONGEST_TURN = 300.0  # seconds: the audio of a turn is in memory
FIGURE = ".png"
TITLES = {
    FIGURE: "Figure (PNG)", ".csv": "CSV", ".json": "JSON", ".jsonl": "JSON Lines", ".txt": "Audacity labels",
    ".vtt": "Subtitles (WebVTT)", ".rttm": "RTTM", ".TextGrid": "Praat TextGrid", ".eaf": "ELAN",
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Hold what the page shows about a recording.

    Attributes:
        words: The answer in Markdown.
        bars: Lengths from 0 to 1 by name, of the scores of the whole recording; None for several speakers.
        lanes: Lanes of the segments, in HTML.
        rows: Start, end, and caption with the speaker of each segment.
        files: Paths of the files to download, in the order of `list_formats`: the figure is the first.
    """

    words: str
    bars: dict[str, float] | None
    lanes: str
    rows: list[list[str]]
    files: list[str]


def analyse(
    classifier: EmotionClassifier,
    audio: str | None,
    *,
    speech: str = "energy",
    speakers: str | None = None,
    separate: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """Return the report of a recording; the memory that this takes does not depend on its duration.

    Args:
        classifier: The classifier.
        audio: Audio file in a separate folder, as Gradio stores uploads; the files are written into a new folder there.
        speech: How speech is detected, see `timeline`.
        speakers: File that tells who speaks when, see `read_turns`.
        separate: Whether each channel is a speaker.
        progress: As for `timeline`.

    Raises:
        ValueError: If the recording is missing, unreadable or too long, or contains no speech; or if the speakers are
            given twice, or their file is unreadable.
        OSError: If the file no longer exists.
    """
    if audio is None:
        raise ValueError("Upload or record speech first.")
    if speakers and separate:
        raise ValueError("A file of speakers and a speaker per channel exclude each other: both say who speaks.")
    header = read_header(audio)
    if header.duration > LONGEST:
        raise ValueError(
            f"Expected a recording of at most {LONGEST // 3600} hours, found one of {_spell(header.duration)}. "
            "Split it, or use ser-hf timeline, which accepts any duration."
        )
    turns = shorten_turns(read_turns(speakers, audio)) if speakers else None
    if separate:
        segments = channel_timelines(classifier, audio, speech=speech, progress=progress)
    else:
        segments = list(timeline(classifier, audio, turns=turns, speech=speech, progress=progress))
    if not segments:
        raise ValueError("No speech found: is the recording too quiet, or too short?")
    words, bars = _answer(classifier, segments)
    if header.channels > 1 and not separate:
        words += f"\n\nThe recording has {header.channels} channels, which were averaged."
    files = write_files(classifier, audio, segments)
    rows = [[clock(each.start), clock(each.end), name_speaker(each)] for each in segments]
    lanes = draw_lanes(segments, audio, header.duration, classifier.emotions)
    return Report(words, bars, lanes, rows, files)


def _spell(seconds: float) -> str:
    """Return a duration in hours and minutes.

    Examples:
        >>> _spell(7_201.0)
        '2 h 1 min'
    """
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def shorten_turns(turns: Sequence[Turn], longest: float = LONGEST_TURN) -> list[Turn]:
    """Return turns sorted by start, of which long ones have been cut into parts.

    Examples:
        >>> [(turn.start, turn.end) for turn in shorten_turns([Turn(0.0, 5.0, "a"), Turn(1.0, 2.0, "b")], longest=3.0)]
        [(0.0, 3.0), (1.0, 2.0), (3.0, 5.0)]
    """
    parts = []
    for turn in turns:
        start = turn.start
        while turn.end - start > longest:
            parts.append(Turn(start, start + longest, turn.speaker))
            start += longest
        parts.append(Turn(start, turn.end, turn.speaker))
    return sorted(parts, key=lambda turn: (turn.start, turn.end, turn.speaker))


def list_formats() -> list[str]:
    """Return the extensions of the figure and of the formats whose packages are installed."""
    found = [FIGURE]
    for extension in EXTENSIONS:
        with suppress(ImportError):
            check_package(extension)
            found.append(extension)
    return found


def write_files(classifier: EmotionClassifier, audio: str, segments: Sequence[Segment]) -> list[str]:
    """Write a file of each of `list_formats`, and return their paths."""
    folder = Path(tempfile.mkdtemp(dir=Path(audio).parent))  # another analysis of the recording has other files
    figure, *files = (folder / f"{Path(audio).stem}{extension}" for extension in list_formats())
    plot_timeline(open_audio(audio), segments, figure, scale=classifier.rating_scale)  # type: ignore[arg-type]
    for file in files:
        write_segments(segments, file, recording=audio)
    return [str(path) for path in (figure, *files)]


def _answer(classifier: EmotionClassifier, segments: Sequence[Segment]) -> tuple[str, dict[str, float] | None]:
    """Return the answer in Markdown, for each speaker if they are known, and the bars of the scores."""
    answer, threshold = load_task(classifier.task).answer, classifier.uncertainty_threshold
    summaries = summarize_speakers(segments, answer)
    if summaries:
        return "\n\n".join(f"{describe(each, threshold)}\n\n{_detail(each)}" for each in summaries), None
    summary = summarize(segments, answer)
    return describe(summary, threshold), _name_bars(summary.scores, classifier.rating_scale)


def _detail(summary: Summary) -> str:
    strongest = ", ".join(f"{markdown(each.emotion)} at {clock(each.start)}" for each in summary.strongest)
    return (
        f"{clock(summary.seconds)} of speech, {summary.changes_per_minute:.1f} changes per minute"
        + (f"; strongest: {strongest}" if strongest else "")
        + "."
    )


def _name_bars(scores: dict[str, float], scale: tuple[float, float] | None) -> dict[str, float]:
    """Return the lengths of the bars, from 0 to 1, by their names; a rating is a share of its scale."""
    if scale is None:
        return scores
    low, high = scale
    return {
        f"{name} {value:.1f}, on a scale from {low:g} to {high:g}": (value - low) / (high - low)
        for name, value in scores.items()
    }


def describe(summary: Summary, threshold: float | None) -> str:
    """Describe the emotion of a recording or a speaker in Markdown, and whether it is uncertain.

    Args:
        summary: What the segments have in common.
        threshold: Lower scores are uncertain; None if no prediction is marked as uncertain.

    Examples:
        >>> sad = Segment(0.0, 2.0, "sad", 0.7, False, {"happy": 0.3, "sad": 0.7})
        >>> print(describe(summarize([sad], lambda scores: "sad"), threshold=None))
        ## Sad
        70.0 %, the mean over the speech.
    """
    name, score = markdown(summary.emotion), summary.scores.get(summary.emotion)
    head = f"## {markdown(summary.speaker)}: " if summary.speaker else "## "
    if summary.emotion == MIXED and score is None:
        shares = ", ".join(f"{markdown(name)} {100 * share:.0f} %" for name, share in summary.shares.items())
        title, text = "Mixed", f"No emotion has {100 * DOMINANT:.0f} % of the speech: {shares}."
    elif score is None:
        return f"{head}{name}\nThe means over the speech."
    else:
        title, text = name[:1].upper() + name[1:], f"{100 * score:.1f} %, the mean over the speech."
    if not summary.uncertain:
        return f"{head}{title}\n{text}"
    guess = text if title == "Mixed" else f"The best guess is **{name}**, with {100 * score:.1f} %."  # type: ignore[operator]
    return (
        f"{head}Uncertain\n{guess} Most of the speech has scores below {100 * threshold:.1f} %, with "  # type: ignore[operator]
        "which this model is often wrong: do not rely on this answer."
    )
