from types import SimpleNamespace

import pytest

from ser_hf.evaluation.figures import plot_candidates, plot_runs

BLUE, VERMILION = "#0072B2", "#D55E00"


def rows_of(axes):
    """Return the lines of each row, by its name."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    return {name: [line for line in axes.lines if list(line.get_ydata())[:1] == [i]] for i, name in enumerate(names)}


def test_candidates_are_sorted_by_what_chose_them_and_the_chosen_one_stands_out(drawn):
    candidate = {"features": "classical", "intervals": {"ua": [0.4, 0.6]}}
    rows = [
        SimpleNamespace(**candidate, head="svm_rbf", scores={"ua": 0.5}, inner_score=0.55, chosen=True),
        SimpleNamespace(**candidate, head="knn", scores={"ua": 0.52}, inner_score=0.3, chosen=False),
    ]
    plot_candidates(rows, "unused.png", metric="ua", title="UA", percent=True)
    lines = rows_of(drawn[0].axes[0])
    assert list(lines) == ["knn, classical", "svm rbf, classical"]
    interval, score, inner = lines["svm rbf, classical"]
    assert list(interval.get_xdata()) == [40, 60]
    assert (list(score.get_xdata()), score.get_color()) == ([50], BLUE)
    assert list(inner.get_xdata()) == [pytest.approx(55)]
    assert lines["knn, classical"][1].get_color() != BLUE


def test_runs_that_heard_their_test_speakers_are_hollow(drawn):
    run = {"interval": [70, 80]}
    runs = [
        run | {"name": "honest", "score": 75.0, "speaker_independent": True},
        run | {"name": "leaking", "score": 78.0, "speaker_independent": False},
    ]
    plot_runs(runs, "UA (%)", "unused.png")
    lines = rows_of(drawn[0].axes[0])
    assert list(lines) == ["leaking", "honest"]
    assert [lines[name][1].get_markerfacecolor() for name in lines] == ["white", BLUE]
    assert lines["leaking"][1].get_color() == VERMILION
    assert list(lines["honest"][0].get_xdata()) == [70, 80]
