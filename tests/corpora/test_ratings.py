import pytest

from ser_hf.corpora.ratings import scale_ratings
from ser_hf.corpora.utterance import Utterance


def rated(corpus="iemocap", **ratings):
    return Utterance(path="a.wav", corpus=corpus, emotion="sad", **ratings)


@pytest.mark.parametrize(("corpus", "scale"), [("iemocap", (1, 5)), ("msp_improv", (1, 5)), ("msp_podcast", (1, 7))])
def test_the_ends_of_the_scale_of_a_corpus_become_0_and_1(corpus, scale):
    from ser_hf.corpora.ratings import RATING_SCALES

    low, high = (rated(corpus, arousal=value, valence=3.0) for value in map(float, scale))
    scaled = list(scale_ratings([low, high], RATING_SCALES, ["arousal", "dominance"]))
    assert [(row.arousal, row.valence, row.dominance) for row in scaled] == [(0, None, None), (1, None, None)]


def test_a_rating_outside_the_scale_names_the_file_and_the_option():
    with pytest.raises(ValueError, match=r"ratings from 1 to 5 in 'x', found valence 5\.5 of 'a.wav'.*--rating_scale"):
        list(scale_ratings([rated("x", valence=5.5)], {"x": (1, 5)}, ["valence"]))


def test_an_unknown_scale_is_asked_for_only_if_there_are_ratings():
    assert list(scale_ratings([rated("x")], {}, ["valence"])) == [rated("x")]
    with pytest.raises(ValueError, match="the scale of 'x' is unknown.*--rating_scale 1 5"):
        list(scale_ratings([rated("x", valence=2.0)], {}, ["valence"]))
