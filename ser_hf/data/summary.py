"""Summary of a corpus from its labels and audio headers, to inspect the corpus before training."""

import logging
import textwrap
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pandas
from tqdm import tqdm

from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize
from ser_hf.corpora.spelling import spell
from ser_hf.cpus import usable_cpus
from ser_hf.data.audio import AudioHeader, read_header
from ser_hf.data.decoder import describe_missing
from ser_hf.data.segment_fit import describe_misfit

WIDTH = 80  # characters per line of facts
COUNTED = {"channels": "channels", "encoding": "encodings", "language": "languages", "corpus": "corpora"}
QUANTILES = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}
UNKNOWN = "unknown"
NO_HEADER = (np.nan, np.nan, np.nan, None, np.nan)  # in the place of an AudioHeader

logger = logging.getLogger(__name__)


def read_headers(utterances: Iterable[Utterance]) -> pandas.DataFrame:
    """Read the audio header of every file, and return a table of the utterances; see `read_header`.

    A warning gives the number of utterances that are unreadable or whose segment of the file contains no sample.

    Args:
        utterances: The utterances of a corpus.

    Returns:
        One row per utterance, in the given order: the fields of `Utterance` with `duration` in seconds (NaN if
        unreadable), then `sampling_rate` in Hz, `channels`, `encoding`, `missing` (seconds that the header of the file
        promises and the file lacks; NaN if unknown) and `readable`.
    """
    utterances = list(utterances)
    paths = list(dict.fromkeys(utterance.path for utterance in utterances))
    with ThreadPoolExecutor(2 * usable_cpus()) as pool:
        progress = tqdm(pool.map(_try_header, paths), "Reading headers", len(paths), unit="file", leave=False)
        outcomes = dict(zip(paths, progress, strict=True))
    headers = {path: found for path, found in outcomes.items() if isinstance(found, AudioHeader)}
    columns = {field.name: [getattr(row, field.name) for row in utterances] for field in fields(Utterance)}
    table = pandas.DataFrame(columns | {"path": [spell(row.path) for row in utterances]})
    audio = pandas.DataFrame([headers.get(row.path, NO_HEADER) for row in utterances], columns=AudioHeader._fields)
    start, end = table["start"].astype(float).fillna(0.0), table["end"].astype(float).fillna(np.inf)
    length = np.minimum(end, audio["duration"]) - start
    readable = (length > 0) & table["problem"].isna()
    table["duration"] = length.where(readable)
    table = table.join(audio.drop(columns="duration")).assign(readable=readable)
    if len(lost := table[~readable]):
        first = utterances[lost.index[0]]
        unheard = f"'{first.path}' holds no sample in this segment" if first.path in headers else outcomes[first.path]
        reason = first.problem or unheard
        logger.warning(f"{len(lost)} of {len(table)} utterances have no readable audio (first: {reason}).")
    if partial := [path for path, header in headers.items() if header.missing]:  # NaN too
        lacks = describe_missing(headers[partial[0]].duration, headers[partial[0]].missing)
        logger.warning(f"{pluralize(len(partial), 'file')} cut off (first: '{partial[0]}' {lacks}).")
    if misfit := describe_misfit([(row.path, row.start, row.end) for row in utterances]):
        logger.warning(misfit)
    if missing := sorted(set(table["emotion"]) - set(table.loc[readable, "emotion"])):
        logger.warning(f"Emotions without any readable audio: {missing}.")
    return table


def summarize_corpus(table: pandas.DataFrame) -> dict:
    """Count utterances, speakers, durations and audio properties of a corpus.

    Args:
        table: From `read_headers`, with at least one row.

    Returns:
        A JSON-serialisable dictionary. Durations and audio properties are those of the readable utterances, all other
        values those of all utterances; missing values are counted as "unknown".

        - ``utterances``, ``hours``, ``speakers`` (number of known speakers; the same name in two corpora means two
          speakers) and ``genders`` {gender: utterances}, for the corpus and, under ``emotions``, for each emotion
        - ``unknown_speaker`` and ``unreadable``: number of utterances
        - ``durations``: seconds by the names of `QUANTILES`; empty if no utterance is readable
        - ``sampling_rates`` (Hz), ``channels``, ``encodings``, ``languages`` and ``corpora``: number of utterances for
          each value, most frequent first
    """
    readable = table[table["readable"]]
    quantiles = readable["duration"].quantile([*QUANTILES.values()]) if len(readable) else ()
    return {
        **_summarize_rows(table),
        "emotions": {emotion: _summarize_rows(rows) for emotion, rows in table.groupby("emotion")},
        "unknown_speaker": int(table["speaker"].isna().sum()),
        "unreadable": len(table) - len(readable),
        "durations": {name: float(seconds) for name, seconds in zip(QUANTILES, quantiles, strict=False)},
        "sampling_rates": _count_values(readable["sampling_rate"].astype(int)),
        "channels": _count_values(readable["channels"].astype(int)),
        "encodings": _count_values(readable["encoding"]),
        "languages": _count_values(table["language"].fillna(UNKNOWN)),
        "corpora": _count_values(table["corpus"]),
    }


def describe_corpus(summary: dict) -> str:
    """Format the result of `summarize_corpus` as plain text of at most 110 characters per line, usually 80."""
    genders = sorted(summary["genders"]) if set(summary["genders"]) != {UNKNOWN} else []
    titles = [f"gender {UNKNOWN}" if gender == UNKNOWN else gender for gender in genders]
    rows = [("emotion", "utterances", "share", "hours", "speakers", *titles)]
    for emotion, part in [*summary["emotions"].items(), ("all emotions", summary)]:
        share = f"{100 * part['utterances'] / summary['utterances']:.1f} %"
        counts = [part["genders"].get(gender, 0) for gender in genders]
        rows.append((emotion, part["utterances"], share, f"{part['hours']:.3f}", part["speakers"], *counts))
    facts = {
        "duration": [f"{name} {seconds:.2f} s" for name, seconds in summary["durations"].items()],
        "sampling rate": [f"{rate} Hz ({count})" for rate, count in summary["sampling_rates"].items()],
        **{fact: [f"{name} ({count})" for name, count in summary[key].items()] for fact, key in COUNTED.items()},
        "unknown speaker": [f"{summary['unknown_speaker']} of {summary['utterances']}"],
        "unreadable": [f"{summary['unreadable']} of {summary['utterances']}"],
    }
    return "\n".join([*_align(rows), "", *_list(facts)])


def choose_examples(utterances: Iterable[Utterance], per_emotion: int = 1, seed: int = 0) -> list[Utterance]:
    """Choose typical utterances of each emotion: near its median duration, from different speakers if possible.

    Speakers chosen least often so far have priority, then durations near the median, compared in tenths of a second.
    Unreadable utterances are never chosen.

    Args:
        utterances: The utterances of a corpus, in any order.
        per_emotion: Number of utterances per emotion; fewer if the emotion has fewer.
        seed: Random seed for the choice among equally suitable utterances.

    Returns:
        The chosen utterances, sorted by emotion, with their durations.
    """
    utterances = sorted(utterances, key=lambda row: (row.corpus, row.path, row.start or 0.0))
    table = read_headers(utterances)
    table = table[table["readable"]].sample(frac=1, random_state=seed)
    shown: Counter[tuple[str, str | None]] = Counter()
    chosen = []
    for _, rows in table.groupby("emotion"):
        distance = (rows["duration"] - rows["duration"].median()).abs().round(1)
        nearest = list(distance.sort_values(kind="stable").index)
        for _ in range(min(per_emotion, len(nearest))):
            best = min(nearest, key=lambda i: shown[utterances[i].corpus, utterances[i].speaker])
            nearest.remove(best)
            chosen.append(replace(utterances[best], duration=float(rows["duration"][best])))
            shown[utterances[best].corpus, utterances[best].speaker] += 1
    return chosen


def _try_header(path: str) -> AudioHeader | str:
    """Return the header of a file, or the error message if it cannot be read."""
    try:
        return read_header(path)
    except (ValueError, OSError) as error:
        return str(error)


def _summarize_rows(rows: pandas.DataFrame) -> dict:
    return {
        "utterances": len(rows),
        "hours": float(rows["duration"].sum() / 3600),
        "speakers": rows.groupby(["corpus", "speaker"]).ngroups,
        "genders": _count_values(rows["gender"].fillna(UNKNOWN)),
    }


def _count_values(values: pandas.Series) -> dict[str, int]:
    """Count the utterances of each value, most frequent first."""
    return {str(value): int(count) for value, count in values.value_counts().items()}


def _align(rows: list[tuple]) -> list[str]:
    """Format rows as aligned columns: names left-aligned and cut to 30 characters, numbers right-aligned."""
    texts = [[name if len(name) <= 30 else f"{name[:29]}…", *map(str, numbers)] for name, *numbers in rows]
    name_width, *widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join([f"{name:<{name_width}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
        for name, *cells in texts
    ]


def _list(facts: dict[str, list[str]]) -> list[str]:
    """Format each fact as one line, wrapped if it is too long; facts without values are left out."""
    width = max(map(len, facts)) + 2
    lines = []
    for name, values in facts.items():
        lines += textwrap.wrap(
            ", ".join(values), WIDTH, initial_indent=f"{name:<{width}}", subsequent_indent=" " * width
        )
    return lines
