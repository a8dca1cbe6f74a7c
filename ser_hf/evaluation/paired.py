"""Test whether one table of predictions is better than another on the same utterances.

Shapes: `N` utterances, `S` speakers, `R` resamples.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas
from scipy import stats

from ser_hf.evaluation.bootstrap import draw_rows

KEY = ["corpus", "path", "start", "end"]  # identifies an utterance
ENUMERATED = 12  # most speakers of whom all 2^S exchanges are computed, at most 4096
Statistic = Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]]  # R arrays of row numbers -> {metric: (R,)}


@dataclass
class Difference:
    """Hold the difference between the scores of two tables of predictions, the second minus the first.

    Attributes:
        difference: Difference on all utterances.
        interval: [low, high], 95 % interval for new speakers.
        p_value: Of a permutation test over speakers: the share of exchanges of the two tables, speaker by speaker, with
            a difference at least as large in either direction. Up to `ENUMERATED` speakers, these are all exchanges, so
            that it is exact and at least 2 / 2^S; for more speakers, they are random.
        higher: Number of speakers with a higher score in the second table.
        lower: Number of speakers with a lower score in the second table.
    """

    difference: float
    interval: list[float]
    p_value: float | None = None
    higher: int | None = None
    lower: int | None = None


def has_one_utterance_per_file(*tables: pandas.DataFrame) -> bool:
    """Return whether no table of predictions has a file twice."""
    return not any(table.duplicated(KEY[:2]).any() for table in tables)


def _choose_key(first: pandas.DataFrame, second: pandas.DataFrame) -> list[str]:
    """Return the columns that identify an utterance in two tables.

    These are without times if a table has whole files, and the other one each file once, without the silence at its
    ends. Two tables with different times have different utterances.
    """
    times = [table[KEY[2:]].notna() for table in (first, second)]
    trimmed = any(one.all(axis=None) and not other.any(axis=None) for one, other in (times, times[::-1]))
    return KEY[:2] if trimmed and has_one_utterance_per_file(first, second) else KEY


def align(first: pandas.DataFrame, second: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Return the rows of two tables for the utterances that both have, in the order of the first.

    Raises:
        ValueError: If they share no utterance, or a table has an utterance twice.

    Examples:
        >>> first = pandas.DataFrame([["x", name, None, None] for name in ("a.wav", "b.wav")], columns=KEY)
        >>> [list(rows["path"]) for rows in align(first, first[::-1].assign(prediction="sad")[:1])]
        [['b.wav'], ['b.wav']]
    """
    for table in (first, second):
        if table.duplicated(KEY).any():
            row = table[table.duplicated(KEY)].iloc[0]
            raise ValueError(f"Expected each utterance once in a table of predictions, found '{row['path']}' twice.")
    key = _choose_key(first, second)
    places = first[key].assign(first=range(len(first)))
    pairs = places.merge(second[key].assign(second=range(len(second))), on=key)
    if pairs.empty:
        raise ValueError(
            "Expected two tables with predictions of the same utterances (columns "
            f"{', '.join(KEY)}), found none in both: the first has '{first['path'].iloc[0]}' of "
            f"'{first['corpus'].iloc[0]}', the second '{second['path'].iloc[0]}' of '{second['corpus'].iloc[0]}'."
        )
    return first.iloc[pairs["first"]].reset_index(drop=True), second.iloc[pairs["second"]].reset_index(drop=True)


def paired_differences(
    first: pandas.DataFrame,
    second: pandas.DataFrame,
    make_statistic: Callable[[pandas.DataFrame], Statistic],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return the difference of each score of two tables, with an interval and a test over speakers.

    Both tables are scored on the same resampled speakers, with all their utterances, so that differences between
    speakers in difficulty cancel out. An utterance without a speaker counts as a speaker of its own; if all utterances
    are of one speaker, utterances take the place of speakers, and the result says nothing about other speakers.

    Args:
        first: ``N`` rows of `read_predictions`.
        second: Rows of the same utterances in the same order, see `align`.
        make_statistic: Function of the tasks, given a table: see `ser_hf.tasks`.
        resamples: Number ``R`` of bootstrap resamples, and of random permutations.
        seed: Random seed.

    Source:
        Field and Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B, 2007. Hesterberg,
        "What Teachers Should Know About the Bootstrap", The American Statistician, 2015: percentiles for few groups.

    Examples:
        >>> from ser_hf.tasks.categories import make_statistic
        >>> rows = [["x", "a.wav", None, None, "1", "sad"], ["x", "b.wav", None, None, "2", "happy"]]
        >>> table = pandas.DataFrame(rows, columns=[*KEY, "speaker", "target"])
        >>> first, second = table.assign(prediction="sad"), table.assign(prediction=["sad", "happy"])
        >>> paired_differences(first, second, lambda table: make_statistic(table, ["happy", "sad"]))["ua"]
        Difference(difference=0.5, interval=[0.0, 1.0], p_value=1.0, higher=1, lower=0)
    """
    statistic = make_statistic(pandas.concat([first, second], ignore_index=True))
    groups, length = group_speakers(first), len(first)

    def subtract(samples: list[np.ndarray], others: list[np.ndarray]) -> np.ndarray:
        return np.stack(list(statistic(others).values()), 1) - np.stack(list(statistic(samples).values()), 1)

    generator, everything = np.random.default_rng(seed), np.arange(length)
    names = list(statistic([everything]))
    drawn = list(draw_rows(groups, resamples, generator))
    exchanged = list(_exchange(groups, length, _choose_exchanges(len(groups), resamples, generator)))
    (observed,) = subtract([everything], [everything + length])
    by_draw = subtract(drawn, [rows + length for rows in drawn])
    by_exchange = subtract(exchanged, [(rows + length) % (2 * length) for rows in exchanged])
    by_speaker = subtract(groups, [rows + length for rows in groups])
    low, high = np.nanquantile(by_draw, _tails(len(groups)), axis=0)
    extreme = (np.abs(by_exchange) >= np.abs(observed) - 1e-12).sum(0)
    return {
        name: Difference(
            difference=float(observed[i]),
            interval=[float(low[i]), float(high[i])],
            p_value=float(extreme[i] / len(exchanged)),
            higher=int((by_speaker[:, i] > 1e-12).sum()),
            lower=int((by_speaker[:, i] < -1e-12).sum()),
        )
        for i, name in enumerate(names)
    }


def stack_metrics(values: Iterable[dict[str, float]]) -> dict[str, np.ndarray]:
    """Return {metric: (R,) values}, given the metrics of R resamples."""
    values = list(values)
    return {name: np.array([each[name] for each in values]) for name in values[0]}


def group_speakers(table: pandas.DataFrame) -> list[np.ndarray]:
    """Return the row numbers of each of ``S`` speakers; of each utterance if all are of one speaker."""
    speakers = table["speaker"].where(table["speaker"].notna(), [f"utterance {i}" for i in range(len(table))])
    groups = list(table.groupby([table["corpus"], speakers]).indices.values())
    return groups if len(groups) > 1 else list(np.arange(len(table))[:, None])


def _choose_exchanges(speakers: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``(R, S)`` whether the tables of a speaker are exchanged; the first row exchanges none."""
    if speakers <= ENUMERATED:
        return np.array(list(itertools.product([False, True], repeat=speakers)))
    return np.vstack([np.zeros(speakers, bool), generator.random((count, speakers)) < 0.5])


def _exchange(groups: Sequence[np.ndarray], length: int, choices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows ``(N,)`` of the two tables one after the other: those of the second for the chosen speakers."""
    for chosen in choices:
        rows = np.arange(length)
        for group in itertools.compress(groups, chosen):
            rows[group] += length
        yield rows


def _tails(groups: int) -> tuple[float, float]:
    """Return the two quantiles of the bootstrap that give a 95 % interval: a little wider with few groups."""
    if groups < 2:
        return 0.025, 0.975
    tail = stats.norm.cdf(np.sqrt(groups / (groups - 1)) * stats.t.ppf(0.025, groups - 1))
    return tail, 1 - tail
