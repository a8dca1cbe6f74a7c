"""The paired difference of two tables: literal values, one set of speakers, and refusals."""

import numpy as np
import pandas
import pytest

from ser_hf.evaluation.paired import _tails, align, group_speakers, paired_differences
from ser_hf.tasks import categories, dimensions

EMOTIONS = ["happy", "sad"]


def table(rows, predictions, **columns):
    """Return predictions of utterances, each (speaker, target)."""
    speakers, targets = zip(*rows, strict=True)
    return pandas.DataFrame(
        {"corpus": "x", "path": [f"{i}.wav" for i in range(len(rows))], "start": np.nan, "end": np.nan}
        | {"speaker": speakers, "target": targets, "prediction": predictions}
        | columns
    )


def paired_difference(first, second, **options):
    return paired_differences(*align(first, second), lambda rows: categories.make_statistic(rows, EMOTIONS), **options)


def ua(first, second):
    """Return the difference of the UA and its interval."""
    found = paired_difference(first, second)["ua"]
    return found.difference, found.interval


ROWS = [("1", "happy"), ("1", "sad"), ("2", "happy"), ("2", "sad")]
FIRST = table(ROWS, ["happy", "sad", "sad", "sad"])  # recalls 1/2 and 1
SECOND = table(ROWS, ["happy", "sad", "happy", "happy"])  # recalls 1 and 1/2
RIGHT = table(ROWS, ["happy", "sad", "happy", "sad"])


def test_the_difference_is_the_second_tables_score_less_the_firsts():
    difference = paired_difference(FIRST, RIGHT)
    assert list(difference) == ["ua", "wa", "macro_f1"]
    assert difference["wa"].difference == difference["ua"].difference == 0.25
    assert difference["macro_f1"].difference == pytest.approx(1 - (2 / 3 + 4 / 5) / 2)
    back = paired_difference(RIGHT, FIRST)
    assert back["ua"].difference == -0.25
    low, high = difference["ua"].interval
    assert back["ua"].interval == [-high, -low]


def test_the_interval_is_over_speakers_who_are_drawn_for_both_tables_at_once():
    # Both tables are right about speaker 1, and the second is right about one utterance more of speaker 2. A quarter of
    # the draws holds speaker 1 twice (difference 0), a quarter speaker 2 twice (0.5).
    assert ua(FIRST, RIGHT) == (0.25, [0.0, 0.5])
    assert ua(FIRST, SECOND) == (0.0, [0.0, 0.0])


def test_what_is_hard_for_both_tables_cancels_out():
    rows = [(str(speaker), emotion) for speaker in range(20) for emotion in EMOTIONS]
    one = table(rows, ["happy" if int(speaker) < 10 else target for speaker, target in rows])
    assert ua(one, one.copy()) == (0.0, [0.0, 0.0])


def test_the_interval_of_one_gain_in_many_speakers_is_narrower_than_in_few():
    widths = []
    for speakers in (4, 64):
        rows = [(str(speaker), emotion) for speaker in range(speakers) for emotion in EMOTIONS]
        halved = ["sad" if int(speaker) % 2 else target for speaker, target in rows]
        low, high = ua(table(rows, halved), table(rows, [row[1] for row in rows]))[1]
        assert low <= 0.25 <= high
        widths.append(high - low)
    assert widths[0] == 0.5
    assert 0.05 < widths[1] < 0.2


def test_the_order_of_the_rows_does_not_matter():
    for seed in range(3):
        shuffled = RIGHT.sample(frac=1, random_state=seed)
        assert paired_difference(FIRST, shuffled) == paired_difference(FIRST, RIGHT)
    assert ua(FIRST.iloc[::-1], RIGHT) == (0.25, [0.0, 0.5])


def test_stretches_of_one_file_are_told_apart_by_their_times():
    times = {"path": "a.wav", "start": [0.0, 1.0, 2.0, 3.0], "end": [1.0, 2.0, 3.0, np.nan]}
    first, second = FIRST.assign(**times), RIGHT.assign(**times).iloc[::-1]
    assert ua(first, second) == (0.25, [0.0, 0.5])
    with pytest.raises(ValueError, match="found none in both"):
        align(first, second.assign(end=second["end"] + 0.5, start=second["start"] + 0.5))


def test_trimmed_ends_of_a_file_with_one_utterance_do_not_matter():
    whole = table(rows := [("a", "sad"), ("b", "happy")], ["sad", "sad"])
    trimmed = table(rows, ["sad", "happy"], start=0.5, end=2.0)[::-1]
    first, second = align(whole, trimmed)
    assert list(first["path"]) == list(second["path"]) == ["0.wav", "1.wav"]
    assert list(second["prediction"]) == ["sad", "happy"]
    with pytest.raises(ValueError, match="found none in both"):
        align(whole.assign(start=2.0, end=4.0), trimmed)


def test_one_name_in_two_corpora_is_two_speakers():
    corpora = {"corpus": ["x", "x", "y", "y"], "speaker": "1"}
    difference = paired_difference(FIRST.assign(**corpora), RIGHT.assign(**corpora))
    assert difference["ua"].interval == [0.0, 0.5]


def test_an_utterance_without_a_speaker_is_a_speaker_of_its_own():
    rows = [(None, "sad")] * 2
    first, second = table(rows, ["sad", "happy"]), table(rows, ["sad", "sad"])
    assert paired_difference(first, second)["wa"].interval == [0.0, 1.0]


def test_of_one_speaker_the_utterances_are_resampled():
    rows = [("1", "sad")] * 2
    found = paired_difference(table(rows, ["sad", "happy"]), table(rows, ["sad", "sad"]))["wa"]
    assert (found.difference, found.interval, found.higher, found.lower) == (0.5, [0.0, 1.0], 1, 0)


def test_few_speakers_get_wider_quantiles():
    # normal and t quantiles: Phi(-sqrt(24 / 23) * 2.0687) = Phi(-2.1132)
    assert _tails(24)[0] == pytest.approx(0.01729, abs=2e-5)
    assert _tails(1000)[1] == pytest.approx(0.975, abs=2e-4)


def test_the_permutation_test_exchanges_the_tables_of_whole_speakers():
    # 6 speakers, each better in the second table: only 2 of the 64 exchanges are as extreme
    rows = [(str(speaker), emotion) for speaker in range(6) for emotion in EMOTIONS]
    first, second = table(rows, ["sad"] * 12), table(rows, EMOTIONS * 6)
    found = paired_difference(first, second)["ua"]
    assert found.p_value == 0.03125
    assert (found.higher, found.lower) == (6, 0)
    back = paired_difference(second, first)["ua"]
    assert (back.higher, back.lower) == (0, 6)


@pytest.mark.parametrize(("speakers", "smallest"), [(2, 0.5), (4, 0.125), (12, 0.00048828125)])
def test_the_p_value_of_few_speakers_is_exact_and_never_below_the_smallest_possible(speakers, smallest):
    rows = [(str(speaker), emotion) for speaker in range(speakers) for emotion in EMOTIONS]
    first, second = table(rows, ["sad"] * len(rows)), table(rows, EMOTIONS * speakers)
    assert {paired_difference(first, second, resamples=5, seed=seed)["ua"].p_value for seed in range(3)} == {smallest}


def test_the_p_value_of_many_speakers_is_from_random_exchanges_and_never_zero():
    rows = [(str(speaker), emotion) for speaker in range(13) for emotion in EMOTIONS]
    first, second = table(rows, ["sad"] * 26), table(rows, EMOTIONS * 13)
    assert paired_difference(first, second, resamples=99)["ua"].p_value == 0.01


def test_equal_tables_differ_in_nothing():
    found = paired_difference(FIRST, FIRST.copy())["ua"]
    assert (found.p_value, found.higher, found.lower) == (1.0, 0, 0)


def test_ratings_are_compared_by_their_ccc():
    rated = FIRST.assign(target_arousal=[0.1, 0.9, 0.2, 0.8], score_arousal=[0.5, 0.6, 0.6, 0.5])
    better = rated.assign(score_arousal=rated["target_arousal"])
    found = paired_differences(rated, better, lambda rows: dimensions.make_statistic(rows, ["arousal"]))
    assert list(found) == ["ccc", "pearson"]
    assert found["ccc"].difference == pytest.approx(
        1 - 2 * 0.0025 / (0.125 + 0.0025 + 0.0025)
    )  # variances and squared difference of the means
    assert (found["ccc"].higher, found["ccc"].lower) == (2, 0)


def test_the_utterances_that_both_tables_have_are_compared():
    first, second = align(FIRST, RIGHT.iloc[[3, 1]].assign(speaker="9"))
    assert first["path"].tolist() == second["path"].tolist() == ["1.wav", "3.wav"]
    assert second["prediction"].tolist() == ["sad", "sad"]


@pytest.mark.parametrize(
    "change",
    [{"path": "new.wav"}, {"corpus": "y"}, {"start": 0.5}],
    ids=["other files", "another corpus", "other times"],
)
def test_tables_without_a_common_utterance_are_refused(change):
    other = RIGHT.assign(path="new_" + RIGHT["path"]) if "path" in change else RIGHT.assign(**change)
    with pytest.raises(ValueError, match=r"same utterances .* found none in both: the first has '0.wav' of 'x'"):
        align(FIRST, other)


def test_a_table_that_holds_an_utterance_twice_is_refused():
    with pytest.raises(ValueError, match="Expected each utterance once .* found '0.wav' twice"):
        align(FIRST, pandas.concat([RIGHT[:3], RIGHT[:1]]))


def test_speakers_of_two_corpora_and_unknown_ones_are_separate():
    rows = FIRST.assign(corpus=["x", "x", "y", "y"], speaker=["1", None, "1", None])
    assert sorted(group.tolist() for group in group_speakers(rows)) == [[0], [1], [2], [3]]


def test_a_prediction_outside_the_emotions_is_refused_and_not_counted_as_another():
    with pytest.raises(ValueError, match=r"Unknown emotion 'calm' \(prediction\): expected one of \['happy', 'sad'\]"):
        paired_difference(FIRST, RIGHT.assign(prediction=["happy", "sad", "calm", "sad"]))
