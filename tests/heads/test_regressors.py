"""Regression heads: ratings of new speakers, hyperparameters, their files, and damaged files."""

import json
from copy import deepcopy

import numpy as np
import pytest
import skops.io
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVC

from ser_hf.evaluation.rating_scores import rating_scores
from ser_hf.heads import head_fitting
from ser_hf.heads.head_files import load_head, save_head
from ser_hf.heads.head_fitting import cross_validate_head, fit_head
from ser_hf.heads.probe_arguments import REGRESSOR_NAMES
from ser_hf.heads.regressors import REGRESSOR_GRIDS, REGRESSORS

NAMES = ("ridge", "svr_linear", "svr_rbf")
DIMENSIONS = ["arousal", "valence"]


def rated(*, features=20, noise=0.05, seed=0):
    """Return 120 vectors, their ratings on two dimensions, and eight speakers with an offset each."""
    rng = np.random.default_rng(seed)
    ratings = rng.uniform(0.1, 0.9, (120, 2))
    directions = np.random.default_rng(9).normal(size=(2, features))  # the same for every seed
    speakers = np.repeat(np.arange(8), 15)
    vectors = ratings @ directions + rng.normal(0, 0.2, (8, features))[speakers] + rng.normal(0, noise, (120, features))
    return vectors.astype(np.float32), ratings, [f"s{i}" for i in speakers]


@pytest.fixture(scope="module")
def fitted():
    return {name: fit_head(name, *rated()) for name in NAMES}


def test_the_arguments_of_a_probe_name_every_regressor():
    assert REGRESSOR_NAMES == tuple(REGRESSORS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_head_predicts_ratings_of_new_speakers(fitted, name):
    vectors, ratings, _ = rated(seed=1)
    ccc = rating_scores(ratings, fitted[name].predict_logits(vectors))["ccc"]
    assert ccc.min() > 0.8
    assert abs(fitted[name].inner_score - ccc.mean()) < 0.1  # on held-out training speakers
    assert fitted[name].temperature == 1


def test_speakers_that_say_nothing_about_ratings_score_zero():
    ratings = np.repeat(np.random.default_rng(0).uniform(size=(8, 1)), 15, axis=0)  # one rating per speaker
    vectors = np.eye(8, dtype=np.float32)[np.repeat(np.arange(8), 15)]
    speakers = np.repeat([f"s{i}" for i in range(8)], 15)
    assert cross_validate_head("svr_rbf", vectors, ratings, None).score > 0.9
    assert cross_validate_head("svr_rbf", vectors, ratings, speakers).score < 0.2


def test_a_dimension_with_a_constant_rating_counts_as_zero():
    vectors, ratings, speakers = rated()
    ratings[:, 1] = 0.5
    assert cross_validate_head("ridge", vectors, ratings, speakers).score == pytest.approx(0.5, abs=0.05)


def test_the_penalty_with_the_best_ccc_on_held_out_speakers_is_chosen(monkeypatch):
    data = rated(features=200, noise=1)
    chosen = cross_validate_head("ridge", *data)
    scores = {}
    for alpha in (10, 100, 1000, 10_000, 100_000):
        monkeypatch.setitem(REGRESSOR_GRIDS, "ridge", {"alpha": (alpha,)})
        scores[alpha] = cross_validate_head("ridge", *data).score
    assert (chosen.parameters["alpha"], chosen.score) == (max(scores, key=scores.get), max(scores.values()))
    assert scores[100_000] < chosen.score - 0.1


def test_one_dimension_is_enough():
    vectors, ratings, speakers = rated()
    for name in NAMES:
        assert fit_head(name, vectors, ratings[:, :1], speakers).predict_logits(vectors).shape == (120, 1)


@pytest.mark.parametrize("name", NAMES)
def test_rotating_many_numbers_changes_no_rating(monkeypatch, name):
    data = rated(features=200, noise=1)
    rotated = cross_validate_head(name, *data)
    monkeypatch.setattr(head_fitting, "ROTATABLE", ())
    plain = cross_validate_head(name, *data)
    assert rotated.parameters == plain.parameters
    np.testing.assert_allclose(rotated.margins, plain.margins, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_head_predicts_like_the_saved_one(tmp_path, fitted, name):
    save_head(fitted[name], tmp_path, emotions=DIMENSIONS, features={}, rating_scale=(1, 7))
    head, description = load_head(tmp_path)
    np.testing.assert_array_equal(head.predict_logits(rated()[0]), fitted[name].predict_logits(rated()[0]))
    assert (description["emotions"], description["rating_scale"]) == (DIMENSIONS, [1, 7])
    assert head.inner_score == description["inner_ccc"] == fitted[name].inner_score


@pytest.mark.parametrize("change", [{"rating_scale": [7, 1]}, {"rating_scale": ["a", "b"]}, {"inner_ccc": None}])
def test_a_description_without_its_scale_is_refused(tmp_path, fitted, change):
    save_head(fitted["ridge"], tmp_path, emotions=DIMENSIONS, features={}, rating_scale=(1, 7))
    description = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps(description | change))
    with pytest.raises(ValueError, match=f"head.json' is damaged.*{next(iter(change))}"):
        load_head(tmp_path)


def test_another_number_of_dimensions_is_refused(tmp_path, fitted):
    with pytest.raises(ValueError, match="names of 2 emotions, found 1"):
        save_head(fitted["ridge"], tmp_path, emotions=["arousal"], features={})
    save_head(fitted["svr_rbf"], tmp_path, emotions=DIMENSIONS, features={})
    one = fit_head("svr_rbf", rated()[0], rated()[1][:, :1], None)
    skops.io.dump(one.pipeline, tmp_path / "head.skops")
    with pytest.raises(ValueError, match="head.skops has 1 outputs"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("_n_support", np.array([500, 0], np.int32)), ("support_vectors_", np.zeros((2, 20))), ("_impl", "c_svc")],
)
def test_a_support_vector_machine_whose_sizes_disagree_is_refused(tmp_path, fitted, field, value):
    head = deepcopy(fitted["svr_linear"])
    setattr(head.pipeline["regressor"].estimators_[1], field, value)
    save_head(head, tmp_path, emotions=DIMENSIONS, features={})
    with pytest.raises(ValueError, match=r"head.skops.*sizes disagree"):
        load_head(tmp_path)


def test_a_machine_of_another_kind_is_refused(tmp_path, fitted):
    head = deepcopy(fitted["svr_linear"])
    head.pipeline.steps[-1] = ("regressor", MultiOutputRegressor(SVC()).fit(rated()[0], np.eye(120, 2, dtype=int)))
    save_head(head, tmp_path, emotions=DIMENSIONS, features={})
    with pytest.raises(ValueError, match="expected SVR only"):
        load_head(tmp_path)
