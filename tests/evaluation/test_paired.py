"""The paired difference of two tables: literal values, one set of speakers, and refusals."""

import numpy as np
import pandas
import pytest

from ser_hf.evaluation.paired import paired_difference

EMOTIONS = ["happy", "sad"]


def table(rows, predictions, **columns):
    """Return predictions of utterances, each (speaker, target)."""
    speakers, targets = zip(*rows, strict=True)
    return pandas.DataFrame(
        {"corpus": "x", "path": [f"{i}.wav" for i in range(len(rows))], "start": np.nan, "end": np.nan}
        | {"speaker": speakers, "target": targets, "prediction": predictions}
        | columns
    )


ROWS = [("1", "happy"), ("1", "sad"), ("2", "happy"), ("2", "sad")]
FIRST = table(ROWS, ["happy", "sad", "sad", "sad"])  # recalls 1/2 and 1
SECOND = table(ROWS, ["happy", "sad", "happy", "happy"])  # recalls 1 and 1/2
RIGHT = table(ROWS, ["happy", "sad", "happy", "sad"])


def test_the_difference_is_the_second_tables_score_less_the_firsts():
    difference = paired_difference(FIRST, RIGHT, EMOTIONS)
    assert list(difference) == ["wa", "ua", "macro_f1"]
    assert difference["wa"]["difference"] == difference["ua"]["difference"] == 0.25
    assert difference["macro_f1"]["difference"] == pytest.approx(1 - (2 / 3 + 4 / 5) / 2)
    back = paired_difference(RIGHT, FIRST, EMOTIONS)
    assert back["ua"]["difference"] == -0.25
    low, high = difference["ua"]["interval"]
    assert back["ua"]["interval"] == [-high, -low]


def test_the_interval_is_over_speakers_who_are_drawn_for_both_tables_at_once():
    # Both tables are right about speaker 1, and the second is right about one utterance more of speaker 2. A quarter of
    # the draws holds speaker 1 twice (difference 0), a quarter speaker 2 twice (0.5).
    assert paired_difference(FIRST, RIGHT, EMOTIONS)["ua"] == {"difference": 0.25, "interval": [0.0, 0.5]}
    assert paired_difference(FIRST, SECOND, EMOTIONS)["ua"] == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_what_is_hard_for_both_tables_cancels_out():
    rows = [(str(speaker), emotion) for speaker in range(20) for emotion in EMOTIONS]
    one = table(rows, ["happy" if int(speaker) < 10 else target for speaker, target in rows])
    assert paired_difference(one, one.copy(), EMOTIONS)["ua"] == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_the_interval_of_one_gain_in_many_speakers_is_narrower_than_in_few():
    widths = []
    for speakers in (4, 64):
        rows = [(str(speaker), emotion) for speaker in range(speakers) for emotion in EMOTIONS]
        halved = ["sad" if int(speaker) % 2 else target for speaker, target in rows]
        low, high = paired_difference(table(rows, halved), table(rows, [row[1] for row in rows]), EMOTIONS)["ua"][
            "interval"
        ]
        assert low <= 0.25 <= high
        widths.append(high - low)
    assert widths[0] == 0.5
    assert 0.05 < widths[1] < 0.2


def test_the_order_of_the_rows_does_not_matter():
    for seed in range(3):
        shuffled = RIGHT.sample(frac=1, random_state=seed)
        assert paired_difference(FIRST, shuffled, EMOTIONS) == paired_difference(FIRST, RIGHT, EMOTIONS)
    assert paired_difference(FIRST.iloc[::-1], RIGHT, EMOTIONS)["ua"] == {"difference": 0.25, "interval": [0.0, 0.5]}


def test_stretches_of_one_file_are_told_apart_by_their_times():
    times = {"path": "a.wav", "start": [0.0, 1.0, 2.0, 3.0], "end": [1.0, 2.0, 3.0, np.nan]}
    first, second = FIRST.assign(**times), RIGHT.assign(**times).iloc[::-1]
    assert paired_difference(first, second, EMOTIONS)["ua"] == {"difference": 0.25, "interval": [0.0, 0.5]}


def test_one_name_in_two_corpora_is_two_speakers():
    corpora = {"corpus": ["x", "x", "y", "y"], "speaker": "1"}
    difference = paired_difference(FIRST.assign(**corpora), RIGHT.assign(**corpora), EMOTIONS)
    assert difference["ua"]["interval"] == [0.0, 0.5]


def test_an_utterance_without_a_speaker_is_a_speaker_of_its_own():
    rows = [(None, "sad")] * 2
    first, second = table(rows, ["sad", "happy"]), table(rows, ["sad", "sad"])
    assert paired_difference(first, second, EMOTIONS)["wa"] == {"difference": 0.5, "interval": [0.0, 1.0]}
    named = {"speaker": "1"}
    assert paired_difference(first.assign(**named), second.assign(**named), EMOTIONS)["wa"] == {
        "difference": 0.5, "interval": [0.5, 0.5],
    }  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [RIGHT[:3], pandas.concat([RIGHT, RIGHT[:1].assign(path="9.wav")]), RIGHT.assign(path="new_" + RIGHT["path"]),
     RIGHT.assign(corpus="y"), RIGHT.assign(start=0.5)],
    ids=["fewer", "more", "other files", "another corpus", "other times"],
)  # fmt: skip
def test_tables_on_other_utterances_are_refused(other):
    with pytest.raises(ValueError, match="Expected two tables of the same utterances"):
        paired_difference(FIRST, other, EMOTIONS)


def test_a_table_that_holds_an_utterance_twice_is_refused():
    with pytest.raises(ValueError, match="one-to-one"):
        paired_difference(FIRST, pandas.concat([RIGHT[:3], RIGHT[:1]]), EMOTIONS)
