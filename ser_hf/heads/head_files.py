"""Files of a fitted head: `head.skops` (the pipeline, without pickle) and `head.json` (everything else).

skops only loads the types in `TRUSTED_TYPES` and those that it trusts by default (plain values, numpy arrays,
scikit-learn estimators). A trusted type may still have malicious content, so the values that compiled code uses without
bounds checks are checked here: the node indices of trees and the array sizes of support vector machines.
"""

import json
import logging
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from ser_hf.cache import whole_file, write_text
from ser_hf.data.hearing import read_hearing
from ser_hf.foreign_files import check_files, read_json
from ser_hf.heads.classifiers import Head, build_head

logger = logging.getLogger(__name__)

TRUSTED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
MOST_COMPRESSED = 20  # size of the content divided by that of the file
FIELDS: dict[str, type | tuple[type, ...]] = {  # fields of head.json and their types
    "head": str,
    "emotions": list,
    "features": dict,
    "parameters": dict,
    "temperature": (int, float),
    "inner_ua": (int, float),
    "versions": dict,
}


def save_head(
    head: Head, folder: str | os.PathLike, *, emotions: Sequence[str], features: dict, metadata: dict | None = None
) -> None:
    """Write `head.skops` and `head.json` into `folder`.

    Args:
        head: A fitted head.
        folder: Created if necessary; existing files of these names are overwritten.
        emotions: Names of the emotions in the order of the labels.
        features: JSON-serialisable settings of the vectors: kind, encoder, layers, normalisation.
        metadata: Additional JSON-serialisable entries for `head.json`, such as corpus and command.

    Raises:
        ValueError: If the number of emotions differs from the number of labels of the head.
    """
    if len(emotions) != (found := len(head.pipeline["classifier"].classes_)):
        raise ValueError(f"Expected the names of {found} emotions, found {len(emotions)}: {list(emotions)}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "head.skops") as partial:
        skops.io.dump(head.pipeline, partial)
    description = {
        "head": head.name,
        "emotions": list(emotions),
        "features": features,
        "parameters": head.parameters,
        "temperature": head.temperature,
        "inner_ua": head.inner_ua,
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "skops": skops.__version__},
        "metadata": metadata or {},
    }
    write_text(folder / "head.json", json.dumps(description, indent=2) + "\n")


def load_head(folder: str | os.PathLike) -> tuple[Head, dict]:
    """Load a head that `save_head` wrote; a warning is logged if scikit-learn has another version than at saving.

    Args:
        folder: Folder with `head.skops` and `head.json`.

    Returns:
        The head, and the content of `head.json`.

    Raises:
        FileNotFoundError: If either file is missing.
        ValueError: If either file is damaged, or `head.skops` contains an untrusted type, another pipeline than
            `head.json` names, or indices or sizes that are out of bounds.
    """
    folder = Path(folder)
    check_files(folder, "head.*")
    if missing := [name for name in ("head.json", "head.skops") if not (folder / name).is_file()]:
        raise FileNotFoundError(f"'{folder}' contains no head: expected head.json and head.skops, missing {missing}.")
    description = _read_description(folder / "head.json")
    if (saved := description["versions"].get("scikit-learn")) != sklearn.__version__:
        logger.warning(
            f"The head in '{folder}' was saved with scikit-learn {saved}, but {sklearn.__version__} is installed: "
            f"predictions may differ or fail. To avoid this, install scikit-learn=={saved}."
        )
    try:
        pipeline = _load_pipeline(folder / "head.skops")
        _check_pipeline(pipeline, description)
    except Exception as error:  # damaged files raise many types: zip, JSON, numpy, scikit-learn
        found = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"No head can be loaded from '{folder / 'head.skops'}': {found}") from error
    fields = {key: description[key] for key in ("temperature", "parameters", "inner_ua")}
    return Head(description["head"], pipeline, **fields), description


def name_encoder(path: Path) -> bytes:
    """Return the content of a head.json to publish: of an encoder in a folder, only the name of the folder."""
    description = read_json(path)
    encoder = description["features"].get("model_name_or_path")
    if encoder is not None and (path.parent / encoder).is_dir():
        description["features"]["model_name_or_path"] = Path(encoder).name
    return (json.dumps(description, indent=2) + "\n").encode()


def _read_description(path: Path) -> dict:
    content = read_json(path)
    faults = [name for name, kind in FIELDS.items() if not isinstance(content.get(name), kind)]
    if not faults and not (math.isfinite(content["temperature"]) and content["temperature"] > 0):
        faults = ["temperature"]
    if not faults and not len(set(map(str, content["emotions"]))) == len(content["emotions"]) > 1:
        faults = ["emotions"]
    if faults:
        found = {name: content.get(name) for name in faults}
        raise ValueError(
            f"'{path}' is damaged: expected the fields written by save_head, a temperature above 0 and at least two "
            f"different emotions, found {found}. Download or fit the head again."
        )
    read_hearing(content["features"], f"'{path}': features")
    return content


def _load_pipeline(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:  # skops does not compress
        size = sum(item.file_size for item in archive.infolist())
    if size > MOST_COMPRESSED * path.stat().st_size + 1_000_000:
        raise ValueError(f"'{path}' grows to {size / 1e6:.0f} MB when it is read, and is not loaded.")
    if others := sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)):
        raise ValueError(
            f"'{path}' contains types that no head of ser_hf needs, {others}, and is not loaded. Expected only "
            f"{list(TRUSTED_TYPES)}. Check that the file comes from a source you trust."
        )
    return skops.io.load(path, trusted=list(TRUSTED_TYPES))


def _check_pipeline(pipeline: Any, description: dict) -> None:
    """Raise ValueError if `save_head` cannot have written this pipeline."""
    fresh = build_head(description["head"])
    if (found := _outline(pipeline)) != (expected := _outline(fresh)):
        raise ValueError(f"head.skops contains {found}, expected {expected} for head '{description['head']}'.")
    classifier = pipeline["classifier"]
    if classifier.classes_.tolist() != list(range(len(description["emotions"]))):
        raise ValueError(f"head.skops has labels {classifier.classes_}, but head.json has {description['emotions']}.")
    if isinstance(classifier, SVC) and not _is_valid_svm(classifier, fresh["classifier"].kernel):
        raise ValueError("head.skops contains support vectors whose sizes disagree; it is damaged or malicious.")
    if not all(_is_valid_tree(*nodes, classifier.n_features_in_) for nodes in _nodes(classifier)):
        raise ValueError("head.skops contains a tree whose nodes point outside of it; it is damaged or malicious.")


def _outline(pipeline: object) -> dict[str, str] | str:
    if isinstance(pipeline, Pipeline):
        return {name: type(step).__name__ for name, step in pipeline.steps}
    return type(pipeline).__name__


def _nodes(classifier: ClassifierMixin) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return the arrays (left child, right child, feature, is leaf) of the nodes of each tree."""
    if hasattr(classifier, "estimators_"):
        trees = [tree.tree_ for tree in classifier.estimators_]
        return [(t.children_left, t.children_right, t.feature, t.children_left == -1) for t in trees]
    trees = [predictor.nodes for stage in getattr(classifier, "_predictors", []) for predictor in stage]
    # No head uses categorical features: feature -1 marks such a node as invalid.
    features = [np.where(nodes["is_categorical"], -1, nodes["feature_idx"]) for nodes in trees]
    return [(t["left"], t["right"], f, t["is_leaf"] == 1) for t, f in zip(trees, features, strict=True)]


def _is_valid_tree(left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaf: np.ndarray, features: int) -> bool:
    """Return whether each inner node points to later nodes of its tree and to an existing feature.

    scikit-learn uses these indices without bounds checks. Source: `skops.io.exceptions`.
    """
    node = np.arange(len(leaf))
    children = (np.minimum(left, right) > node) & (np.maximum(left, right) < len(leaf))
    return bool(len(leaf) and (leaf | (children & (feature >= 0) & (feature < features))).all())


def _is_valid_svm(machine: SVC, kernel: str) -> bool:
    """Return whether the array sizes for C emotions, S support vectors and D features agree.

    libsvm reads each size from one array and does not check the other arrays. Source: `sklearn/svm/_libsvm.pyx`.
    """
    counts, support_vectors = machine._n_support, machine.support_vectors_
    emotions, support = len(machine.classes_), len(support_vectors)
    expected = {
        "_n_support": (emotions,),
        "support_": (support,),
        "support_vectors_": (support, machine.n_features_in_),
        "_dual_coef_": (emotions - 1, support),
        "_intercept_": (emotions * (emotions - 1) // 2,),
        "_probA": (0,),
        "_probB": (0,),
    }
    plain = (machine.kernel, machine._impl, machine._sparse) == (kernel, "c_svc", False)
    shapes = all(getattr(machine, name).shape == shape for name, shape in expected.items())
    return bool(plain and shapes and (counts >= 0).all() and counts.sum(dtype=np.int64) == support)
