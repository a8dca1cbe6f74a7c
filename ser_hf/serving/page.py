"""Build and serve the live page, which recognises uploaded or recorded speech; the only module that imports Gradio.

The page works offline: it uses system fonts and sends no usage data.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

try:
    import gradio
except ImportError as error:
    raise ImportError('The live page needs Gradio: pip install "ser_hf[demo]"') from error

from starlette.middleware import Middleware

from ser_hf.cpus import release_memory
from ser_hf.data.audio import audio_duration
from ser_hf.data.decoder import open_audio
from ser_hf.escaping import markdown
from ser_hf.evaluation.figures.timeline import plot_timeline
from ser_hf.serving.certainty import describe_certainty
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.emotion_segments import caption
from ser_hf.serving.page_access import OwnOriginOnly
from ser_hf.serving.segment_files import clock, write_segments
from ser_hf.serving.segment_summary import DOMINANT, MIXED, Summary, summarize
from ser_hf.tasks import load_task

logger = logging.getLogger(__name__)
# oneDNN keeps compiled kernels for 1024 lengths of audio; it reads this before its first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

LONGEST = 600  # seconds of a recording; a CPU processes them in about a minute
LARGEST = "120mb"  # size of `LONGEST` seconds at 48 kHz, 16 bits and two channels
WAITING = 16  # longest queue of recordings: a wait of at most a quarter of an hour
KEPT = 3600  # seconds until a recording and its timeline are deleted
PROMPT = "Upload or record speech, then press **Recognise**."
# Indigo, because white text on the default orange is hard to read.
THEME = gradio.themes.Default(primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["monospace"])
# On phones the figure keeps a legible width and scrolls sideways.
CSS = """
#figure .image-frame {justify-content: flex-start; overflow-x: auto}
#figure img {min-width: 800px}
"""


def build_page(classifier: EmotionClassifier, *, examples: Sequence[str | Path] = ()) -> gradio.Blocks:
    """Build a page to upload or record speech and show its emotions.

    Args:
        classifier: The classifier.
        examples: Recordings that the page offers as examples.
    """
    with Page(title="Speech emotions", analytics_enabled=False, delete_cache=(60, KEPT)) as page:
        gradio.Markdown(f"# Speech emotions\n{_introduce(classifier)}")
        with gradio.Row():
            with gradio.Column():
                audio = gradio.Audio(type="filepath", sources=["upload", "microphone"], label="Recording", buttons=[])
                button = gradio.Button("Recognise", variant="primary")
                if examples:
                    gradio.Examples([[str(path)] for path in examples], audio, cache_examples=False)
            with gradio.Column(scale=2):
                answer = gradio.Markdown(PROMPT, elem_id="answer", min_height=100)
                with gradio.Column(visible=False) as results:
                    shown = _lay_out_results(rated=classifier.rating_scale is not None)

        def show(path: str | None) -> dict:
            try:
                words, *values = recognise(classifier, path)
            except (ValueError, OSError) as error:
                return {answer: f"## No result\n{_spell_error(error, path)}", results: gradio.Column(visible=False)}
            finally:
                release_memory()
            return {answer: words, results: gradio.Column(visible=True), **dict(zip(shown, values, strict=True))}

        def forget() -> dict:
            return {answer: PROMPT, results: gradio.Column(visible=False)}

        # Hide the results of the previous recording as soon as there is another one.
        audio.change(forget, None, [answer, results], queue=False, show_progress="hidden", api_visibility="private")
        button.click(show, audio, [answer, results, *shown], api_name="recognise")
    return page.queue(max_size=WAITING, default_concurrency_limit=1)


class Page(gradio.Blocks):
    """Gradio's page, without a traceback for requests with input of another type than a recording."""

    async def process_api(self, *arguments, **options):  # noqa: D102
        try:
            return await super().process_api(*arguments, **options)
        except ValueError as error:
            logger.warning(f"Refused a request: {type(error).__name__}.")
            raise gradio.Error("Expected a recording.", print_exception=False) from error


def _lay_out_results(*, rated: bool) -> list[gradio.components.Component]:
    bars = gradio.Label(label="All scores, means over the speech", show_heading=False)
    described = "Waveform, spectrogram and emotions over time; the table below contains the same emotions as text."
    figure = gradio.Image(elem_id="figure", type="filepath", show_label=False, buttons=[], alt_text=described)
    table = gradio.Dataframe(
        headers=["start", "end", "ratings" if rated else "emotion"],
        label="Timeline",
        column_widths=["25%", "25%", "50%"],
        wrap=True,
        interactive=False,
        buttons=[],
    )
    with gradio.Row():
        downloads = [gradio.DownloadButton(f"Download as {kind}") for kind in ("CSV", "subtitles (WebVTT)")]
    return [bars, figure, table, *downloads]


def serve_page(page: gradio.Blocks, *, host: str = "127.0.0.1", port: int | None = None) -> str:
    """Serve a page in a separate thread, and return its address.

    Args:
        page: From `build_page`.
        host: Address to listen at; "0.0.0.0" accepts connections from other machines.
        port: Port; None for the first free one from 7860.

    Raises:
        OSError: If the port is in use.
    """
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        max_file_size=LARGEST,
        theme=THEME,
        css=CSS,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        app_kwargs={"middleware": [Middleware(OwnOriginOnly, host=host)]},
    )
    return address


def recognise(classifier: EmotionClassifier, audio: str | None) -> tuple:
    """Return what the page shows about a recording.

    Args:
        classifier: The classifier.
        audio: Audio file in a separate folder, as Gradio stores uploads; the timeline files are written there too.

    Returns:
        The result in words, the score of every emotion or the rating of every dimension, the path of the figure, rows
        of start, end and caption, and the paths of the CSV and WebVTT files.

    Raises:
        ValueError: If the recording is missing, unreadable or too long, or contains no speech.
        OSError: If the file no longer exists.
    """
    if audio is None:
        raise ValueError("Upload or record speech first.")
    duration = audio_duration(audio)
    if duration > LONGEST:
        raise ValueError(
            f"The recording is {clock(duration)} minutes long: expected at most {clock(LONGEST)}. Split it, or use "
            "ser-hf timeline, which accepts any duration."
        )
    segments = list(classifier.timeline(audio))
    if not segments:
        raise ValueError("No speech found: is the recording too quiet, or too short?")
    summary = summarize(segments, load_task(classifier.task).answer)
    figure, *files = (str(Path(audio).with_suffix(ending)) for ending in (".png", ".csv", ".vtt"))
    plot_timeline(open_audio(audio), segments, figure, scale=classifier.rating_scale)  # type: ignore[arg-type]
    for file in files:
        write_segments(segments, file)
    rows = [[clock(segment.start), clock(segment.end), caption(segment)] for segment in segments]
    words = describe(summary, classifier.uncertainty_threshold)
    return words, _name_bars(summary.scores, classifier.rating_scale), figure, rows, *files


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
    """Describe the emotion of a recording in Markdown, and whether it is uncertain.

    Args:
        summary: What the segments of the recording have in common.
        threshold: Lower scores are uncertain; None if no prediction is marked as uncertain.

    Examples:
        >>> from ser_hf.serving.emotion_segments import Segment
        >>> sad = Segment(0.0, 2.0, "sad", 0.7, False, {"happy": 0.3, "sad": 0.7})
        >>> print(describe(summarize([sad], lambda scores: "sad"), threshold=None))
        ## Sad
        70.0 %, the mean over the speech.
    """
    name, score = markdown(summary.emotion), summary.scores.get(summary.emotion)
    if summary.emotion == MIXED and score is None:
        shares = ", ".join(f"{markdown(name)} {100 * share:.0f} %" for name, share in summary.shares.items())
        title, text = "Mixed", f"No emotion has {100 * DOMINANT:.0f} % of the speech: {shares}."
    elif score is None:
        return f"## {name}\nThe means over the speech."
    else:
        title, text = name[:1].upper() + name[1:], f"{100 * score:.1f} %, the mean over the speech."
    if not summary.uncertain:
        return f"## {title}\n{text}"
    guess = text if title == "Mixed" else f"The best guess is **{name}**, with {100 * score:.1f} %."  # type: ignore[operator]
    return (
        f"## Uncertain\n{guess} Most of the speech has scores below {100 * threshold:.1f} %, with "  # type: ignore[operator]
        "which this model is wrong too often: do not rely on this guess."
    )


def _introduce(classifier: EmotionClassifier) -> str:
    emotions = ", ".join(map(markdown, classifier.emotions))
    return (
        f"This model recognises by the voice: {emotions}. {describe_certainty(classifier)} Recordings can "
        f"be up to {LONGEST // 60} minutes long ({LARGEST[:-2]} MB); the computer that serves this page deletes them "
        f"after {KEPT // 60} minutes."
    )


def _spell_error(error: Exception, path: str | None) -> str:
    """Return the message of an error without the folders of this computer."""
    return markdown(str(error).replace(str(path), Path(path or "").name))
