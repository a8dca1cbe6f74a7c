import numpy as np
import pytest

from ser_hf.heads.voice import fit_voice_head
from ser_hf.scoring.adaptation import SpeakerInputs, describe_curve, measure_curve

EMOTIONS = ["angry", "neutral", "sad"]


@pytest.fixture(scope="module")
def curve():
    """Speakers whose offsets are far larger than the distances of their emotions; answers without adaptation: angry."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1, 2], 8)
    offsets = rng.normal(0, 3, (12, 1, 6))
    inputs = 2 * np.eye(3, 6)[labels] + offsets + rng.normal(0, 0.6, (12, len(labels), 6))
    head = fit_voice_head(np.concatenate(inputs[:8]), np.tile(labels, 8).tolist(), np.repeat(list("abcdefgh"), 24))
    return measure_curve([SpeakerInputs(x, labels, 0 * labels, head) for x in inputs[8:]], EMOTIONS, draws=4)


def test_there_is_a_point_for_each_mix_and_size_that_all_speakers_have(curve):
    points = [(point["mix"], point["clips"], point["draws"]) for point in curve["points"]]
    assert points == [
        *(("as recorded", size, 4) for size in (1, 2, 5, 10, 20)),
        *(("Dirichlet", size, 4) for size in (1, 2, 5, 10, 20)),
        *(("neutral only", size, 4) for size in (1, 2, 5)),  # of eight
        ("as recorded", None, 1),
    ]


def test_the_difference_is_to_the_answers_without_adaptation(curve):
    assert curve["without"] == pytest.approx(1 / 3)
    last = curve["points"][-1]
    assert last["ua"] > 0.8 and last["lower"] == 0 and last["speakers"] == 4
    assert last["difference"] == pytest.approx(last["ua"] - 1 / 3)
    for point in curve["points"]:
        assert point["interval"][0] <= point["ua"] <= point["interval"][1]
        assert point["difference_interval"][0] <= point["difference"] <= point["difference_interval"][1]


def test_the_table_has_a_row_per_point(curve):
    heading, *rows = describe_curve(curve)
    assert len(rows) == len(curve["points"]) and {len(row) for row in rows} == {len(heading)} == {5}
    assert rows[-1][1] == "all, also scored" and rows[-1][4] == "0 of 4"
    assert rows[-1][2].startswith(f"{100 * curve['points'][-1]['ua']:.1f} [")
