"""A stored head: saved and loaded, and refused if anything in its files is not what `save_head` writes."""

import json
import os
import pickle
import zipfile
from copy import deepcopy

import numpy as np
import pytest
import skops.io
from heads.blobs import EMOTIONS, TEST
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ser_hf.heads.classifiers import HEADS
from ser_hf.heads.head_files import load_head, save_head

FEATURES = {"kind": "blobs"}


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
