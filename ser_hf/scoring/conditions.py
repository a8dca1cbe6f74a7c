"""Score test utterances under degraded conditions: noise, telephones, codecs, rooms, levels and lengths.

Shapes: N utterances, C outputs.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas

from ser_hf.corpora import Utterance
from ser_hf.data.audio import SAMPLING_RATE, decode_audio
from ser_hf.data.degradations import (
    add_noise,
    average_spectrum,
    babble,
    change_gain,
    change_speed,
    pink_noise,
    reverberate,
    speech_shaped_noise,
    transcode,
    white_noise,
)
from ser_hf.evaluation import figures, read_predictions, write_predictions
from ser_hf.evaluation.calibration import calibration_errors
from ser_hf.evaluation.paired import align, paired_differences
from ser_hf.runs.result_records import ConditionRecord, Results
from ser_hf.scoring.waveforms import score_utterances
from ser_hf.serving import EmotionClassifier
from ser_hf.tasks import load_task

CONDITIONS = "conditions"  # folder of the predictions, in the output folder of an evaluation
SNRS = (20, 10, 0)  # dB
VOICES = 60  # utterances for the spectrum of speech and the babble
SEED = 0  # of the noises

Voices = Sequence[np.ndarray]  # utterances of other speakers
Condition = Callable[[np.ndarray, np.random.Generator, Voices], np.ndarray]
logger = logging.getLogger(__name__)


def standard_conditions(spectrum: np.ndarray) -> dict[str, Condition]:
    """Return the conditions of the robustness table by name, each a function ``(waveform, generator, voices)``.

    Args:
        spectrum: Mean power of the test utterances, for speech-shaped noise; see `average_spectrum`.

    Examples:
        >>> conditions = standard_conditions(np.ones(257))
        >>> len(conditions), list(conditions)[:3]
        (25, ['white_20', 'white_10', 'white_0'])
        >>> conditions["cut_1s"](np.ones(40_000, np.float32), np.random.default_rng(0), []).shape
        (16000,)
    """
    noises: dict[str, Condition] = {
        "white": lambda waveform, generator, voices: white_noise(len(waveform), generator),
        "pink": lambda waveform, generator, voices: pink_noise(len(waveform), generator),
        "speech_shaped": lambda waveform, generator, voices: speech_shaped_noise(len(waveform), generator, spectrum),
        "babble": lambda waveform, generator, voices: babble(len(waveform), generator, voices),
    }
    changes: dict[str, Callable] = {
        "telephone": partial(transcode, codec="mu_law"),
        "gsm": partial(transcode, codec="gsm"),
        "mp3_32": partial(transcode, codec="mp3_32"),
        "opus_8": partial(transcode, codec="opus_8"),
        "gain_-30": partial(change_gain, gain=-30),
        "gain_+12": partial(change_gain, gain=12),
        "small_room": partial(reverberate, room="small"),
        "large_room": partial(reverberate, room="large"),
        "silence_1s": partial(np.pad, pad_width=(SAMPLING_RATE, 0)),
        "cut_1s": lambda waveform: waveform[:SAMPLING_RATE],
        "cut_2s": lambda waveform: waveform[: 2 * SAMPLING_RATE],
        "speed_0.9": partial(change_speed, factor=0.9),
        "speed_1.1": partial(change_speed, factor=1.1),
    }
    noisy: dict[str, Condition] = {
        f"{name}_{snr}": partial(_add, make=make, snr=snr) for name, make in noises.items() for snr in SNRS
    }
    return noisy | {name: partial(_ignore_surroundings, change=change) for name, change in changes.items()}


def score_conditions(
    classifier: EmotionClassifier,
    utterances: Sequence[Utterance],
    clean: pandas.DataFrame,
    folder: Path,
    *,
    tabulate: Callable[[np.ndarray], pandas.DataFrame],
    outputs: Sequence[str],
    batch_size: int = 8,
) -> dict[str, ConditionRecord]:
    """Score utterances under every standard condition; the predictions of finished conditions are kept.

    Args:
        classifier: Classifier to test.
        utterances: N utterances.
        clean: Their predictions without degradation.
        folder: Output folder of the evaluation.
        tabulate: Function from scores ``(N, C)`` to a table of predictions.
        outputs: Outputs that are scored.
        batch_size: Utterances per batch.

    Returns:
        The record of each condition; of one that this machine cannot compute, only the error.
    """
    (folder / CONDITIONS).mkdir(parents=True, exist_ok=True)
    speakers = np.array([f"{row.corpus}/{row.speaker}" for row in utterances])
    drawn = np.random.default_rng(SEED).permutation(len(utterances))[:VOICES]
    rows = {i: utterances[i] for i in drawn}
    voices = {i: decode_audio(row.path, start=row.start, end=row.end) for i, row in rows.items()}
    conditions, records = standard_conditions(average_spectrum(list(voices.values()))), {}
    for number, (name, condition) in enumerate(conditions.items()):

        def change(i: int, waveform: np.ndarray, condition=condition, number=number) -> np.ndarray:
            others = [voice for j, voice in voices.items() if speakers[j] != speakers[i]] or list(voices.values())
            return condition(waveform, np.random.default_rng([SEED, number, i]), others)

        path = folder / CONDITIONS / f"{name}.csv"
        try:
            if not path.exists():
                scores, _ = score_utterances(classifier, utterances, batch_size, change=change, label=name)
                write_predictions(tabulate(scores), path)
        except (ValueError, ImportError) as error:
            logger.warning(f"Condition {name}: {error}")
            records[name] = ConditionRecord(error=str(error))
            continue
        records[name] = _describe(clean, read_predictions(path), classifier, outputs)
        first = next(iter(records[name].differences))
        logger.info(f"{name}: {first} {records[name].scores[first]:.3f}")
    return records


def _add(waveform: np.ndarray, generator: np.random.Generator, voices: Voices, *, make: Condition, snr: float):
    return add_noise(waveform, make(waveform, generator, voices), snr)


def _ignore_surroundings(waveform: np.ndarray, generator: np.random.Generator, voices: Voices, *, change: Callable):
    return change(waveform)


def _describe(
    clean: pandas.DataFrame, table: pandas.DataFrame, classifier: EmotionClassifier, outputs: Sequence[str]
) -> ConditionRecord:
    """Return scores, differences to the clean utterances, calibration error and share of uncertain predictions."""
    task, threshold = load_task(classifier.task), classifier.uncertainty_threshold
    differences = paired_differences(*align(clean, table), lambda rows: task.make_statistic(rows, outputs))
    scores = {
        name: float(value[0]) for name, value in task.make_statistic(table, outputs)([np.arange(len(table))]).items()
    }
    record = ConditionRecord(scores, differences)
    if "target" in table:
        agreed = table[table["target"].notna()]
        shares = agreed[[f"score_{name}" for name in outputs]].to_numpy()
        labels = pandas.Index(outputs).get_indexer(agreed["target"])
        record.ece = calibration_errors(shares, labels)["ece"]
        record.uncertain = None if threshold is None else float((shares.max(1) < threshold).mean())
    return record


def tabulate_conditions(results: Results) -> list[list[str]]:
    """Return the rows of the robustness table: condition, score, change with interval, ECE and share of uncertain."""
    assert results.conditions is not None
    task = load_task(results.task)
    first, metric = next(iter(task.METRICS.items()))
    scale, digits = (100, 1) if task.PERCENT else (1, 3)
    clean = f"{scale * getattr(results.test, first):.{digits}f}"
    rows = [["condition", metric.short, "change [95 % interval]", "ECE", "uncertain"], ["clean", clean, "", "", ""]]
    for name, record in results.conditions.items():
        if record.error:
            rows.append([name, "-", f"not computed: {record.error}", "", ""])
            continue
        change = record.differences[first]
        low, high = (f"{scale * bound:+.{digits}f}" for bound in change.interval)
        rows.append(
            [
                name,
                f"{scale * record.scores[first]:.{digits}f}",
                f"{scale * change.difference:+.{digits}f} [{low}, {high}]",
                "" if record.ece is None else f"{record.ece:.3f}",
                "" if record.uncertain is None else f"{100 * record.uncertain:.0f} %",
            ]
        )
    return rows


def draw_conditions(results: Results, path: Path) -> None:
    """Draw the first metric under each condition, with the interval of its change."""
    assert results.conditions is not None
    task = load_task(results.task)
    first, metric = next(iter(task.METRICS.items()))
    clean = getattr(results.test, first)
    rows = {
        name: (record.scores[first], [clean + bound for bound in record.differences[first].interval])
        for name, record in results.conditions.items()
        if not record.error
    }
    figures.plot_conditions(rows, clean, metric.label + " in %" * task.PERCENT, path, percent=task.PERCENT)
