import matplotlib.image
import numpy as np
import pandas
import pytest

from ser_hf.evaluation.figures.sweep_trials import plot_sweep

TABLE = pandas.DataFrame({
    "trial": [4, 0, 1], "ua": [0.7, 0.5, 0.4], "seconds": [1.0, 1.0, 1.0], "recipe": [False, True, False],
    "learning_rate": [1e-4, 3e-5, 3e-6], "noise_snr": [10.0, None, 5.0], "optim": ["rmsprop", "adafactor", "adafactor"],
})  # fmt: skip


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_the_course_of_a_sweep_is_drawn_in_the_order_of_its_trials(drawn):
    plot_sweep(TABLE, "unused.png")
    course = drawn[0].axes[0]
    assert line(course, "trial").get_xydata().tolist() == [[0, 50], [1, 40], [4, 70]]
    assert line(course, "best so far").get_ydata().tolist() == [50, 50, 70]
    assert line(course, "the recipe itself").get_ydata()[0] == 50
    assert course.get_title(loc="right") == "best 70.0 %, trial 4"


def test_each_setting_has_a_panel_with_its_choices(drawn):
    plot_sweep(TABLE, "unused.png")
    _, rate, noise, optim = drawn[0].axes
    assert [axes.get_title(loc="left") for axes in (rate, noise, optim)] == ["learning_rate", "noise_snr", "optim"]
    assert rate.get_xscale() == "log"
    assert [label.get_text() for label in noise.get_xticklabels()] == ["none", "5", "10"]
    assert noise.lines[0].get_xydata().tolist() == [[0, 50], [1, 40], [2, 70]]
    assert [label.get_text() for label in optim.get_xticklabels()] == ["adafactor", "rmsprop"]
    means = [segment[0][1] for segment in optim.collections[0].get_segments()]
    assert means == pytest.approx([45, 70])
    star = [line for line in optim.lines if line.get_color() == "#D55E00"][0]
    assert (star.get_xdata(), star.get_ydata()) == ([1], [70])


@pytest.mark.parametrize("table", [TABLE[:1], TABLE.drop(columns=["learning_rate", "noise_snr", "optim"]), TABLE])
def test_a_sweep_of_any_size_is_a_picture(tmp_path, table):
    plot_sweep(table, tmp_path / "sweep.png")
    pixels = matplotlib.image.imread(tmp_path / "sweep.png")[..., :3]
    assert 1000 < pixels.shape[1] < 2000
    assert 0.01 < np.mean(np.any(pixels < 0.9, axis=-1)) < 0.5


def test_a_sweep_without_a_finished_trial_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match="at least one finished trial"):
        plot_sweep(TABLE[:0], tmp_path / "sweep.png")
