"""Draw segments as lanes of a web page: a lane per speaker, in which each segment is a button that plays it.

The browser plays the recording from the server of the page, so that nothing is decoded or copied for this.
"""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ser_hf.evaluation.figures.timeline import COLOURS, UNCERTAIN
from ser_hf.serving.emotion_segments import Segment, caption, name_speaker
from ser_hf.serving.segment_files import clock

SECOND = 10  # pixels; lanes of long recordings scroll sideways
TICKS = 5  # seconds between two times on the axis, at least
MOST_TICKS = 480
CSS = """
.lanes {overflow-x: auto; margin-top: 8px}
.lanes > * {min-width: max(100%, var(--width)); position: relative}
.speaker {position: sticky; left: 0; display: inline-block; font-size: 13px}
.lane {position: relative; height: 40px; margin-bottom: 8px; background: var(--background-fill-secondary)}
.lane button {position: absolute; top: 0; height: 40px; min-width: 3px; padding: 2px; overflow: hidden; font-size: 12px;
  font-weight: normal; border-radius: 0; text-align: left; white-space: nowrap; cursor: pointer;
  color: var(--body-text-color); background: var(--background-fill-primary);
  border: solid var(--border-color-primary); border-width: 0 1px 0 0; border-top: 8px solid var(--emotion)}
.lane button.uncertain {border-top-style: double; font-style: italic}
.lane button.now {background: var(--color-accent-soft)}
.lane button:focus-visible {outline: 3px solid var(--color-accent); outline-offset: -3px}
.ticks {height: 18px}
.ticks span {position: absolute; font-size: 11px; padding-left: 3px; border-left: 1px solid var(--border-color-primary)}
.legend span {display: inline-block; margin-right: 14px; font-size: 13px}
.legend i {display: inline-block; width: 12px; height: 12px; margin-right: 4px; background: var(--emotion)}
audio {width: 100%}
"""
# `element` is the component. Events of media do not bubble, so they are caught on their way down.
SCRIPT = """
let stop = Infinity;
const bars = () => [...element.querySelectorAll('.lane button')];
const say = text => { element.querySelector('.playing').textContent = text; };
element.addEventListener('click', event => {
  const bar = event.target.closest('.lane button'), audio = element.querySelector('audio');
  if (!bar) return;
  stop = Number(bar.dataset.end);
  audio.currentTime = Number(bar.dataset.start);
  audio.play().catch(() => say('This browser cannot play recordings of this format.'));
  say(bar.title);
});
element.addEventListener('keydown', event => {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key], all = bars(), place = all.indexOf(document.activeElement);
  if (!step || place < 0 || !all[place + step]) return;
  event.preventDefault();
  all[place + step].focus();
});
element.addEventListener('timeupdate', event => {
  const now = event.target.currentTime;
  if (now >= stop) {
    if (now < stop + 1) event.target.pause();
    stop = Infinity;
  }
  for (const bar of bars()) bar.classList.toggle('now', bar.dataset.start <= now && now < bar.dataset.end);
}, true);
"""


def draw_lanes(segments: Sequence[Segment], recording: str, duration: float, emotions: Sequence[str]) -> str:
    """Return the HTML of a player and the lanes.

    Args:
        segments: Segments of the recording, in order.
        recording: Path of the recording in the cache of Gradio, which serves it to the browser.
        duration: Duration of the recording in seconds.
        emotions: All emotions, in the order of the figure; their colours are the same.
    """
    colours = {emotion: COLOURS[place % len(COLOURS)] for place, emotion in enumerate(emotions)}
    speakers = dict.fromkeys(segment.speaker for segment in segments)
    lanes = "".join(
        _draw_lane(speaker, [each for each in segments if each.speaker == speaker], duration, colours)
        for speaker in speakers
    )
    shown = [emotion for emotion in emotions if any(segment.emotion == emotion for segment in segments)]
    legend = "".join(f'<span><i style="--emotion:{colours[name]}"></i>{_escape(name)}</span>' for name in shown)
    return (
        f'<audio controls preload="metadata" src="gradio_api/file={_escape(quote(recording))}"></audio>'
        '<div class="playing" aria-live="polite">Press a segment to play it.</div>'
        f'<div class="lanes" style="--width:{round(SECOND * duration)}px">{lanes}{_draw_ticks(duration)}</div>'
        f'<div class="legend">{legend}</div>'
    )


def _draw_lane(speaker: str | None, segments: Sequence[Segment], duration: float, colours: dict[str, str]) -> str:
    buttons = []
    for place, segment in enumerate(segments):
        left, width = 100 * segment.start / duration, 100 * (segment.end - segment.start) / duration
        colour = colours.get(segment.emotion, UNCERTAIN if segment.uncertain else COLOURS[0])
        text = _escape(f"{clock(segment.start)} to {clock(segment.end)}: {name_speaker(segment)}")
        buttons.append(
            f'<button class="{"uncertain" * segment.uncertain}" title="{text}" aria-label="{text}" '
            f'tabindex="{-1 if place else 0}" data-start="{segment.start}" data-end="{segment.end}" '
            f'style="left:{left:.4f}%;width:{width:.4f}%;--emotion:{colour}">{_escape(caption(segment))}</button>'
        )
    name = f'<span class="speaker" aria-hidden="true">{_escape(speaker)}</span>' if speaker else ""
    lane = f'<div class="lane" role="group" aria-label="{_escape(speaker or "Speech")}">{"".join(buttons)}</div>'
    return f"<div>{name}{lane}</div>"


def _draw_ticks(duration: float) -> str:
    step = TICKS * max(1, round(duration / TICKS / MOST_TICKS))
    times = range(0, max(1, int(duration)), step)
    ticks = (f'<span style="left:{100 * time / duration:.4f}%">{time // 60}:{time % 60:02d}</span>' for time in times)
    return f'<div class="ticks" aria-hidden="true">{"".join(ticks)}</div>'


def _escape(text: str) -> str:
    """Escape text for HTML, and braces and dollar signs, which templates of Gradio's HTML component replace.

    Examples:
        >>> _escape("<b>${x}")
        '&lt;b&gt;&#36;&#123;x&#125;'
    """
    return escape(text).translate({ord(sign): f"&#{ord(sign)};" for sign in "${}"})
