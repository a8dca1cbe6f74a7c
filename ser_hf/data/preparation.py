"""Decode the audio of all utterances once, before a training, and leave out what cannot be used."""

import math
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from tqdm import tqdm

from ser_hf.corpora import Utterance
from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import SAMPLING_RATE, load_audio, read_header
from ser_hf.data.decoder import MOST_MISSING, describe_missing
from ser_hf.data.hearing import RAW, UNTRIMMED, Hearing
from ser_hf.data.segment_fit import describe_misfit
from ser_hf.data.silence import remove_pauses, trim_ends
from ser_hf.data.splits import Split

MIN_DURATION = 0.25  # seconds; SpecAugment fails on shorter audio
SHORTEST = 0.05  # seconds; encoders fail on shorter audio: SEW needs 45 ms, wav2vec2-BERT 35 ms, wav2vec2 25 ms
MOST_SKIPPED = 0.1  # share of the utterances


@dataclass(frozen=True)
class AudioProblem:
    """Describe how an utterance with unusual audio was handled.

    Attributes:
        path: Path of the file.
        action: "skipped" or "too short" (the utterance is left out), "partial", "windowed" or "padded" (it is used).
        reason: Explanation for the user.
    """

    path: str
    action: str
    reason: str


def prepare_audio(
    split: Split,
    hearing: Hearing = UNTRIMMED,
    *,
    min_duration: float = 0.0,
    raw: Collection[str] = (),
) -> tuple[Split, list[AudioProblem]]:
    """Decode every utterance once, store it in the cache, and remove the utterances that cannot be used.

    Unreadable, empty, silent and otherwise useless audio is skipped, and a file that lacks its end is partial; audio
    shorter than `min_duration` or 50 ms is too short. Outside the raw parts, audio shorter than 0.25 s will be padded
    and audio longer than a window will be split into windows.

    Args:
        split: Utterances by "train", "validation" and "test". The split is made before this step, so that an
            unreadable file does not change the part of the other utterances.
        hearing: Preparation of the parts outside `raw`. Trimming changes the start and end of an utterance.
        min_duration: Minimum duration in seconds; shorter utterances are removed.
        raw: Parts whose audio is used as the stock pipeline receives it, neither trimmed nor split into windows.

    Returns:
        The split with the usable utterances and their durations, and the list of utterances with unusual audio; see
        `check_prepared`.
    """
    prepared, problems = {}, []
    with ThreadPoolExecutor(2 * usable_cpus()) as pool:
        for part, utterances in split.items():
            prepare = partial(_prepare_utterance, hearing=RAW if part in raw else hearing, min_duration=min_duration)
            running = pool.map(prepare, utterances)
            outcomes = list(tqdm(running, f"Reading {part} audio", len(utterances), unit="file", leave=False))
            prepared[part] = [utterance for utterance, _ in outcomes if utterance is not None]
            problems += [problem for _, problem in outcomes if problem is not None]
    return prepared, problems


def check_prepared(split: Split, prepared: Split, problems: Sequence[AudioProblem], *, allow_missing: bool) -> None:
    """Check that enough utterances are usable after `prepare_audio`.

    Args:
        split: The split before `prepare_audio`.
        prepared: The split with the usable utterances.
        problems: The problems that `prepare_audio` found.
        allow_missing: Accept missing emotions, and more than `MOST_SKIPPED` of the utterances skipped.

    Raises:
        ValueError: If a part is empty, an emotion has no usable utterance, too many utterances were skipped, or too
            many segments are not within their files.
    """
    skipped = [problem for problem in problems if problem.action == "skipped"]
    before, after = ([u for part in parts.values() for u in part] for parts in (split, prepared))
    causes = [problem for problem in problems if problem.action in ("skipped", "too short")]
    first = f" (first: {causes[0].reason})" if causes else ""
    if not allow_missing and (misfit := describe_misfit([(row.path, row.start, row.end) for row in before])):
        raise ValueError(f"{misfit} --allow_missing true goes on with what is left.")
    for part in prepared:
        if not prepared[part]:
            count = f"none of its {len(split[part])} utterances is usable"
            raise ValueError(f"Expected usable audio in {part}, but {count}{first}.")
    if allow_missing:
        return
    way_out = "Mend the files, leave them out, or pass --allow_missing true to go on without them."
    if lost := sorted({u.emotion for u in before} - {u.emotion for u in after}):
        raise ValueError(f"No utterance of {lost} has usable audio{first}. {way_out}")
    if len(skipped) > MOST_SKIPPED * len(before):
        raise ValueError(f"{len(skipped)} of {len(before)} utterances were skipped{first}. {way_out}")


def _prepare_utterance(
    utterance: Utterance, *, hearing: Hearing, min_duration: float
) -> tuple[Utterance | None, AudioProblem | None]:
    """Return the measured utterance, or None if it cannot be used, and what is unusual about its audio."""
    if utterance.problem:
        return None, AudioProblem(utterance.path, "skipped", utterance.problem)
    try:
        measured = _measure_utterance(utterance, hearing)
    except (ValueError, OSError) as error:
        return None, AudioProblem(utterance.path, "skipped", str(error))
    problem = (
        _find_shortness(measured, min_duration)
        or _find_lack(measured, utterance.end)
        or _find_change(measured, hearing)
    )
    return None if problem and problem.action == "too short" else measured, problem


def _find_shortness(utterance: Utterance, min_duration: float) -> AudioProblem | None:
    assert utterance.duration is not None
    for least, what in (
        (min_duration, f"minimum of {min_duration:g} s"),
        (SHORTEST, f"{SHORTEST} s that encoders need"),
    ):
        if utterance.duration < least:
            return AudioProblem(utterance.path, "too short", f"lasts {utterance.duration:.3f} s, less than the {what}")
    return None


def _find_lack(utterance: Utterance, end: float | None) -> AudioProblem | None:
    """Return the problem of a file that ends before its header says, or before the `end` of a segment in seconds."""
    header = read_header(utterance.path)
    if end is not None and (lacking := end - header.duration) > MOST_MISSING:
        reason = f"'{utterance.path}' ends {lacking:.2f} s before the end of the segment at {end:g} s"
        return AudioProblem(utterance.path, "partial", reason)
    if end is None and header.missing:
        reason = f"'{utterance.path}' {describe_missing(header.duration, header.missing)}"
        return AudioProblem(utterance.path, "partial", reason)
    return None


def _find_change(utterance: Utterance, hearing: Hearing) -> AudioProblem | None:
    """Return how the audio of an utterance will be changed in training; None for `RAW`, which changes nothing."""
    assert utterance.duration is not None
    lasts = f"lasts {utterance.duration:.3f} s"
    if hearing == RAW:
        return None
    if utterance.duration < MIN_DURATION:
        reason = f"{lasts}, padded with silence to {MIN_DURATION} s in training"
        return AudioProblem(utterance.path, "padded", reason)
    if len(windows := hearing.list_windows(utterance.duration)) > 1:
        reason = f"{lasts}, split into {len(windows)} windows of {hearing.max_duration:g} s"
        return AudioProblem(utterance.path, "windowed", reason)
    return None


def _measure_utterance(utterance: Utterance, hearing: Hearing) -> Utterance:
    """Decode an utterance into the cache; return it with its duration and, after trimming, its new start and end."""
    start, end = utterance.start, utterance.end
    if hearing.trim != "none":
        first, last = trim_ends(load_audio(utterance.path, start=start, end=end), hearing.speech)
        start, end = (start or 0.0) + first, (start or 0.0) + last
    header = read_header(utterance.path)
    if end is not None or header.missing:
        end = min(header.duration, math.inf if end is None else end)
    waveform = load_audio(utterance.path, start=start, end=end)
    if hearing.trim == "pauses":
        waveform = remove_pauses(waveform, hearing.speech)
    return replace(utterance, start=start, end=end, duration=len(waveform) / SAMPLING_RATE)
