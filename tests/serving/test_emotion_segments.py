"""How the scores of windows become segments, without audio."""

import numpy as np
import pytest

from ser_hf.serving.emotion_segments import Window, merge
from ser_hf.tasks.categories import answer


def window(*edges, last=False):
    return Window(np.zeros(1, dtype=np.float32), edges, last)


def test_scores_of_a_segment_are_the_mean_over_its_time():
    scored = [(window(0.0, 1.0), [0.9, 0.1]), (window(1.0, 2.0), [0.9, 0.1]), (window(2.0, 2.5, last=True), [0.6, 0.4])]
    *_, segment = merge([(each, np.array(scores)) for each, scores in scored], ["sad", "angry"], 0.85, answer)
    assert (segment.start, segment.end, segment.emotion, segment.final) == (0.0, 2.5, "sad", True)
    assert segment.scores == pytest.approx({"sad": (0.9 * 2 + 0.6 * 0.5) / 2.5, "angry": (0.1 * 2 + 0.4 * 0.5) / 2.5})
    assert segment.uncertain


def test_windows_that_overlap_share_their_hop():
    scored = [(window(0.0, 1.0, 2.0), [1.0, 0.0]), (window(1.0, 2.0, 3.0, last=True), [0.6, 0.4])]
    *_, segment = merge([(each, np.array(scores)) for each, scores in scored], ["sad", "angry"], None, answer)
    assert segment.scores["sad"] == pytest.approx((1.0 + 0.8 + 0.6) / 3)
