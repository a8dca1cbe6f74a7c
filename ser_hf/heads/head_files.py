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
from sklearn.base import BaseEstimator
from sklearn.ensemble._forest import BaseForest
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, SVR

from ser_hf.cache import whole_file, write_text
from ser_hf.data.hearing import read_hearing
from ser_hf.foreign_files import check_files, read_json
from ser_hf.heads.classifiers import Head, build_head
from ser_hf.heads.regressors import REGRESSORS

logger = logging.getLogger(__name__)

TRUSTED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
MOST_COMPRESSED = 20  # size of the content divided by that of the file
Kinds = dict[str, type | tuple[type, ...]]
FIELDS: Kinds = {  # fields of head.json and their types
    "head": str,
    "emotions": list,
    "features": dict,
    "parameters": dict,
    "temperature": (int, float),
    "versions": dict,
}
SCORED_FIELDS: Kinds = {"inner_ua": (int, float)}  # of a classifier
RATED_FIELDS: Kinds = {"inner_ccc": (int, float), "rating_scale": list}  # of a regressor


def save_head(
    head: Head,
    folder: str | os.PathLike,
    *,
    emotions: Sequence[str],
    features: dict,
    rating_scale: Sequence[float] | None = None,
    metadata: dict | None = None,
) -> None:
    """Write `head.skops` and `head.json` into `folder`.

    Args:
        head: A fitted head.
        folder: Created if necessary; existing files of these names are overwritten.
        emotions: Names of the outputs: emotions in the order of the labels, or dimensions of ratings.
        features: JSON-serialisable settings of the vectors: kind, encoder, layers, normalisation.
        rating_scale: Lowest and highest rating, which a regressor predicts as 0 and 1; None for a classifier.
        metadata: Additional JSON-serialisable entries for `head.json`, such as corpus and command.

    Raises:
        ValueError: If the number of names differs from the number of outputs of the head.
    """
    if len(emotions) != (found := _count_outputs(head.pipeline[-1])):
        raise ValueError(f"Expected the names of {found} emotions, found {len(emotions)}: {list(emotions)}.")
    regressor = {"inner_ccc": head.inner_score, "rating_scale": list(rating_scale or (0, 1))}
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
        **(regressor if head.name in REGRESSORS else {"inner_ua": head.inner_score}),
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
    score = description["inner_ccc" if description["head"] in REGRESSORS else "inner_ua"]
    fields = {key: description[key] for key in ("temperature", "parameters")}
    return Head(description["head"], pipeline, inner_score=score, **fields), description


def hide_encoder_folder(path: Path) -> bytes:
    """Return the content of a head.json to publish: of an encoder in a folder, only the name of the folder."""
    description = read_json(path)
    encoder = description["features"].get("model_name_or_path")
    if encoder is not None and (path.parent / encoder).is_dir():
        description["features"]["model_name_or_path"] = Path(encoder).name
    return (json.dumps(description, indent=2) + "\n").encode()


def _read_description(path: Path) -> dict:
    content = read_json(path)
    rated = content.get("head") in REGRESSORS
    kinds = FIELDS | (RATED_FIELDS if rated else SCORED_FIELDS)
    faults = [name for name, kind in kinds.items() if not isinstance(content.get(name), kind)]
    if not faults and not (math.isfinite(content["temperature"]) and content["temperature"] > 0):
        faults = ["temperature"]
    if not faults and not len(set(map(str, content["emotions"]))) == len(content["emotions"]) > (0 if rated else 1):
        faults = ["emotions"]
    if not faults and rated and not _is_scale(content["rating_scale"]):
        faults = ["rating_scale"]
    if faults:
        found = {name: content.get(name) for name in faults}
        raise ValueError(
            f"'{path}' is damaged: expected the fields written by save_head, a temperature above 0 and at least two "
            f"different emotions, found {found}. Download or fit the head again."
        )
    read_hearing(content["features"], f"'{path}': features")
    return content


def _is_scale(scale: list) -> bool:
    """Return whether a value is a lowest and a highest rating."""
    numbers = [value for value in scale if isinstance(value, int | float) and math.isfinite(value)]
    return len(numbers) == len(scale) == 2 and numbers[0] < numbers[1]


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
    estimator = pipeline[-1]
    if (outputs := _count_outputs(estimator)) != len(description["emotions"]):
        raise ValueError(f"head.skops has {outputs} outputs, but head.json has {description['emotions']}.")
    machines, expected = [estimator], fresh[-1]
    if isinstance(estimator, MultiOutputRegressor):
        machines, expected = estimator.estimators_, expected.estimator
    if any(type(machine) is not type(expected) for machine in machines):
        raise ValueError(f"head.skops contains {machines}, expected {type(expected).__name__} only.")
    if isinstance(expected, SVC | SVR) and not all(_is_valid_svm(machine, expected) for machine in machines):
        raise ValueError("head.skops contains support vectors whose sizes disagree; it is damaged or malicious.")
    if not all(_is_valid_tree(*nodes, estimator.n_features_in_) for nodes in _nodes(estimator)):
        raise ValueError("head.skops contains a tree whose nodes point outside of it; it is damaged or malicious.")


def _outline(pipeline: object) -> dict[str, str] | str:
    if isinstance(pipeline, Pipeline):
        return {name: type(step).__name__ for name, step in pipeline.steps}
    return type(pipeline).__name__


def _count_outputs(estimator: Any) -> int:
    """Return the number of emotions of a classifier, whose labels are 0 to C - 1, or of dimensions of a regressor."""
    if isinstance(estimator, MultiOutputRegressor):
        return len(estimator.estimators_)
    if isinstance(estimator, Ridge):
        return len(np.atleast_2d(estimator.coef_))
    labels = estimator.classes_.tolist()
    if labels != list(range(len(labels))):
        raise ValueError(f"head.skops has labels {labels}, expected 0 to {len(labels) - 1}.")
    return len(labels)


def _nodes(estimator: BaseEstimator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return the arrays (left child, right child, feature, is leaf) of the nodes of each tree."""
    if isinstance(estimator, BaseForest):
        trees = [tree.tree_ for tree in estimator.estimators_]
        return [(t.children_left, t.children_right, t.feature, t.children_left == -1) for t in trees]
    trees = [predictor.nodes for stage in getattr(estimator, "_predictors", []) for predictor in stage]
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


def _is_valid_svm(machine: SVC | SVR, expected: SVC | SVR) -> bool:
    """Return whether the array sizes for C emotions, S support vectors and D features agree; C is 2 for a regressor.

    libsvm reads each size from one array and does not check the other arrays. Source: `sklearn/svm/_libsvm.pyx`.
    """
    counts, support_vectors = machine._n_support, machine.support_vectors_
    emotions, support = len(getattr(machine, "classes_", "ab")), len(support_vectors)
    sizes = {
        "_n_support": (emotions,),
        "support_": (support,),
        "support_vectors_": (support, machine.n_features_in_),
        "_dual_coef_": (emotions - 1, support),
        "_intercept_": (emotions * (emotions - 1) // 2,),
        "_probA": (0,),
        "_probB": (0,),
    }
    plain = (machine.kernel, machine._impl, machine._sparse) == (expected.kernel, expected._impl, False)
    shapes = all(getattr(machine, name).shape == shape for name, shape in sizes.items())
    used = counts[: 1 if isinstance(machine, SVR) else None]  # libsvm writes the count of a regressor twice
    return bool(plain and shapes and (counts >= 0).all() and used.sum(dtype=np.int64) == support)
