import numpy as np
import pytest
from heads.blobs import SPEAKERS, TRAIN, blobs

from ser_hf.heads.head_fitting import cross_validate_head
from ser_hf.heads.normalization import normalize_by_speaker


def test_normalisation_removes_what_sets_speakers_apart():
    vectors, labels, speakers = blobs(offset=5)
    normalized = normalize_by_speaker(vectors, speakers)
    for speaker in set(speakers):
        own = normalized[np.array(speakers) == speaker]
        assert np.allclose(own.mean(0), 0, atol=1e-5)
        assert np.allclose(own.std(0), 1, atol=1e-4)
    plain, better = (cross_validate_head("svm_linear", each, labels, speakers).score for each in (vectors, normalized))
    assert better > plain + 0.1


def test_normalisation_of_a_speaker_hears_no_other_speaker():
    others = np.array(SPEAKERS) != "s0"
    before, after = (normalize_by_speaker(each, SPEAKERS) for each in (TRAIN, TRAIN + 100 * others[:, None]))
    assert np.array_equal(before[~others], after[~others])


def test_the_only_utterance_of_a_speaker_and_a_constant_number_become_zero():
    vectors = np.array([[1e6 / 3, i] for i in range(11)] + [[7, 8]])
    normalized = normalize_by_speaker(vectors, ["a"] * 11 + ["b"])
    assert np.abs(normalized[:, 0]).max() < 1e-6  # rounding has made the constant's deviation 6e-11
    assert normalized[11].tolist() == [0, 0]
    assert normalized[0, 1] < -1


def test_normalisation_needs_every_speaker():
    with pytest.raises(ValueError, match="1 of 3 utterances have no known speaker"):
        normalize_by_speaker(TRAIN[:3], ["a", None, "b"])
    with pytest.raises(ValueError, match="a speaker for each of 3 utterances, found 2"):
        normalize_by_speaker(TRAIN[:3], ["a", "b"])
