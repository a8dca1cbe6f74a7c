"""Draw the scores of models on the corpora of others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ser_hf.evaluation.figures.palette import VERMILION
from ser_hf.evaluation.figures.saving import save_figure

CELL = (1.5, 0.7)  # inches


def plot_matrix(
    cells: Mapping[tuple[str, str], tuple[float, Sequence[float], bool]],
    rows: Sequence[str],
    columns: Sequence[str],
    path: str | Path,
) -> None:
    """Draw a heat map of the UA with a row per model and a column per test corpus.

    Cells whose test corpus is among the training corpora have a frame.

    Args:
        cells: {(row, column): (UA, [low, high], whether the corpus was also used in training)}.
        rows: Names of the models, from the top.
        columns: Names of the test corpora.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    values = np.array([[cells.get((row, column), (np.nan,))[0] for column in columns] for row in rows])
    figure = Figure(figsize=(CELL[0] * len(columns), CELL[1] * len(rows)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(100 * values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), (score, (low, high), same_corpus) in cells.items():
        place = columns.index(column), rows.index(row)
        colour = "white" if score > 0.55 else "0.1"
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        axes.text(place[0], place[1] - 0.12, f"{100 * score:.1f}", fontsize=11, **style)
        axes.text(place[0], place[1] + 0.24, f"[{100 * low:.1f}, {100 * high:.1f}]", fontsize=7.5, **style)
        if same_corpus:
            corner = place[0] - 0.48, place[1] - 0.47
            axes.add_patch(Rectangle(corner, 0.96, 0.94, fill=False, edgecolor=VERMILION, linewidth=2))
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.set_facecolor("0.93")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    note = "UA, mean recall of the emotions (%), with 95 % intervals over test speakers.\n"
    axes.set_title(f"{note}Framed: other speakers of a training corpus", loc="left", fontsize=9)
    save_figure(figure, path)
