"""A call of known content: two actors of RAVDESS, one per channel, with hold music, a keyboard, breathing and silence.

The command measures timelines of it against its plan, and prints the table of docs/guide/long_recordings.md:

    python tests/serving/planted_call.py --model runs/ravdess/whisper_tiny --data_root ~/RAVDESS

The default actors are test actors of fold 1 of the protocol `emobox`, on which the recipe ravdess/whisper_tiny trains.
Speech and emotions are real; music, keyboard and breathing are synthetic; all is random with a fixed seed.

Shapes: T samples at 16 kHz.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfilt

from ser_hf.corpora import Utterance, load_corpus
from ser_hf.data.audio import decode_audio
from ser_hf.data.silence import trim_ends
from ser_hf.data.silero import DETECTORS
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.emotion_segments import Segment
from ser_hf.serving.long_recording import channel_timelines
from ser_hf.serving.speaker_turns import read_turns

RATE = 16_000  # Hz, of the plan
LINE = 8_000  # Hz, of the telephone
SECONDS = 1_200
NAMES = ("agent", "customer")
KINDS = ("music", "keyboard", "breathing", "silence")


class Planned(NamedTuple):
    """Hold what is on a channel; times in seconds, `what` is an emotion or one of `KINDS`."""

    start: float
    end: float
    speaker: str
    what: str


class Call(NamedTuple):
    """Hold the plan of a call, and its files."""

    speech: list[Planned]  # utterances, sorted by start
    noises: list[Planned]
    stereo: Path  # mu-law, 8 kHz, a channel per speaker
    mono: Path  # the mean of the channels
    rttm: Path  # the turns


def build_call(
    utterances: Iterable[Utterance], actors: Sequence[str], folder: Path, *, seconds: float = SECONDS, seed: int = 0
) -> Call:
    """Write a call into a folder; each utterance of the two actors is in it once if there is room.

    Turns of one to three utterances of one emotion alternate between the speakers. After every tenth turn, the agent
    puts the customer on hold: 60 s of music on the channel of the agent, and 20 s of breathing on that of the customer.
    The agent types for 8 s at a time, during some turns of the customer and between turns.
    """
    rng = np.random.default_rng(seed)
    left = [_group(utterances, actor, rng) for actor in actors]
    channels = 10 ** (-70 / 20) * rng.standard_normal((2, round(seconds * RATE)))
    speech: list[Planned] = []
    noises: list[Planned] = []
    turns: list[Planned] = []
    now, number, before = 2.0, 0, ["", ""]
    while now < seconds - 80 and any(left):
        side = number % 2
        number += 1
        if not left[side]:
            continue
        emotion = str(rng.choice([each for each in left[side] if each != before[side]] or list(left[side])))
        before[side], began = emotion, now
        for _ in range(rng.integers(1, 4)):
            waveform = left[side][emotion].pop()
            first, last = trim_ends(waveform)
            _add(channels[side], waveform, now)
            speech.append(Planned(now + first, now + last, NAMES[side], emotion))
            now += len(waveform) / RATE + rng.uniform(0, 0.5)
            if not left[side][emotion]:
                del left[side][emotion]
                break
        turns.append(Planned(began, now, NAMES[side], emotion))
        if side == 1 and rng.random() < 0.4:
            noises.append(_make("keyboard", channels[0], began, 8.0, NAMES[0], rng))
        if rng.random() < 0.3:
            noises.append(_make("keyboard", channels[0], now, 8.0, NAMES[0], rng))
            now += 8.5
        now += rng.uniform(0.3, 3.0)
        if number % 10 == 0:
            noises.append(_make("music", channels[0], now, 60.0, NAMES[0], rng))
            noises.append(_make("breathing", channels[1], now + 20.0, 20.0, NAMES[1], rng))
            now += 62.0
    return _write(channels, speech, noises, turns, folder)


def score_timeline(segments: Sequence[Segment], call: Call) -> dict[str, float]:
    """Return the measures of a timeline whose segments have speakers: shares, counts and seconds.

    right, found: share of the planned speech that is in a segment of its emotion, or in any segment.
    changes: share of the changes of emotion between two utterances of a speaker whose both sides are right.
    false_<kind>: seconds of segments on that kind of sound, less than half of which is planned speech; false_segments:
    their number.
    """
    right = found = total = 0.0
    for planned in call.speech:
        total += planned.end - planned.start
        for segment in segments:
            shared = _overlap(segment, planned) if segment.speaker == planned.speaker else 0.0
            found += shared
            right += shared * (segment.emotion == planned.what)
    changes = [
        (before, after)
        for name in NAMES
        for before, after in pairwise([each for each in call.speech if each.speaker == name])
        if before.what != after.what
    ]
    both = sum(all(_answer(segments, each) == each.what for each in pair) for pair in changes)
    measures = {"right": right / total, "found": found / total, "changes": both / len(changes)}
    measures |= {f"false_{kind}": 0.0 for kind in KINDS} | {"false_segments": 0.0}
    for segment in segments:
        own = [each for each in call.speech if each.speaker == segment.speaker]
        if sum(_overlap(segment, each) for each in own) < (segment.end - segment.start) / 2:
            kinds: Counter[str] = Counter()
            for noise in call.noises:
                if noise.speaker == segment.speaker:
                    kinds[noise.what] += _overlap(segment, noise)  # type: ignore[assignment]
            kind, seconds = kinds.most_common(1)[0] if kinds else ("silence", 0.0)
            measures[f"false_{kind if seconds else 'silence'}"] += segment.end - segment.start
            measures["false_segments"] += 1
    return measures


def _group(utterances: Iterable[Utterance], actor: str, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return the waveforms of an actor by emotion, in random order."""
    found: dict[str, list[np.ndarray]] = {}
    own = [each for each in utterances if each.speaker == actor]
    for place in rng.permutation(len(own)):
        found.setdefault(own[place].emotion, []).append(decode_audio(own[place].path))
    return found


def _add(channel: np.ndarray, waveform: np.ndarray, start: float) -> None:
    first = round(start * RATE)
    channel[first : first + len(waveform)] += waveform[: len(channel) - first]


def _make(
    kind: str, channel: np.ndarray, start: float, seconds: float, speaker: str, rng: np.random.Generator
) -> Planned:
    """Add a sound to a channel, and return what was planned."""
    times = np.arange(round(seconds * RATE)) / RATE
    waveform = {"music": _play, "keyboard": _type, "breathing": _breathe}[kind](times, rng)
    _add(channel, waveform, start)
    return Planned(start, start + seconds, speaker, kind)


def _play(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return chords of four tones with overtones, each struck every two seconds, at about -20 dB."""
    roots = (220.0, 174.6, 130.8, 196.0)
    waveform = np.zeros_like(times)
    for tone in (1.0, 1.26, 1.5, 2.0):
        pitch = np.array(roots)[(times // 2).astype(int) % 4] * tone
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        waveform += sum(np.sin(k * phase + rng.uniform(0, 6)) / k**2 for k in (1, 2, 3))
    return 0.08 * waveform * np.exp(-(times % 2) / 1.5)


def _type(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return four to eight strokes per second: bursts of noise of some milliseconds, with peaks of about -20 dB."""
    waveform = np.zeros_like(times)
    now = 0.0
    while now < times[-1] - 0.1:
        stroke = rng.standard_normal(800) * np.exp(-np.arange(800) / RATE / 0.006)
        _add(waveform, rng.uniform(0.03, 0.1) * stroke, now)
        now += rng.uniform(0.12, 0.25)
    return waveform


def _breathe(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noise from 300 to 3000 Hz that swells every four seconds, up to about -40 dB."""
    band = butter(2, (300, 3_000), "bandpass", fs=RATE, output="sos")
    swell = np.clip(np.sin(2 * np.pi * times / 4), 0, None) ** 2
    return 0.02 * swell * sosfilt(band, rng.standard_normal(len(times)))


def _write(
    channels: np.ndarray, speech: list[Planned], noises: list[Planned], turns: list[Planned], folder: Path
) -> Call:
    line = np.stack([soxr.resample(channel, RATE, LINE) for channel in channels], 1)
    line /= max(1.0, np.abs(line).max())
    call = Call(speech, noises, folder / "call.wav", folder / "mono.wav", folder / "mono.rttm")
    soundfile.write(call.stereo, line, LINE, subtype="ULAW")
    soundfile.write(call.mono, line.mean(1), LINE, subtype="ULAW")
    call.rttm.write_text(
        "".join(
            f"SPEAKER mono 1 {turn.start:.3f} {turn.end - turn.start:.3f} <NA> <NA> {turn.speaker} <NA> <NA>\n"
            for turn in turns
        )
    )
    return call


def _overlap(one: Segment | Planned, other: Segment | Planned) -> float:
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))


def _answer(segments: Sequence[Segment], planned: Planned) -> str | None:
    """Return the emotion of most of an utterance in a timeline."""
    shares: dict[str, float] = {}
    for segment in segments:
        if segment.speaker == planned.speaker and (shared := _overlap(segment, planned)):
            shares[segment.emotion] = shares.get(segment.emotion, 0.0) + shared
    return max(shares, key=shares.__getitem__) if shares else None


def main() -> None:
    """Print the measures of timelines of a call."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data_root", required=True)
    parser.add_argument("--actors", nargs=2, default=("01", "20"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    classifier = EmotionClassifier.from_pretrained(options.model)
    corpus = [each for each in load_corpus("ravdess", options.data_root) if each.speaker in options.actors]
    answers = classifier.predict_files(each.path for each in corpus)
    clean = np.mean([each.emotion == answer.emotion for each, answer in zip(corpus, answers, strict=True)])
    with tempfile.TemporaryDirectory() as folder:
        call = build_call(corpus, options.actors, Path(folder), seed=options.seed)
        spoken = sum(each.end - each.start for each in call.speech)
        sounds = [sum(each.end - each.start for each in call.noises if each.what == kind) for kind in KINDS[:3]]
        print(f"{len(call.speech)} utterances, {spoken:.0f} s; {100 * clean:.0f} % of the clean files are right\n")
        totals = " | ".join(f"{kind} of {seconds:.0f} s" for kind, seconds in zip(KINDS, sounds, strict=False))
        print(f"| speech | speakers | found | right | changes | {totals} | other | false segments |")
        print("|---" * 10 + "|")
        for speech in DETECTORS:
            for speakers in ("channels", "RTTM"):
                measures = score_timeline(_run(classifier, call, speakers, speech), call)
                shares = " | ".join(f"{100 * measures[name]:.0f} %" for name in ("found", "right", "changes"))
                false = " | ".join(f"{measures[f'false_{kind}']:.0f} s" for kind in KINDS)
                print(
                    f"| `{speech}` | {speakers} | {shares} | {false} | {measures['false_segments']:.0f} |", flush=True
                )


def _run(classifier: EmotionClassifier, call: Call, speakers: str, speech: str) -> list[Segment]:
    if speakers == "channels":
        return channel_timelines(classifier, call.stereo, NAMES, speech=speech)
    return list(classifier.timeline(call.mono, turns=read_turns(call.rttm, call.mono), speech=speech))


if __name__ == "__main__":
    main()
