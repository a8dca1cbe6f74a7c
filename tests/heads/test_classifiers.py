import json
import os
import pickle
import zipfile
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ser_hf.heads import classifiers, head_fitting
from ser_hf.heads.classifiers import HEADS
from ser_hf.heads.head_files import load_head, save_head
from ser_hf.heads.head_fitting import cross_validate_head, fit_head, inner_folds, rotate
from ser_hf.heads.normalization import normalize_by_speaker
from ser_hf.heads.probe_arguments import HEAD_NAMES

EMOTIONS = ["calm", "happy", "sad"]
FEATURES = {"kind": "blobs"}


def blobs(*, dimensions=20, spread=1.0, offset=0.5, emotions=3, speakers=8, each=9, seed=0):
    """Return vectors around a centre per emotion, moved by an offset per speaker, with labels and speakers."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(emotions), speakers * each)
    names = np.repeat([f"s{i}" for i in range(speakers)], emotions * each)
    centres = np.random.default_rng(9).normal(size=(emotions, dimensions))  # the same for every seed
    moves = rng.normal(0, offset, (speakers, dimensions)).repeat(emotions * each, 0)
    noise = rng.normal(0, spread, (len(labels), dimensions))
    return (5 + centres[labels] + moves + noise).astype(np.float32), labels, names.tolist()


TRAIN, LABELS, SPEAKERS = blobs()
TEST, TEST_LABELS, TEST_SPEAKERS = blobs(seed=1)


@pytest.fixture(scope="module", autouse=True)
def small_forests():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("random_forest", "extra_trees"):
            patch.setitem(HEADS, name, clone(HEADS[name]).set_params(n_estimators=60))
        yield


@pytest.fixture(scope="module")
def fitted(small_forests):
    return {name: fit_head(name, TRAIN, LABELS, SPEAKERS) for name in HEADS}


def test_the_arguments_of_a_probe_name_every_head():
    assert list(HEAD_NAMES) == list(HEADS)


@pytest.mark.parametrize("name", HEADS)
def test_each_head_learns_emotions_of_new_speakers(fitted, name):
    head = fitted[name]
    score = balanced_accuracy_score(TEST_LABELS, head.predict(TEST))
    assert score > 0.85
    assert abs(head.inner_score - score) < 0.1  # what held-out training speakers promise


@pytest.mark.parametrize("name", HEADS)
def test_probabilities_sum_to_one_and_agree_with_the_prediction(fitted, name):
    probabilities = fitted[name].predict_proba(TEST)
    assert probabilities.shape == (len(TEST), 3)
    assert np.allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == fitted[name].predict(TEST)).all()


@pytest.mark.parametrize("name", ["svm_rbf", "logistic_regression", "random_forest"])
def test_speakers_that_tell_nothing_score_chance(name):
    rng = np.random.default_rng(0)
    vectors = np.eye(8, dtype=np.float32)[np.arange(96) // 12] * 5 + rng.normal(0, 0.1, (96, 8)).astype(np.float32)
    labels, speakers = np.arange(96) // 12 % 2, [str(i // 12) for i in range(96)]  # each speaker has one emotion
    assert cross_validate_head(name, vectors, labels, None).score > 0.95
    assert cross_validate_head(name, vectors, labels, speakers).score < 0.6


@pytest.mark.parametrize("name", ["logistic_regression", "knn"])
def test_scaling_is_fitted_on_the_training_rows_only(monkeypatch, fitted, name):
    loud = TRAIN.copy()
    loud[0] *= 1000
    monkeypatch.setattr(classifiers, "GRIDS", {})  # the loud row may change which parameter is best
    fold = next(held for _, held in inner_folds(LABELS, SPEAKERS) if 0 in held)
    others = fold[fold != 0]
    before, after = (cross_validate_head(name, vectors, LABELS, SPEAKERS) for vectors in (TRAIN, loud))
    assert np.allclose(before.margins[others], after.margins[others])
    assert np.allclose(fitted[name].pipeline["scaler"].mean_, TRAIN.mean(0), atol=1e-4)


def test_no_speaker_is_in_both_parts_of_a_fold():
    held = []
    for fit_on, held_out in inner_folds(LABELS, SPEAKERS):
        assert not {SPEAKERS[i] for i in fit_on} & {SPEAKERS[i] for i in held_out}
        held += held_out.tolist()
    assert sorted(held) == list(range(len(LABELS)))


def test_no_utterance_is_in_both_parts_of_a_fold_where_speakers_are_unknown():
    utterances, labels = np.tile(np.arange(24), 3), np.tile(np.arange(24) % 3, 3)  # two augmented copies of each
    held = []
    for fit_on, held_out in inner_folds(labels, None, utterances=utterances):
        assert not set(utterances[fit_on]) & set(utterances[held_out])
        assert set(labels[held_out]) == {0, 1, 2}
        held += held_out.tolist()
    assert sorted(held) == list(range(len(labels)))


def test_copies_of_utterances_that_tell_nothing_score_chance():
    rng = np.random.default_rng(0)
    utterances, labels = np.tile(np.arange(60), 3), np.tile(np.arange(60) % 2, 3)
    vectors = np.tile(rng.normal(size=(60, 100)).astype(np.float32), (3, 1))
    assert cross_validate_head("knn", vectors, labels, None).score > 0.95
    assert cross_validate_head("knn", vectors, labels, None, utterances=utterances).score < 0.7


def test_one_speaker_and_an_unknown_one_are_errors():
    with pytest.raises(ValueError, match="at least two training speakers"):
        cross_validate_head("knn", TRAIN, LABELS, ["s1"] * len(LABELS))
    with pytest.raises(ValueError, match="1 of 216 utterances have no known speaker"):
        cross_validate_head("knn", TRAIN, LABELS, [None, *SPEAKERS[1:]])


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear", "logistic_regression"])
def test_rotating_many_numbers_changes_no_margin(monkeypatch, name):
    vectors, labels, speakers = blobs(dimensions=300, spread=3, each=3)
    rotated = cross_validate_head(name, vectors, labels, speakers)
    monkeypatch.setattr(head_fitting, "ROTATABLE", ())
    plain = cross_validate_head(name, vectors, labels, speakers)
    assert rotated.parameters == plain.parameters
    assert np.abs(rotated.margins - plain.margins).max() < 0.01 * plain.margins.std()


def test_rotation_keeps_distances_and_inner_products():
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(5, 40)), rng.normal(size=(3, 40))
    turned, moved = rotate(rows, others)
    assert turned.shape == (5, 6)
    assert np.allclose(turned @ moved.T, rows @ others.T)
    assert np.allclose((turned**2).sum(1), (rows**2).sum(1))
    assert np.allclose((moved**2).sum(1), (others**2).sum(1))


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear", "random_forest", "extra_trees"])
def test_calibration_lowers_the_log_loss_on_new_speakers(name):
    options = {"spread": 3, "offset": 1, "each": 15}
    head = fit_head(name, *blobs(**options))
    vectors, labels, _ = blobs(**options, seed=1)
    calibrated, raw = (log_loss(labels, each.predict_proba(vectors)) for each in (head, replace(head, temperature=1)))
    assert calibrated < raw - 0.003


@pytest.mark.parametrize("name", HEADS)
def test_the_same_seed_gives_the_same_head(fitted, name):
    again = fit_head(name, TRAIN, LABELS, SPEAKERS)
    assert (again.temperature, again.parameters) == (fitted[name].temperature, fitted[name].parameters)
    assert np.allclose(again.predict_proba(TEST), fitted[name].predict_proba(TEST), rtol=0, atol=0)


def test_an_inner_score_that_is_at_hand_is_not_computed_again(monkeypatch, fitted):
    inner = cross_validate_head("svm_linear", TRAIN, LABELS, SPEAKERS)
    monkeypatch.setattr(head_fitting, "cross_validate_head", None)
    head = fit_head("svm_linear", TRAIN, LABELS, SPEAKERS, inner=inner)
    assert np.allclose(head.predict_proba(TEST), fitted["svm_linear"].predict_proba(TEST))


@pytest.mark.parametrize("name", HEADS)
def test_two_emotions_are_enough(name):
    vectors, labels, speakers = blobs(emotions=2)
    probabilities = fit_head(name, vectors, labels, speakers).predict_proba(vectors)
    assert probabilities.shape == (len(labels), 2)
    assert (probabilities.argmax(1) == labels).mean() > 0.95


def test_an_emotion_of_one_speaker_counts_as_missed_where_that_speaker_is_held_out():
    labels = np.where((LABELS == 2) & (np.array(SPEAKERS) != "s0"), 1, LABELS)
    inner = cross_validate_head("svm_linear", TRAIN, labels, SPEAKERS)
    assert np.isfinite(inner.margins).all()
    assert not (inner.margins.argmax(1) == 2)[labels == 2].any()
    assert inner.score < 0.67


@pytest.mark.parametrize("name", ["svm_linear", "logistic_regression", "random_forest", "gradient_boosting", "mlp"])
def test_a_rare_emotion_weighs_like_the_others(name):
    vectors, labels, speakers = blobs(emotions=2, spread=4, each=40)
    keep = np.flatnonzero((labels == 0) | (np.arange(len(labels)) % 10 == 1))  # one in five of the second emotion
    head = fit_head(name, vectors[keep], labels[keep], np.array(speakers)[keep])
    vectors, labels, _ = blobs(emotions=2, spread=4, each=40, seed=1)
    assert (head.predict(vectors) == 1).mean() > 0.2  # 0.14 of them for a forest whose leaves are pure


@pytest.mark.parametrize("name", HEADS)
def test_constant_numbers_are_no_trouble(name, recwarn):
    vectors = np.hstack([TRAIN, np.full((len(TRAIN), 2), 7, np.float32), TRAIN[:, :1] > 9])
    assert cross_validate_head(name, vectors, LABELS, SPEAKERS).score > 0.85
    assert not [str(warning.message) for warning in recwarn]


def test_bad_input_says_what_was_expected():
    broken = TRAIN.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 216 vectors are not finite .first: row 3"):
        cross_validate_head("gradient_boosting", broken, LABELS, SPEAKERS)
    with pytest.raises(ValueError, match="Labels .1. have no training utterance"):
        cross_validate_head("knn", TRAIN, np.where(LABELS == 1, 0, LABELS), SPEAKERS)
    with pytest.raises(ValueError, match="a label for each of 216 vectors, found 215"):
        cross_validate_head("knn", TRAIN, LABELS[1:], SPEAKERS)
    with pytest.raises(ValueError, match="Did you mean 'svm_rbf'"):
        cross_validate_head("svm_rbb", TRAIN, LABELS, SPEAKERS)


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


@pytest.mark.parametrize("name", HEADS)
def test_a_loaded_head_answers_like_the_saved_one(tmp_path, fitted, name):
    save_head(fitted[name], tmp_path, emotions=EMOTIONS, features=FEATURES, metadata={"corpus": "blobs"})
    head, description = load_head(tmp_path)
    assert np.allclose(head.predict_proba(TEST), fitted[name].predict_proba(TEST), rtol=0, atol=0)
    assert (description["emotions"], description["features"]) == (EMOTIONS, FEATURES)
    assert description["metadata"] == {"corpus": "blobs"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.json", "head.skops"]


def test_the_names_of_all_emotions_are_needed(tmp_path, fitted):
    with pytest.raises(ValueError, match="names of 3 emotions, found 2"):
        save_head(fitted["knn"], tmp_path, emotions=["calm", "happy"], features=FEATURES)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_no_pickle_in_the_folder_is_opened(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    save_head(fitted["random_forest"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    for name in ("head.pkl", "head.joblib", "model.pkl", "training_args.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    load_head(tmp_path)
    (tmp_path / "head.skops").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(Exception, match="not a zip file"):
        load_head(tmp_path)
    assert not (tmp_path / "exploded").exists()
    pickle.loads((tmp_path / "head.pkl").read_bytes())
    assert (tmp_path / "exploded").exists()  # the bomb was live


def test_a_type_that_no_head_needs_is_refused(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    malicious = make_pipeline(FunctionTransformer(os.mkdir), StandardScaler())
    skops.io.dump(malicious, tmp_path / "head.skops")
    with pytest.raises(ValueError, match=r"types that no head of ser_hf needs, \['posix.mkdir'\]"):
        load_head(tmp_path)


@pytest.mark.parametrize("other", [PCA(), make_pipeline(PCA()), Pipeline([("scaler", PCA())]), [1, 2], "fitted"])
def test_another_pipeline_of_trusted_types_is_refused(tmp_path, fitted, other):
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    skops.io.dump(fitted["svm_rbf"].pipeline if other == "fitted" else other, tmp_path / "head.skops")
    with pytest.raises(ValueError, match="expected .'scaler': 'StandardScaler', 'classifier': 'KNeighbors"):
        load_head(tmp_path)


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_a_forest_that_points_outside_of_itself_is_refused(tmp_path, fitted, field):
    head = deepcopy(fitted["random_forest"])
    tree = head.pipeline["classifier"].estimators_[7].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = 10**6
    tree.__setstate__(state)
    save_head(head, tmp_path, emotions=EMOTIONS, features=FEATURES)
    with pytest.raises(ValueError, match="nodes point outside"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 20), ("is_categorical", 1)]
)
def test_a_boosted_tree_that_points_outside_of_itself_is_refused(tmp_path, fitted, field, value):
    head = deepcopy(fitted["gradient_boosting"])
    head.pipeline["classifier"]._predictors[3][1].nodes[field][0] = value
    save_head(head, tmp_path, emotions=EMOTIONS, features=FEATURES)
    with pytest.raises(ValueError, match="nodes point outside"):
        load_head(tmp_path)


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear"])
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("_n_support", lambda counts: counts + np.array([-500, 250, 250], counts.dtype)),
        ("_n_support", lambda counts: counts + np.array([0, 0, 1], counts.dtype)),
        ("_n_support", lambda counts: counts[:2]),
        ("support_", lambda rows: rows[:-1]),
        ("support_vectors_", lambda vectors: vectors[:, :-1]),
        ("support_vectors_", lambda vectors: vectors[:-1]),
        ("_dual_coef_", lambda weights: weights[:1]),
        ("_intercept_", lambda intercepts: intercepts[:1]),
        ("_probA", lambda none: np.ones(1)),
        ("kernel", lambda kernel: "precomputed"),
        ("_impl", lambda kind: "nu_svr"),
    ],
)
def test_a_support_vector_machine_whose_sizes_disagree_is_refused(tmp_path, fitted, name, field, change):
    head = deepcopy(fitted[name])
    machine = head.pipeline["classifier"]
    setattr(machine, field, change(getattr(machine, field)))
    save_head(head, tmp_path, emotions=EMOTIONS, features=FEATURES)
    with pytest.raises(ValueError, match="head.skops.*sizes disagree"):
        load_head(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": None},
        {"emotions": ["calm", "calm", "sad"]},
        {"emotions": []},
        {"emotions": 3},
        {"features": None},
        {"versions": []},
    ],
)
def test_what_no_save_writes_into_the_description_is_refused(tmp_path, fitted, change):
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    description = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps(description | change))
    with pytest.raises(ValueError, match=f"head.json' is damaged.*({next(iter(change))}|NaN)"):
        load_head(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{}", b"[]", b"null"])
def test_a_damaged_description_is_named(tmp_path, fitted, content):
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    (tmp_path / "head.json").write_bytes(content)
    with pytest.raises(ValueError, match="head.json' is damaged"):
        load_head(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "stripped"])
def test_a_damaged_pipeline_is_named(tmp_path, fitted, damage):
    head = deepcopy(fitted["knn"])
    if damage == "stripped":
        del head.pipeline["classifier"].classes_
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    skops.io.dump(head.pipeline, tmp_path / "head.skops")
    content = bytearray((tmp_path / "head.skops").read_bytes())
    content[len(content) // 2] ^= 255
    if damage != "stripped":
        (tmp_path / "head.skops").write_bytes({"empty": b"", "cut": content[:-30], "flipped": content}[damage])
    with pytest.raises(ValueError, match="No head can be loaded from '.*head.skops'"):
        load_head(tmp_path)


def test_another_version_of_scikit_learn_is_named(tmp_path, fitted, caplog):
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    description = json.loads((tmp_path / "head.json").read_text())
    description["versions"]["scikit-learn"] = "0.24.2"
    (tmp_path / "head.json").write_text(json.dumps(description))
    load_head(tmp_path)
    assert "install scikit-learn==0.24.2" in caplog.text


def test_a_folder_without_a_head_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected head.json and head.skops"):
        load_head(tmp_path)


def test_neighbours_are_no_more_than_a_small_corpus_has():
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    vectors = (rng.normal(size=(12, 3)) + 5 * labels[:, None]).astype(np.float32)
    assert cross_validate_head("knn", vectors, labels, [str(i // 3) for i in range(12)]).score == 1.0


def test_a_head_that_grows_when_it_is_read_or_is_a_pipe_is_not_loaded(tmp_path, fitted):
    save_head(fitted["knn"], tmp_path, emotions=EMOTIONS, features=FEATURES)
    with zipfile.ZipFile(tmp_path / "head.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(100_000_000))
    with pytest.raises(ValueError, match="head.skops' grows to 100 MB when it is read"):
        load_head(tmp_path)
    (tmp_path / "head.json").unlink()
    os.mkfifo(tmp_path / "head.json")
    with pytest.raises(ValueError, match="head.json' is a pipe"):
        load_head(tmp_path)


def test_a_small_corpus_weighs_as_much_as_a_large_one_in_groups():
    """The sign of the feature means the opposite in the small corpus, so with equal weights it means nothing."""
    signs = np.array([-1, 1] * 20 + [1, -1] * 4)
    labels, speakers = [0, 1] * 24, [str(i // 2 % 4) for i in range(48)]
    vectors = signs[:, None].astype(np.float32)
    groups = [f"{'large' if i < 40 else 'small'}/{label}" for i, label in enumerate(labels)]
    weight = [
        fit_head("logistic_regression", vectors, labels, speakers, groups=each).pipeline[-1].coef_[0, 0]
        for each in (None, groups)
    ]
    assert weight[0] > 0.001 and abs(weight[1]) < 1e-5
