"""Draw the votes of annotators beside the scores of a model."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ser_hf.evaluation.figures.palette import BLUE, ORANGE
from ser_hf.evaluation.figures.saving import save_figure


def plot_votes(per_emotion: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Draw for each emotion its mean share of the votes beside its mean score.

    Args:
        per_emotion: Mean share of the "votes" and mean "score" of each emotion.
        path: PNG file to write (150 dpi), in a folder that exists.
    """
    emotions = list(per_emotion)
    places = np.arange(len(emotions))
    figure = Figure(figsize=(max(4.0, 0.8 * len(emotions)), 2.8), layout="constrained")
    axes = figure.subplots()
    for shift, key, label, colour in (
        (-0.2, "votes", "votes of annotators", ORANGE),
        (0.2, "score", "scores of the model", BLUE),
    ):
        heights = [100 * per_emotion[emotion][key] for emotion in emotions]
        axes.bar(places + shift, heights, 0.4, label=label, color=colour)
    axes.set_xticks(places, emotions, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_ylabel("mean share (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    save_figure(figure, path)
