"""Build and serve the live page, which recognises uploaded or recorded speech; the only module that imports Gradio.

The page works offline: it uses system fonts and sends no usage data.
"""

import logging
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

try:
    import gradio
except ImportError as error:
    raise ImportError('The live page needs Gradio: pip install "ser_hf[demo]"') from error

from starlette.middleware import Middleware

from ser_hf.cpus import release_memory
from ser_hf.escaping import markdown
from ser_hf.serving import segment_lanes
from ser_hf.serving.certainty import describe_certainty
from ser_hf.serving.classifier import EmotionClassifier
from ser_hf.serving.page_access import OwnOriginOnly
from ser_hf.serving.page_jobs import CancelledError, Jobs
from ser_hf.serving.recording_report import LONGEST, TITLES, Report, list_formats

logger = logging.getLogger(__name__)
# oneDNN keeps compiled kernels for 1024 lengths of audio; it reads this before its first use.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

LARGEST = "1400mb"  # size of `LONGEST` seconds at 48 kHz, 16 bits and two channels
WAITING = 16  # longest queue of recordings
KEPT = 10_800  # seconds until a recording and its timeline are deleted; somebody may listen for two hours
PROMPT = "Upload or record speech, then press **Recognise**."
STOPPED = "Cancelled. Press **Recognise** to start again."
# Indigo, because white text on the default orange is hard to read.
THEME = gradio.themes.Default(primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["monospace"])
# On phones the figure keeps a legible width and scrolls sideways, and so do the tables of the card.
CSS = """
#figure .image-frame {justify-content: flex-start; overflow-x: auto}
#figure img {min-width: 800px}
#files > * {flex: 0 1 auto}
#card table {display: block; overflow-x: auto; border: 0; padding: 0}
#card :is(th, td) {overflow-wrap: normal; word-break: normal}
#card :not(pre) > code {overflow-wrap: anywhere; white-space: normal}
"""


def build_page(
    classifier: EmotionClassifier,
    *,
    examples: Sequence[str | Path] = (),
    speech: str = "energy",
    about: str = "",
    card: str = "",
) -> gradio.Blocks:
    """Build a page to upload or record speech and show its emotions.

    Args:
        classifier: The classifier.
        examples: Recordings that the page offers as examples.
        speech: How speech is detected, see `timeline`.
        about: What is known about the model, in Markdown.
        card: Model card in Markdown.
    """
    with Page(title="Speech emotions", analytics_enabled=False, delete_cache=(60, KEPT)) as page:
        gradio.Markdown(f"# Speech emotions\n{_introduce(classifier)}")
        layout = _lay_out(examples, rated=classifier.rating_scale is not None)
        if about:
            gradio.Markdown(f"## About this model\n{about}", elem_id="about")
        if card:
            with gradio.Accordion("The model card", open=False):
                gradio.Markdown(card, elem_id="card")
        _connect(page, layout, Jobs(classifier, speech))
    return page.queue(max_size=WAITING, default_concurrency_limit=1)


class Layout(NamedTuple):
    """Hold the components of a page that change.

    Attributes:
        given: From `_lay_out_inputs`.
        button: Starts the analysis.
        cancel: Stops it; visible while it runs.
        answer: The answer, or what to do.
        results: Column of `shown`, invisible without a result.
        shown: From `_lay_out_results`.
    """

    given: list[gradio.components.Component]
    button: gradio.Button
    cancel: gradio.Button
    answer: gradio.Markdown
    results: gradio.Column
    shown: list[gradio.components.Component]


def _lay_out(examples: Sequence[str | Path], *, rated: bool) -> Layout:
    with gradio.Row():
        with gradio.Column():
            given = _lay_out_inputs(examples)
            button = gradio.Button("Recognise", variant="primary")
            cancel = gradio.Button("Cancel", visible=False)
        with gradio.Column(scale=2):
            answer = gradio.Markdown(PROMPT, elem_id="answer", min_height=100)
            with gradio.Column(visible=False) as results:
                shown = _lay_out_results(rated=rated)
    return Layout(given, button, cancel, answer, results, shown)


def _connect(page: gradio.Blocks, layout: Layout, jobs: Jobs) -> None:
    """Define what the components of a page do."""
    given, button, cancel, answer, results, shown = layout

    def show(
        request: gradio.Request, audio: str | None, separate: bool, speakers: str | None = None,
        progress: gradio.Progress = gradio.Progress(),  # noqa: B008 - Gradio finds it as a default
    ) -> dict:  # fmt: skip
        rest: dict = {results: gradio.Column(visible=False)}
        try:
            follow = partial(progress, desc="Analysing")
            report = jobs.run(request.session_hash, audio, separate=separate, speakers=speakers, progress=follow)
            words, rest = report.words, {results: gradio.Column(visible=True), **_fill(shown, report)}
        except CancelledError:
            words = STOPPED
        except (ValueError, OSError) as error:
            words = f"## No result\n{_spell_error(error, audio, speakers)}"
        finally:
            release_memory()
        return {answer: words, cancel: gradio.Button(visible=False), **rest}

    def start() -> dict:
        return {answer: "", results: gradio.Column(visible=False), cancel: gradio.Button(visible=True)}

    def forget() -> dict:
        return {answer: PROMPT, results: gradio.Column(visible=False)}

    def stop(request: gradio.Request) -> None:
        jobs.stop(request.session_hash)

    at_once: dict = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # Hide the results of the previous recording as soon as there is another one.
    given[0].change(forget, None, [answer, results], **at_once)  # type: ignore[attr-defined]
    begun = button.click(start, None, [answer, results, cancel], **at_once)
    outputs = [answer, results, cancel, *shown]
    work = begun.then(show, given, outputs, api_name="recognise", show_progress_on=answer)
    cancel.click(stop, None, None, **at_once)
    cancel.click(lambda: (STOPPED, gradio.Button(visible=False)), None, [answer, cancel], cancels=[work], **at_once)
    page.unload(stop)


class Page(gradio.Blocks):
    """Gradio's page, without a traceback for requests with input of another type than a recording."""

    async def process_api(self, *arguments, **options):  # noqa: D102
        try:
            return await super().process_api(*arguments, **options)
        except ValueError as error:
            logger.warning(f"Refused a request: {type(error).__name__}.")
            raise gradio.Error("Expected a recording.", print_exception=False) from error


def _lay_out_inputs(examples: Sequence[str | Path]) -> list[gradio.components.Component]:
    """Return the recording, whether each channel is a speaker, and the file of speakers."""
    # The waveform and the editor would decode the whole recording in the browser: 2.6 GB for two hours of stereo.
    audio = gradio.Audio(
        type="filepath",
        sources=["upload", "microphone"],
        label="Recording",
        buttons=[],
        editable=False,
        waveform_options=gradio.WaveformOptions(show_recording_waveform=False),
    )
    with gradio.Accordion("Several speakers", open=False):
        separate = gradio.Checkbox(label="Each channel is a speaker, as in recorded calls")
        kinds = [".rttm", ".json", ".jsonl", ".csv", ".tsv"]  # not the formats that packages unpack
        speakers = gradio.File(label="Or a file of who speaks when (RTTM, JSON, CSV …)", file_types=kinds, height=150)
    if examples:
        gradio.Examples([[str(path)] for path in examples], audio, cache_examples=False)
    return [audio, separate, speakers]


def _lay_out_results(*, rated: bool) -> list[gradio.components.Component]:
    bars = gradio.Label(label="All scores, means over the speech", show_heading=False)
    lanes = gradio.HTML(elem_id="lanes", css_template=segment_lanes.CSS, js_on_load=segment_lanes.SCRIPT)
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
    gradio.Markdown("Download the timeline as:")
    with gradio.Row(elem_id="files"):
        downloads = [gradio.DownloadButton(TITLES[extension], size="sm", min_width=130) for extension in list_formats()]
    return [bars, lanes, figure, table, *downloads]


def _fill(shown: Sequence[gradio.components.Component], report: Report) -> dict:
    """Return the values of the components of `_lay_out_results`."""
    bars = gradio.Label(report.bars or {}, visible=report.bars is not None)
    values = [bars, report.lanes, report.files[0], report.rows, *report.files]
    return dict(zip(shown, values, strict=True))


def serve_page(
    page: gradio.Blocks, *, host: str = "127.0.0.1", port: int | None = None, own_origin_only: bool = True
) -> str:
    """Serve a page in a separate thread, and return its address.

    Args:
        page: From `build_page`.
        host: Address to listen at; "0.0.0.0" accepts connections from other machines.
        port: Port; None for the first free one from 7860.
        own_origin_only: Refuse requests for other host names and from other web pages, see `page_access`; False behind
            a public host name that is not known here, as in a Space.

    Raises:
        OSError: If the port is in use.
    """
    if port is not None:
        _check_port(host, port)
    access = [Middleware(OwnOriginOnly, host=host)] if own_origin_only else []
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
        ssr_mode=False,
        quiet=True,
        prevent_thread_lock=True,
        app_kwargs={"middleware": access},
    )
    return address


def _check_port(host: str, port: int) -> None:
    """Raise OSError if a port is in use, before Gradio does with advice about its own settings."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise OSError(
            f"Expected a free port of this machine, found {host}:{port} ({error.strerror}). Pass another --port."
        ) from error


def _introduce(classifier: EmotionClassifier) -> str:
    emotions = ", ".join(map(markdown, classifier.emotions))
    return (
        f"This model recognises by the voice: {emotions}. {describe_certainty(classifier)} Recordings can "
        f"be up to {LONGEST // 3600} hours long ({LARGEST[:-2]} MB); the computer that serves this page deletes them "
        f"after {KEPT // 3600} hours."
    )


def _spell_error(error: Exception, *paths: str | None) -> str:
    """Return the message of an error without the folders of this computer."""
    text = str(error)
    for path in filter(None, paths):
        text = text.replace(path, Path(path).name)
    return markdown(text)
