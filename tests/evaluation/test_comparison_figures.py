from types import SimpleNamespace

import pytest

from ser_hf.evaluation.figures import plot_adaptation, plot_candidates, plot_conditions, plot_runs
from ser_hf.evaluation.figures.run_comparison import RunScore

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
    assert list(lines) == ["nearest neighbours, classical features", "SVM with RBF kernel, classical features"]
    interval, score, inner = lines["SVM with RBF kernel, classical features"]
    assert list(interval.get_xdata()) == [40, 60]
    assert (list(score.get_xdata()), score.get_color()) == ([50], BLUE)
    assert list(inner.get_xdata()) == [pytest.approx(55)]
    other = lines["nearest neighbours, classical features"][1]
    assert other.get_color() != BLUE and (score.get_marker(), other.get_marker()) == ("D", "o")


def test_runs_that_heard_their_test_speakers_are_hollow(drawn):
    runs = [RunScore("honest", 75.0, (70, 80), True), RunScore("leaking", 78.0, (70, 80), False)]
    plot_runs(runs, "UA (%)", "unused.png")
    lines = rows_of(drawn[0].axes[0])
    assert list(lines) == ["leaking", "honest"]
    assert [lines[name][1].get_markerfacecolor() for name in lines] == ["white", BLUE]
    assert lines["leaking"][1].get_color() == VERMILION
    assert list(lines["honest"][0].get_xdata()) == [70, 80]


def test_conditions_have_names_that_say_what_was_done(drawn):
    names = ["white_20", "speech_shaped_0", "telephone", "cut_1s", "large_room"]
    plot_conditions({name: (0.5, [0.4, 0.6]) for name in names}, 0.75, "UA (%)", "unused.png", percent=True)
    assert [label.get_text() for label in reversed(drawn[0].axes[0].get_yticklabels())] == [
        "white noise, SNR 20 dB",
        "speech-shaped noise, SNR 0 dB",
        "telephone, 300 to 3400 Hz, mu-law",
        "first second only",
        "large room",
    ]


def test_the_mixes_of_an_adaptation_differ_by_marker_and_line(drawn):
    points = [
        {"mix": mix, "clips": clips, "ua": 0.5, "interval": [0.4, 0.6]}
        for mix in ("as recorded", "Dirichlet", "neutral only")
        for clips in (1, 2)
    ]
    plot_adaptation({"without": 0.4, "points": points}, "unused.png")
    lines = [line for line in drawn[0].axes[0].lines if line.get_marker() in ("o", "s", "^")]
    assert [line.get_label() for line in lines] == [
        "emotions as recorded", "emotions in random shares", "neutral clips only",
    ]  # fmt: skip
    assert [line.get_linestyle() for line in lines] == ["-", "--", ":"]
