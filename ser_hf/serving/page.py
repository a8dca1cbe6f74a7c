"""The live page: a recording goes in, its emotions come out; the only place that imports Gradio.

It works without internet: fonts are the system's, and nothing is reported to anybody.
"""

import html
from collections.abc import Sequence
from pathlib import Path

try:
    import gradio
except ImportError as error:
    raise ImportError('The page needs Gradio: pip install "ser_hf[demo]"') from error

from ser_hf.data.audio import audio_duration
from ser_hf.evaluation.figures.timeline import plot_timeline
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.segment_files import caption, clock, write_segments

LONGEST = 600  # seconds; what a CPU recognises in about a minute
LARGEST = "120mb"  # so much are `LONGEST` of 48 kHz, 16 bits and two channels
WAITING = 16  # recordings in the queue, one being recognised: a quarter of an hour at worst
KEPT = 3600  # seconds until a recording and its timeline are deleted
PROMPT = "Upload or record speech, then press **Recognise**."
# Indigo, as white on the default's orange is hard to read.
THEME = gradio.themes.Default(primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["monospace"])
# On phones the figure keeps a legible width and scrolls sideways.
CSS = """
#figure .image-frame {justify-content: flex-start; overflow-x: auto}
#figure img {min-width: 800px}
"""


def build_page(classifier: EmotionClassifier, *, examples: Sequence[str | Path] = ()) -> gradio.Blocks:
    """Build a page where people upload or record speech, and read its emotions.

    Args:
        classifier: What recognises.
        examples: Recordings to choose from.
    """
    with gradio.Blocks(title="Speech emotions", analytics_enabled=False, delete_cache=(60, KEPT)) as page:
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
                    shown = _lay_out_results()

        def show(path: str | None) -> dict:
            try:
                words, *values = recognise(classifier, path)
            except (ValueError, OSError) as error:
                return {answer: f"## No result\n{_spell_error(error, path)}", results: gradio.Column(visible=False)}
            return {answer: words, results: gradio.Column(visible=True), **dict(zip(shown, values, strict=True))}

        def forget() -> dict:
            return {answer: PROMPT, results: gradio.Column(visible=False)}

        # so that results never stand beside a recording that they are not of
        audio.change(forget, None, [answer, results], queue=False, show_progress="hidden", api_visibility="private")
        button.click(show, audio, [answer, results, *shown], api_name="recognise")
    return page.queue(max_size=WAITING, default_concurrency_limit=1)


def _lay_out_results() -> list[gradio.components.Component]:
    bars = gradio.Label(label="All emotions, over the whole recording", show_heading=False)
    described = "Waveform, spectrogram and emotions over time; the table below says the same in words."
    figure = gradio.Image(elem_id="figure", type="filepath", show_label=False, buttons=[], alt_text=described)
    table = gradio.Dataframe(
        headers=["start", "end", "emotion"],
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
    """Serve a page in a thread of its own, and return its address.

    Args:
        page: From `build_page`.
        host: Address to listen at; "0.0.0.0" lets other machines in.
        port: None takes the first that is free from 7860 on.

    Raises:
        OSError: If the port is taken.
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
    )
    return address


def recognise(classifier: EmotionClassifier, audio: str | None) -> tuple:
    """Return what the page shows of a recording.

    Args:
        classifier: What recognises.
        audio: A file in a folder of its own, such as Gradio keeps uploads in: the timeline's files go there too.

    Returns:
        The answer in words, the score of every emotion, the figure's path, rows of start, end and caption, and the
        paths of the CSV and WebVTT files.

    Raises:
        ValueError: If the recording is missing, unreadable or too long, or nobody speaks in it.
        OSError: If the file is gone.
    """
    if audio is None:
        raise ValueError("Upload or record some speech first.")
    duration = audio_duration(audio)
    if duration > LONGEST:
        raise ValueError(
            f"The recording lasts {clock(duration)} minutes: expected at most {clock(LONGEST)}. Cut it, or use "
            "ser-hf timeline, which takes any length."
        )
    segments = list(classifier.timeline(audio))
    if not segments:
        raise ValueError("No speech found: is the recording too quiet, or too short?")
    scores = classifier(audio)
    figure, *files = (str(Path(audio).with_suffix(ending)) for ending in (".png", ".csv", ".vtt"))
    plot_timeline(audio, segments, figure)
    for file in files:
        write_segments(segments, file)
    rows = [[clock(segment.start), clock(segment.end), caption(segment)] for segment in segments]
    return describe(scores, classifier.uncertainty_threshold), scores, figure, rows, *files


def describe(scores: dict[str, float], threshold: float | None) -> str:
    """Say in words (Markdown) what is heard in a recording, and whether that is uncertain.

    Args:
        scores: Every emotion, the best first.
        threshold: A best score below it is uncertain; None for never.
    """
    emotion, score = next(iter(scores.items()))
    name = html.escape(emotion)
    if threshold is not None and score < threshold:
        return (
            f"## Uncertain\nThe best guess is **{name}**, with {100 * score:.1f} %. Below {100 * threshold:.1f} % this "
            "model is too often wrong: do not rely on this guess."
        )
    return f"## {name[:1].upper() + name[1:]}\n{100 * score:.1f} %, over the whole recording."


def _introduce(classifier: EmotionClassifier) -> str:
    if classifier.uncertainty_threshold is None:
        honesty = "This model was never calibrated, so none of its answers is marked as uncertain: doubt them all."
    else:
        honesty = f"Answers below {100 * classifier.uncertainty_threshold:.1f} % are called uncertain."
    emotions = html.escape(", ".join(classifier.emotions))
    return (
        f"This model tells {len(classifier.emotions)} emotions by the voice: {emotions}. {honesty} Recordings may last "
        f"{LONGEST // 60} minutes ({LARGEST[:-2]} MB); the computer that serves this page deletes them after "
        f"{KEPT // 60} minutes."
    )


def _spell_error(error: Exception, path: str | None) -> str:
    """Return an error's message without the folders of this computer."""
    return html.escape(str(error).replace(str(path), Path(path or "").name))
