"""Score models of one corpus on another: a matrix of scores with intervals over speakers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas

from ser_hf.cache import whole_file, write_text
from ser_hf.corpora.files import pluralize
from ser_hf.escaping import cell, markdown, markdown_table
from ser_hf.evaluation import figures
from ser_hf.evaluation.bootstrap import bootstrap_intervals
from ser_hf.runs.result_records import MachineRecord
from ser_hf.scoring.label_sets import LabelSet
from ser_hf.tasks import categories

MATRIX = "matrix.json"


@dataclass
class MatrixCell:
    """Hold the scores of a model on a corpus.

    Attributes:
        train: Name of the row.
        test: Name of the test corpus.
        same_corpus: Whether the test corpus is among the training corpora; its test speakers are not in training.
        labels: Labels that are scored.
        utterances: Number of test utterances.
        speakers: Number of known test speakers.
        scores: {metric: value}.
        intervals: {metric: [low, high]}, 95 % intervals.
        interval_unit: What the bootstrap resamples, "speaker" or "utterance".
        recalls: {label: [recall, low, high]}.
    """

    train: str
    test: str
    same_corpus: bool
    labels: list[str]
    utterances: int
    speakers: int
    scores: dict[str, float]
    intervals: dict[str, list[float]]
    interval_unit: str
    recalls: dict[str, list[float]]


@dataclass
class MatrixRow:
    """Describe a model: its training corpora, and the seconds of training and of scoring the other corpora."""

    name: str
    corpora: list[str]
    training_seconds: float
    scoring_seconds: float


@dataclass
class Matrix(MachineRecord):
    """Hold the content of matrix.json.

    Attributes:
        model: Name of the encoder; None for classical features or random weights.
        split: How the test speakers of the training corpora were chosen.
        label_sets: Labels by corpus.
        rows: Models.
        cells: Scores; pairs that share fewer than two labels are absent.
    """

    model: str | None = None
    split: str = ""
    label_sets: dict[str, LabelSet] | None = None
    rows: list[MatrixRow] | None = None
    cells: list[MatrixCell] | None = None


def score_cell(
    train: str, test: str, table: pandas.DataFrame, labels: Sequence[str], *, same_corpus: bool
) -> MatrixCell:
    """Return the scores of a table of predictions of the task "categories".

    Args:
        train: Name of the row.
        test: Name of the test corpus.
        table: Predictions; scores of other labels than `labels` are removed, and utterances with such targets too.
        labels: Labels that are scored.
        same_corpus: See `MatrixCell`.
    """
    labels = sorted(labels)
    table = _restrict(table, labels)
    summary = categories.summarize(table, labels)
    right, targets = (table["target"] == table["prediction"]).to_numpy(), table["target"].to_numpy(object)

    def recalls(rows: np.ndarray) -> dict[str, float]:
        members = {label: right[rows][targets[rows] == label] for label in labels}
        return {label: float(each.mean()) if len(each) else np.nan for label, each in members.items()}

    values = recalls(np.arange(len(table)))
    bounds = bootstrap_intervals(table, recalls, unit=summary.interval_unit)
    return MatrixCell(
        train=train,
        test=test,
        same_corpus=same_corpus,
        labels=labels,
        utterances=summary.utterances,
        speakers=summary.speakers,
        scores={name: getattr(summary, name) for name in categories.METRICS},
        intervals=summary.intervals,
        interval_unit=summary.interval_unit,
        recalls={label: [values[label], *bounds[label]] for label in labels},
    )


def _restrict(table: pandas.DataFrame, labels: Sequence[str]) -> pandas.DataFrame:
    """Return the rows whose target is a label, with the scores of these labels and their best as the prediction."""
    table = table[table["target"].isin(labels)].reset_index(drop=True)
    outputs = [name.removeprefix("score_") for name in table if name.startswith("score_")]
    if set(outputs) == set(labels):
        return table
    scores = categories.restrict_scores(table[[f"score_{name}" for name in outputs]].to_numpy(), outputs, labels)
    predictions = pandas.DataFrame(scores, columns=[f"score_{name}" for name in labels])
    own = table.drop(columns=[f"score_{name}" for name in outputs])
    return own.assign(prediction=[labels[i] for i in scores.argmax(1)]).join(predictions)


def write_matrix(matrix: Matrix, folder: Path) -> None:
    """Write matrix.csv, figures/matrix.png, README.md and, last, matrix.json into a folder."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "matrix.csv") as partial:
        pandas.DataFrame(list_values(matrix)).map(cell).to_csv(partial, index=False, lineterminator="\n")
    draw_matrix(matrix, folder / "figures" / "matrix.png")
    write_text(folder / "README.md", render_matrix(matrix))
    write_text(folder / MATRIX, json.dumps(asdict(matrix), indent=1, ensure_ascii=False))


def list_values(matrix: Matrix) -> list[dict]:
    """Return a row per cell for the CSV file: scores, intervals, recalls, sizes and chance."""
    rows = []
    for each in matrix.cells or []:
        row = {"train": each.train, "test": each.test, "same_corpus": each.same_corpus}
        for name, value in each.scores.items():
            low, high = each.intervals[name]
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        row |= {"chance": 1 / len(each.labels), "utterances": each.utterances, "speakers": each.speakers}
        rows.append(row | {f"recall_{label}": values[0] for label, values in each.recalls.items()})
    return rows


def render_matrix(matrix: Matrix) -> str:
    """Return the tables of a matrix in Markdown: UA by pair, recalls by pair, labels by corpus, and times."""
    title = "# Trained on one corpus, tested on another\n"
    parts = [title, describe_matrix(matrix), tabulate_matrix(matrix), "Recall (%) of each label:\n"]
    parts += [tabulate_recalls(matrix), "Labels:\n", tabulate_labels(matrix), "![The matrix](figures/matrix.png)\n"]
    return "\n".join(parts)


def describe_matrix(matrix: Matrix) -> str:
    """Return the text above the table."""
    sizes = {len(each.labels) for each in matrix.cells or []}
    chance = ", ".join(f"{100 / size:.1f}" for size in sorted(sizes))
    return (
        f"UA (%) with 95 % intervals over the test speakers; guessing has {chance}. A row is a model, a column a test "
        "corpus. In bold, the model was trained on other speakers of the test corpus: test speakers of "
        f"{matrix.split}. Everywhere else, the corpus is not in the training data, and all its utterances are tested. "
        "Several training corpora have the same weight. Intervals from fewer than ten speakers are a rough guide. "
        f"Encoder: {markdown(matrix.model or 'none')}; {matrix.hardware}, {matrix.date}.\n"
    )


def tabulate_matrix(matrix: Matrix) -> str:
    """Return the matrix as a table in Markdown, with the times of each row."""
    cells = {(each.train, each.test): each for each in matrix.cells or []}
    same = len({len(each.labels) for each in cells.values()}) < 2
    tests = list(dict.fromkeys(test for _, test in cells))
    sizes = {test: max(each.speakers for each in cells.values() if each.test == test) for test in tests}
    heads = [f"{markdown(test)}, {pluralize(sizes[test], 'speaker')}" for test in tests]
    lines = [["trained on", *heads, "training", "scoring"]]
    for row in matrix.rows or []:
        scores = [_write_score(cells.get((row.name, test)), sizes[test], with_labels=not same) for test in tests]
        times = [f"{seconds / 60:.1f} min" for seconds in (row.training_seconds, row.scoring_seconds)]
        lines.append([markdown(row.name), *scores, *times])
    return markdown_table(lines) + "\n"


def _write_score(each: MatrixCell | None, speakers: int, *, with_labels: bool) -> str:
    """Return the UA with its interval, and what differs from the other cells: labels, and speakers of the column."""
    if each is None:
        return ""
    value, (low, high) = each.scores["ua"], each.intervals["ua"]
    score = f"**{100 * value:.1f}**" if each.same_corpus else f"{100 * value:.1f}"
    own = f", {pluralize(each.speakers, 'speaker')}" if each.speakers != speakers else ""
    return f"{score} [{100 * low:.1f}, {100 * high:.1f}]" + f" of {len(each.labels)} labels" * with_labels + own


def tabulate_recalls(matrix: Matrix) -> str:
    """Return the recall of each label by pair as a table in Markdown."""
    labels = sorted({label for each in matrix.cells or [] for label in each.labels})
    lines = [["trained on", "tested on", *map(markdown, labels)]]
    for each in matrix.cells or []:
        values = [_write_recall(each.recalls.get(label)) for label in labels]
        lines.append([markdown(each.train), markdown(each.test), *values])
    return markdown_table(lines) + "\n"


def _write_recall(values: Sequence[float] | None) -> str:
    if values is None:
        return ""
    recall, low, high = (100 * value for value in values)
    return f"{recall:.0f} [{low:.0f}, {high:.0f}]"


def tabulate_labels(matrix: Matrix) -> str:
    """Return what becomes of the emotions of each corpus as a table in Markdown."""
    lines = [["corpus", "labels, utterances", "mapped", "left out", "absent"]]
    for name, labels in (matrix.label_sets or {}).items():
        columns = [
            [f"{label} {count}" for label, count in labels.used.items()],
            [f"{old} to {new}" for old, new in labels.mapped.items()],
            [f"{emotion} {count}" for emotion, count in labels.left_out.items()],
            labels.absent,
        ]
        lines.append([markdown(name), *(markdown(", ".join(items)) for items in columns)])
    return markdown_table(lines) + "\n"


def draw_matrix(matrix: Matrix, path: Path) -> None:
    """Draw the matrix as a heat map."""
    cells = {(each.train, each.test): each for each in matrix.cells or []}
    rows, columns = [row.name for row in matrix.rows or []], list(dict.fromkeys(test for _, test in cells))
    values = {pair: (each.scores["ua"], each.intervals["ua"], each.same_corpus) for pair, each in cells.items()}
    figures.plot_matrix(values, rows, columns, path)
