"""Compare recordings with the training speech of a model, and say what to expect.

Shapes: N recordings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas

from ser_hf.cache import whole_file
from ser_hf.corpora.files import pluralize
from ser_hf.data import decode_audio
from ser_hf.data.properties import UNITS, measure_properties, summarize_properties
from ser_hf.escaping import cell
from ser_hf.foreign_files import read_text
from ser_hf.heads.pooling import measure_distances, pooled_states
from ser_hf.models.checkpoint_loading import load_config, load_trained
from ser_hf.models.padding import make_padding_aware
from ser_hf.runs.file_names import RESULTS, TRAINING_SPEECH
from ser_hf.runs.results import parse_results
from ser_hf.runs.training_speech import TrainingSpeech, read_training_speech
from ser_hf.scoring.recording_findings import compare_distances, compare_properties
from ser_hf.serving.checkpoint_files import find_file, load_own_feature_extractor
from ser_hf.tasks import load_task

Key = tuple[str, float | None, float | None]  # path, start and end in seconds


@dataclass
class RecordingCheck:
    """Hold the measurements of recordings beside those of the training speech.

    Attributes:
        rows: Path, properties, and distance of the embedding for each readable recording.
        unreadable: Path and reason of each unreadable recording; a file may have several.
        properties: {property: [5 %, 50 %, 95 % quantile]}.
        trained: The training speech.
        findings: A sentence for each difference from the training speech; empty if there is none.
    """

    rows: list[dict]
    unreadable: list[tuple[str, str]]
    properties: dict[str, list[float]]
    trained: TrainingSpeech
    findings: list[str]


def check_recordings(files: Sequence[Key], model: str) -> RecordingCheck:
    """Compare recordings with the training speech of a model.

    Args:
        files: Path, start and end of each recording; None for the whole file.
        model: Folder or id on the Hub of a checkpoint of `finetune`.

    Raises:
        ValueError: If no recording is readable.
        OSError: If the checkpoint does not exist, or has no training_speech.json.
    """
    path = find_file(model, TRAINING_SPEECH)
    if path is None:
        raise FileNotFoundError(
            f"'{model}': expected {TRAINING_SPEECH}, which ser-hf train writes beside the weights, found none. "
            "Train again with this version of ser_hf."
        )
    trained = read_training_speech(path)
    embed = _load_embedder(model, trained)
    rows, unreadable = [], []
    for name, start, end in files:
        try:
            waveform = decode_audio(name, start=start, end=end)
        except (ValueError, OSError) as error:
            unreadable.append((name, str(error)))
            continue
        rows.append({"path": name, "start": start, "end": end, **measure_properties(waveform), **embed(waveform)})
    if not rows:
        raise ValueError(f"Expected readable recordings, found none of {len(files)}: {unreadable[0][1]}")
    properties = summarize_properties(rows)
    findings = list(compare_properties(properties, trained.properties, _read_changes(model)))
    if trained.embedding:
        distances = np.array([row["distance"] for row in rows])
        findings += compare_distances(distances, trained.embedding.distances, explained=bool(findings))
    return RecordingCheck(rows, unreadable, properties, trained, findings)


def describe_check(check: RecordingCheck) -> str:
    """Return the table of the properties and the findings as text."""
    name = " and ".join(check.trained.corpus)
    lines = [f"{pluralize(len(check.rows), 'recording')} beside {check.trained.utterances} utterances of {name}:", ""]
    lines.append(f"{'median [5 %, 95 %]':20}{'recordings':>30}{'training speech':>30}")
    for key, unit in UNITS.items():
        cells = [_spell(values[key]) for values in (check.properties, check.trained.properties)]
        lines.append(f"{f'{key} ({unit})':20}" + "".join(f"{cell:>30}" for cell in cells))
    lines.append("")
    if check.unreadable:
        path, reason = check.unreadable[0]
        lines.append(f"{pluralize(len(check.unreadable), 'recording')} unreadable (first: '{path}': {reason}).")
    lines += check.findings or ["No difference from the training speech was found: the scores on the card apply."]
    return "\n".join(lines)


def write_recordings(check: RecordingCheck, path: str | Path) -> None:
    """Write a CSV table with path, times, properties and distance of each readable recording."""
    with whole_file(path) as partial:
        pandas.DataFrame(check.rows).map(cell).to_csv(partial, index=False, lineterminator="\n")


def _spell(values: Sequence[float]) -> str:
    low, middle, high = values
    digits = 0 if abs(middle) >= 10 else 1
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _load_embedder(model: str, trained: TrainingSpeech) -> Callable[[np.ndarray], dict[str, float]]:
    """Return a function from a waveform ``(T,)`` to the distance of its embedding, by name; to nothing without one."""
    if trained.embedding is None:
        return lambda waveform: {}
    config = load_config(model, trust_remote_code=False)
    network = load_trained(model, config=config)
    make_padding_aware(network)
    feature_extractor = load_own_feature_extractor(model, config.model_type, trust_remote_code=False)
    mean, deviation = np.array(trained.embedding.mean), np.array(trained.embedding.deviation)

    def embed(waveform: np.ndarray) -> dict[str, float]:
        states = pooled_states(network, feature_extractor, [waveform])
        return {"distance": float(measure_distances(states, mean, deviation)[0])}

    return embed


def _read_changes(model: str) -> dict[str, str]:
    """Return the measured change of the first metric under each condition as text; empty if it was not measured."""
    path = find_file(model, RESULTS)
    results = parse_results(read_text(path), path) if path else None
    if results is None or not results.conditions:
        return {}
    task = load_task(results.task)
    first, metric = next(iter(task.METRICS.items()))
    scale, unit = (100, " points") if task.PERCENT else (1, "")
    return {
        name: f"about {scale * record.differences[first].difference:+.1f}{unit} of {metric.short}, as measured in the "
        f"condition {name} of the card"
        for name, record in results.conditions.items()
        if not record.error
    }
