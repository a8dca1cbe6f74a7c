import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ser_hf.evaluation import figures, summarize
from ser_hf.evaluation.figures import plot_confusion, plot_curves, plot_speakers
from ser_hf.evaluation.figures.saving import save_figure

EMOTIONS = ["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]
LOG_HISTORY = [
    {"epoch": 0.5, "loss": 2.0, "learning_rate": 1e-4},
    {"epoch": 1.0, "eval_loss": 1.8, "eval_ua": 0.4},
    {"epoch": 1.5, "loss": 1.2, "learning_rate": 1e-4},
    {"epoch": 2.0, "eval_loss": 1.5, "eval_ua": 0.625},
    {"epoch": 3.0, "eval_loss": 1.6, "eval_ua": 0.625},
    {"epoch": 3.0, "train_loss": 1.6, "train_runtime": 9.0},
]


def make_summary(emotions=EMOTIONS, speakers=6, genders=("female", "male")):
    generator = np.random.default_rng(0)
    rows = [
        {
            "corpus": "acted",
            "speaker": f"{speaker:02d}",
            "gender": genders[speaker % len(genders)],
            "target": target,
            "prediction": target if generator.random() < 0.3 + 0.1 * (speaker % 6) else emotions[0],
        }
        for speaker in range(speakers)
        for target in emotions * 5
    ]
    return summarize(pandas.DataFrame(rows), emotions, resamples=50)


def read_png(path):
    """Return the pixels ``(height, width, 3)``, 0 to 1."""
    assert path.read_bytes().startswith(b"\x89PNG")
    return matplotlib.image.imread(path)[..., :3]


def share_of(colour, pixels):
    return np.all(np.abs(pixels - to_rgb(colour)) < 0.01, axis=-1).mean()


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_the_confusion_matrix_is_a_picture_that_grows_with_the_emotions(tmp_path):
    plot_confusion(make_summary(), tmp_path / "8.png")
    plot_confusion(make_summary(EMOTIONS[:7]), tmp_path / "7.png")
    eight, seven = read_png(tmp_path / "8.png"), read_png(tmp_path / "7.png")
    height, width, _ = eight.shape
    assert 1050 < width < 1250 and 1050 < height < 1250  # 8 cells of 117 pixels, names and title
    assert 0.1 < np.mean(np.any(eight < 0.9, axis=-1)) < 0.9
    assert 100 < height - seven.shape[0] < 160


def test_the_confusion_matrix_tells_counts_shares_of_the_row_and_intervals(drawn):
    summary = make_summary(["angry", "sad"])
    summary.confusion["counts"] = [[30, 10], [0, 5]]
    summary.ua, summary.wa, summary.intervals = 0.875, 0.7777, {"ua": [0.8, 0.9234], "wa": [0.7, 0.85]}
    plot_confusion(summary, "unused.png")
    (axes,) = drawn[0].axes
    cells = ["75 %", "30", "25 %", "10", "100 %", "5"]
    meaning = "UA: mean recall of the emotions; WA: share of correct utterances"
    assert texts_of(axes) == [*cells, f"{meaning}\n60 utterances, 6 speakers; 95 % intervals over speakers"]
    assert axes.get_title(loc="left") == "UA 87.5 %  [80.0, 92.3]      WA 77.8 %  [70.0, 85.0]"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["angry", "sad"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert axes.get_ylabel().startswith("target")


@pytest.mark.parametrize(("inches", "dpi"), [(6, 150), (53, 150), (80, 100), (800, 10)])
def test_a_very_large_figure_has_a_lower_resolution(inches, dpi, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: asked.append(options["dpi"]) or path.touch())
    save_figure(Figure(figsize=(2, inches)), tmp_path / "a.png")
    assert asked == [dpi]


def test_every_second_of_many_emotions_is_named(drawn):
    emotions = [f"e{i:03d}" for i in range(300)]
    summary = make_summary(emotions)
    summary.confusion["counts"] = np.eye(300, dtype=int).tolist()
    plot_confusion(summary, "unused.png")
    (axes,) = drawn[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert (names[0], names[1], names[-1], len(names)) == ("e000", "e002", "e298", 150)
    assert len(axes.texts) == 1  # the note; no numbers in the cells
    assert drawn[0].get_size_inches().tolist() == [24, 24]


def test_an_emotion_without_utterances_has_a_grey_row(tmp_path):
    summary = make_summary(["angry", "sad"])
    plot_confusion(summary, tmp_path / "full.png")
    summary.confusion["counts"][1] = [0, 0]
    plot_confusion(summary, tmp_path / "empty.png")
    assert share_of("0.93", read_png(tmp_path / "full.png")) < 0.01
    assert share_of("0.93", read_png(tmp_path / "empty.png")) > 0.05


def test_the_curves_mark_the_first_epoch_of_the_highest_validation_ua(drawn):
    plot_curves(LOG_HISTORY, "unused.png")
    loss_axes, ua_axes = drawn[0].axes
    training, validation, _ = [line.get_xydata().tolist() for line in loss_axes.lines]
    assert training == [[0.5, 2.0], [1.5, 1.2]]
    assert validation == [[1, 1.8], [2, 1.5], [3, 1.6]]
    ua, star, guide = [line.get_xydata().tolist() for line in ua_axes.lines]
    assert (ua, star) == ([[1, 40], [2, 62.5], [3, 62.5]], [[2, 62.5]])
    assert guide[0][0] == 2
    assert ua_axes.get_title(loc="right") == "best 62.5 % at epoch 2"


def test_the_curves_are_a_picture_of_nine_by_three_inches(tmp_path):
    plot_curves(LOG_HISTORY, tmp_path / "curves.png")
    pixels = read_png(tmp_path / "curves.png")
    assert pixels.shape[1] == pytest.approx(9 * 150, rel=0.05)
    assert pixels.shape[0] == pytest.approx(3.4 * 150, rel=0.05)
    assert share_of("#0072B2", pixels) > 0 and share_of("#D55E00", pixels) > 0


def test_curves_without_an_evaluation_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"'eval_ua': found \['epoch', 'loss'\]"):
        plot_curves([{"epoch": 1.0, "loss": 2.0}], tmp_path / "curves.png")


def test_the_speakers_are_bars_sorted_by_ua_and_coloured_by_gender(drawn):
    summary = make_summary(speakers=6)
    plot_speakers(summary, "unused.png")
    (axes,) = drawn[0].axes
    per_speaker = summary.per_speaker
    order = sorted(per_speaker, key=lambda name: per_speaker[name]["ua"])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["6", "5", "4", "3", "2", "1"]  # and no names
    colours = {"female": to_rgb("#E69F00"), "male": to_rgb("#0072B2")}
    bars = sorted((bar for bars in axes.containers for bar in bars), key=lambda bar: bar.get_x())
    assert [bar.get_height() for bar in bars] == [100 * per_speaker[name]["ua"] for name in order]
    assert [bar.get_facecolor()[:3] for bar in bars] == [colours[per_speaker[name]["gender"]] for name in order]
    assert [*axes.lines[0].get_ydata()] == [100 * summary.ua] * 2


@pytest.mark.parametrize("speakers", [1, 20, 200])
def test_the_speakers_are_a_picture_as_wide_as_they_need_and_no_wider(tmp_path, speakers):
    plot_speakers(make_summary(EMOTIONS[:2], speakers, [None]), tmp_path / "speakers.png")
    pixels = read_png(tmp_path / "speakers.png")
    assert pixels.shape[1] == pytest.approx({1: 5.65, 20: 6.5, 200: 14.5}[speakers] * 150, rel=0.06)
    assert share_of("#999999", pixels) > 0.1 > share_of("#E69F00", pixels)


def test_a_summary_without_speakers_has_no_picture_of_them(tmp_path):
    with pytest.raises(ValueError, match="at least one speaker"):
        plot_speakers(replace(make_summary(), per_speaker={}), tmp_path / "speakers.png")


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for draw, numbers in [
        (plot_confusion, make_summary(["angry", "sad"])),
        (plot_speakers, make_summary(["angry", "sad"])),
        (plot_curves, LOG_HISTORY),
    ]:
        draw(numbers, tmp_path / "first.png")
        draw(numbers, tmp_path / "second.png")
        assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_the_figures_never_import_pyplot(tmp_path):
    code = (
        "import sys; from ser_hf.evaluation.figures import plot_curves;"
        f"plot_curves({LOG_HISTORY!r}, {str(tmp_path / 'curves.png')!r});"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    sources = [path.read_text(encoding="utf-8") for path in Path(figures.__file__).parent.glob("*.py")]
    assert len(sources) >= 7 and not any("import matplotlib.pyplot" in source for source in sources)
