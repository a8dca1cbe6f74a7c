import matplotlib.image
import numpy as np
import pandas
import pytest
from matplotlib.colors import to_rgb

from ser_hf.evaluation.figures.corpus import plot_corpus
from ser_hf.evaluation.figures.spectrograms import plot_gallery

FEMALE, MALE, UNKNOWN = to_rgb("#E69F00"), to_rgb("#0072B2"), to_rgb("#999999")
ROWS = [  # corpus, emotion, speaker, gender, duration
    ("toy", "sad", "1", "female", 1.0),
    ("toy", "sad", "2", "male", 2.0),
    ("toy", "sad", "2", "male", 2.0),
    ("toy", "happy", "1", "female", 1.0),
    ("toy", "happy", "3", "female", 2.5),
    ("toy", "happy", "1", "female", 4.0),
    ("toy", "happy", "2", "male", np.nan),
    ("toy", "angry", None, None, 3.0),
]


def make_table(rows=ROWS):
    return pandas.DataFrame(rows, columns=["corpus", "emotion", "speaker", "gender", "duration"])


def make_corpus(emotions, speakers):
    places = range(max(emotions, speakers) * 3)
    return make_table(
        [("toy", f"emotion {i % emotions}", f"{i % speakers}", ["female", "male"][i % speakers % 2], 1 + i % 7)
         for i in places]
    )  # fmt: skip


def tone(frequency, seconds=1.0, amplitude=0.5):
    times = np.arange(round(seconds * 16_000)) / 16_000
    return (amplitude * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def read_png(path):
    """Return the pixels ``(height, width, 3)``, 0 to 1."""
    assert path.read_bytes().startswith(b"\x89PNG")
    return matplotlib.image.imread(path)[..., :3]


def share_of(colour, pixels):
    return np.all(np.abs(pixels - to_rgb(colour)) < 0.01, axis=-1).mean()


def bars_of(axes):
    return [bar for bars in axes.containers for bar in bars]


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_emotions_are_bars_by_gender_with_the_most_frequent_on_top(drawn):
    plot_corpus(make_table(), "unused.png")
    emotions = drawn[0].axes[0]
    assert labels_of(emotions.yaxis) == ["happy", "sad", "angry"]
    assert emotions.yaxis_inverted()
    parts = {bars.get_label(): [(bar.get_x(), bar.get_width()) for bar in bars] for bars in emotions.containers}
    assert parts == {
        "female": [(0, 3), (0, 1), (0, 0)],
        "male": [(3, 1), (1, 2), (0, 0)],
        "unknown gender": [(4, 0), (3, 0), (0, 1)],
    }
    assert [bars[0].get_facecolor()[:3] for bars in emotions.containers] == [FEMALE, MALE, UNKNOWN]
    assert [bool(bars[0].get_hatch()) for bars in emotions.containers] == [False, False, True]  # as light as female
    assert [text.get_text() for text in emotions.texts] == ["4  (50.0 %)", "3  (37.5 %)", "1  (12.5 %)"]
    assert [text.get_text() for text in emotions.get_legend().get_texts()] == ["female", "male", "unknown gender"]


def test_the_headline_tells_the_size_of_the_corpus(drawn):
    table = make_table().assign(duration=900.0)
    plot_corpus(table, "unused.png")
    assert drawn[0].get_suptitle().split() == ["utterances", "8", "hours", "2.00", "emotions", "3", "speakers", "3"]


def test_durations_are_counted_where_known_and_their_median_is_marked(drawn):
    plot_corpus(make_table(), "unused.png")
    durations = drawn[0].axes[1]
    bars = [bar for bar in bars_of(durations) if bar.get_height()]
    assert sum(bar.get_height() for bar in bars) == 7
    assert bars[0].get_x() == 1.0 and bars[0].get_height() == 2
    assert [*durations.lines[0].get_xdata()] == [2.0, 2.0]
    assert durations.get_title(loc="right") == "median 2.00 s"
    assert durations.get_xlabel() == "seconds"


def test_a_few_very_long_utterances_share_the_last_bar(drawn):
    plot_corpus(make_table([("toy", "sad", "1", None, seconds) for seconds in [1.0] * 97 + [50.0, 300.0, 400.0]]), "x")
    durations = drawn[0].axes[1]
    last = bars_of(durations)[-1]
    assert last.get_height() == 3
    assert last.get_x() + last.get_width() == pytest.approx(2.0)
    assert durations.get_xlabel() == "seconds (last bar: 3 of up to 400 s)"


def test_speakers_are_bars_sorted_within_their_gender(drawn):
    plot_corpus(make_table(), "unused.png")
    speakers = drawn[0].axes[2]
    bars = sorted(bars_of(speakers), key=lambda bar: bar.get_x())
    assert labels_of(speakers.xaxis) == ["1", "3", "2"]
    assert [bar.get_height() for bar in bars] == [3, 1, 3]
    assert [bar.get_facecolor()[:3] for bar in bars] == [FEMALE, FEMALE, MALE]
    assert speakers.get_xlabel() == "speaker (unknown for 1 utterances)"


def test_speakers_of_several_corpora_are_told_apart(drawn):
    table = pandas.concat([make_table(), make_table().assign(corpus="other")])
    plot_corpus(table, "unused.png")
    assert labels_of(drawn[0].axes[2].xaxis) == ["other/1", "toy/1", "other/3", "toy/3", "other/2", "toy/2"]


def test_a_corpus_of_unknown_speakers_has_no_panel_for_them(drawn):
    plot_corpus(make_table().assign(speaker=None, gender=None), "unused.png")
    assert len(drawn[0].axes) == 2
    assert "speakers unknown" in drawn[0].get_suptitle()


def test_a_corpus_without_durations_has_no_picture():
    with pytest.raises(ValueError, match="found none in 8 rows"):
        plot_corpus(make_table().assign(duration=np.nan), "unused.png")


@pytest.mark.parametrize(("emotions", "speakers"), [(1, 1), (8, 24), (8, 31), (30, 200)])
def test_the_corpus_is_a_picture_that_grows_with_the_emotions_only(tmp_path, emotions, speakers):
    plot_corpus(make_corpus(emotions, speakers), tmp_path / "corpus.png")
    pixels = read_png(tmp_path / "corpus.png")
    assert pixels.shape[1] == pytest.approx(9 * 150, rel=0.03)
    assert pixels.shape[0] == pytest.approx((3.7 + 0.3 * emotions) * 150, rel=0.04)
    assert share_of(FEMALE, pixels) > 0.05 and share_of("#009E73", pixels) > 0.01
    assert (share_of(MALE, pixels) > 0.05) == (speakers > 1)


@pytest.mark.parametrize(("speakers", "name", "shown"), [
    (30, "{:02d}", True), (31, "{:02d}", False), (3, "a_very_long_name_{}", False)
])  # fmt: skip
def test_names_of_speakers_are_left_out_where_they_have_no_room(drawn, speakers, name, shown):
    plot_corpus(make_table([("toy", "sad", name.format(i), "male", 1.0) for i in range(speakers)]), "unused.png")
    assert bool(labels_of(drawn[0].axes[2].xaxis)) == shown


def test_nothing_of_the_corpus_overlaps(drawn):
    plot_corpus(make_corpus(8, 24), "unused.png")
    figure = drawn[0]
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])
    names = [label.get_window_extent() for label in figure.axes[2].get_xticklabels()]
    assert not any(one.overlaps(other) for one, other in zip(names, names[1:], strict=False))
    legend, title = figure.axes[0].get_legend().get_window_extent(), figure.axes[0]._left_title.get_window_extent()
    assert not legend.overlaps(title)


def test_an_utterance_is_its_waveform_over_its_spectrogram(drawn):
    waveform = tone(1000, seconds=2.0, amplitude=0.1)
    plot_gallery([("sad, speaker 01", waveform)], "unused.png")
    lower, upper, _ = drawn[0].axes
    np.testing.assert_allclose(upper.lines[0].get_ydata(), waveform)
    np.testing.assert_allclose(upper.lines[0].get_xdata()[[0, 16_000]], [0, 1])
    assert upper.get_title(loc="left") == "sad, speaker 01"
    assert upper.get_title(loc="right") == "2.00 s, peak -20 dB of full scale"
    assert upper.get_position().y0 == pytest.approx(lower.get_position().y1)
    assert lower.get_xlim() == upper.get_xlim() == (0, 2)


@pytest.mark.parametrize("frequency", [500, 1000, 2000, 4000])
def test_a_tone_lies_at_its_hertz_and_its_peak_is_0_db(drawn, frequency):
    plot_gallery([("tone", tone(frequency))], "unused.png")
    lower = drawn[0].axes[0]
    levels = lower.images[0].get_array()
    assert lower.images[0].origin == "lower" and lower.images[0].get_clim() == (-70, 0)
    _, _, bottom, top = lower.images[0].get_extent()
    loudest = levels[:, 50].argmax()
    place = bottom + (loudest + 0.5) / len(levels) * (top - bottom)
    ticks = dict(zip(labels_of(lower.yaxis), lower.get_yticks(), strict=True))
    assert place == pytest.approx(ticks[str(frequency)], abs=1.5 * (top - bottom) / len(levels))
    assert levels.max() == pytest.approx(0) and levels.min() == pytest.approx(-70)
    assert (levels[:, 50] > -20).mean() < 0.15


def test_levels_do_not_depend_on_loudness_and_show_20_db_as_20_db(drawn):
    both = np.concatenate([tone(1000), tone(1000, amplitude=0.05)])
    plot_gallery([("loud", both), ("quiet", 0.01 * both)], "unused.png")
    loud, quiet = (axes.images[0].get_array() for axes in drawn[0].axes[:4:2])
    np.testing.assert_allclose(loud, quiet, atol=0.01)
    assert loud[:, 50].max() - loud[:, 150].max() == pytest.approx(20, abs=0.1)


def test_the_rows_share_one_time_axis_and_grey_follows_the_end(tmp_path, drawn):
    plot_gallery([("long", tone(200, seconds=3.0)), ("short", tone(200, seconds=1.0))], "unused.png")
    lower = drawn[0].axes[:4:2]
    assert [axes.get_xlim() for axes in lower] == [(0, 3), (0, 3)]
    assert [axes.images[0].get_extent()[1] for axes in lower] == [3, 1]
    assert all(axes.get_facecolor()[:3] == to_rgb("0.93") for axes in lower)
    assert [axes.get_xlabel() for axes in lower] == ["", "seconds"]


@pytest.mark.parametrize("waveform", [np.zeros(8000, np.float32), np.full(10, 0.5, np.float32)])
def test_silence_and_ten_samples_can_be_drawn(tmp_path, recwarn, waveform):
    plot_gallery([("odd", waveform), ("tone", tone(300))], tmp_path / "gallery.png")
    assert not recwarn.list
    assert read_png(tmp_path / "gallery.png").std() > 0.1


@pytest.mark.parametrize("rows", [1, 12])
def test_the_gallery_grows_by_a_row_per_utterance(tmp_path, rows):
    plot_gallery([(f"emotion {i}", tone(200 + i)) for i in range(rows)], tmp_path / "gallery.png")
    height, width, _ = read_png(tmp_path / "gallery.png").shape
    assert width == pytest.approx(9.5 * 150, rel=0.03)
    assert height == pytest.approx((0.4 + 1.74 * rows) * 150, rel=0.03)


def test_an_empty_gallery_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one utterance"):
        plot_gallery([], tmp_path / "gallery.png")


def test_the_same_corpus_gives_the_same_bytes(tmp_path):
    for draw, numbers in [(plot_corpus, make_table()), (plot_gallery, [("tone", tone(300))])]:
        draw(numbers, tmp_path / "first.png")
        draw(numbers, tmp_path / "second.png")
        assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
