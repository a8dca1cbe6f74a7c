"""Test whether one table of predictions is better than another on the same utterances.

Shapes: `C` emotions, `S` speakers, `R` resamples.
"""

from collections.abc import Sequence

import numpy as np
import pandas

from ser_hf.evaluation.resampling import draw_groups, number_cells, number_groups, resample_groups, score_blocks
from ser_hf.evaluation.scores import METRICS, count_confusion

KEY = ["corpus", "path", "start", "end"]


def paired_difference(
    first: pandas.DataFrame,
    second: pandas.DataFrame,
    emotions: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict]:
    """Return the differences between the scores of two tables, with 95 % bootstrap intervals over speakers.

    Both tables are scored on the same resampled speakers, with all their utterances, so that differences between
    speakers in difficulty cancel out. An utterance without a speaker counts as a speaker of its own.

    Args:
        first: Rows of `read_predictions` of one split.
        second: Rows of the same utterances, in any order.
        emotions: The ``C`` emotions.
        resamples: Number ``R`` of bootstrap resamples.
        seed: Random seed of the bootstrap.

    Returns:
        {metric: {"difference": second minus first, "interval": [low, high]}} for each of `METRICS`.

    Raises:
        ValueError: If the tables do not have the same utterances.

    Source:
        Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B, 2007.

    Examples:
        >>> rows = [["x", "a.wav", None, None, "1", "sad"], ["x", "b.wav", None, None, "2", "sad"]]
        >>> table = pandas.DataFrame(rows, columns=[*KEY, "speaker", "target"])
        >>> first, second = table.assign(prediction=["sad", "happy"]), table.assign(prediction=["sad", "sad"])
        >>> paired_difference(first, second, ["happy", "sad"])["ua"]
        {'difference': 0.5, 'interval': [0.0, 1.0]}
    """
    rows = first.merge(second[[*KEY, "prediction"]], on=KEY, suffixes=("", "_second"), validate="one_to_one")
    if not len(rows) == len(first) == len(second):
        raise ValueError("Expected two tables of the same utterances, found others: score both on the same test set.")
    speakers = rows["speaker"].where(rows["speaker"].notna(), [f"utterance {i}" for i in rows.index])
    groups = list(rows.groupby([rows["corpus"], speakers]).indices.values())
    draws = draw_groups(len(groups), resamples, np.random.default_rng(seed))
    numbers, columns = number_groups(groups), ("prediction", "prediction_second")
    cells = [number_cells(rows, column, emotions) for column in columns]
    first_scores, second_scores = (score_blocks(resample_groups(each, numbers, draws, len(emotions))) for each in cells)
    totals = [count_confusion(rows["target"], rows[column], emotions) for column in columns]
    return {
        name: {
            "difference": float(metric(totals[1]) - metric(totals[0])),
            "interval": np.quantile(second_scores[name] - first_scores[name], [0.025, 0.975]).tolist(),
        }
        for name, metric in METRICS.items()
    }
