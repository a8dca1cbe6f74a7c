"""The votes and ratings of the synthetic corpus cannot be predicted from simple properties of the audio."""

import numpy as np
import pytest
import soundfile
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from ser_hf.corpora.synthetic import synthetic

EMOTIONS = ("angry", "disgust", "fearful", "happy", "neutral", "sad")
TEST_SPEAKERS = ("07", "08")


@pytest.fixture(scope="module")
def corpus(synthetic_corpus):
    """Return duration and loudness, votes, ratings, and which utterances are of the test speakers."""
    utterances = list(synthetic(synthetic_corpus))
    waveforms = [soundfile.read(utterance.path)[0] for utterance in utterances]
    features = np.array([(len(waveform), np.log(waveform.std())) for waveform in waveforms])
    votes = np.array([[each.votes.get(name, 0) for name in EMOTIONS] for each in utterances], dtype=float)
    ratings = np.array([(each.arousal, each.valence, each.dominance) for each in utterances])
    test = np.array([each.speaker.zfill(2) in TEST_SPEAKERS for each in utterances])
    assert test.sum() == 120 and (votes.sum(1) > 1).all()
    return StandardScaler().fit_transform(features), votes / votes.sum(1, keepdims=True), ratings, test


def divergence(votes, shares):
    return (jensenshannon(votes, np.broadcast_to(shares, votes.shape), axis=1, base=2) ** 2).mean()


def concordance(rated, predicted):
    """Return the mean CCC over the dimensions; variances and covariance are of the population."""
    covariance = ((rated - rated.mean(0)) * (predicted - predicted.mean(0))).mean(0)
    return (2 * covariance / (rated.var(0) + predicted.var(0) + (rated.mean(0) - predicted.mean(0)) ** 2)).mean()


def test_a_constant_and_a_model_of_duration_and_loudness_are_far_from_the_votes(corpus):
    features, votes, _, test = corpus
    constant = divergence(votes[test], votes[~test].mean(0))
    repeated = np.repeat(features[~test], len(EMOTIONS), axis=0)  # an utterance per emotion, weighted by its share
    model = LogisticRegression().fit(repeated, np.tile(range(6), (~test).sum()), votes[~test].ravel())
    simple = divergence(votes[test], model.predict_proba(features[test]))
    print(f"Jensen-Shannon divergence: constant {constant:.3f}, duration and loudness {simple:.3f}")
    assert constant > 0.42 and simple > 0.31


def test_a_constant_and_a_regression_on_duration_and_loudness_are_far_from_the_ratings(corpus):
    features, _, ratings, test = corpus
    constant = concordance(ratings[test], np.broadcast_to(ratings[~test].mean(0), (test.sum(), 3)))
    model = Ridge(1.0).fit(features[~test], ratings[~test])
    simple = concordance(ratings[test], model.predict(features[test]))
    print(f"CCC: constant {constant:.3f}, duration and loudness {simple:.3f}")
    assert abs(constant) < 0.01 and simple < 0.55
