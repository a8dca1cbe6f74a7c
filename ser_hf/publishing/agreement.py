"""Compare the stored predictions with the stock pipeline in a new process without ser_hf.

Shapes: N utterances, C outputs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas
import torch

from ser_hf.corpora.spelling import unspell
from ser_hf.evaluation import read_predictions
from ser_hf.publishing import bare_pipeline
from ser_hf.publishing.checks import Check
from ser_hf.runs.file_names import PREDICTIONS
from ser_hf.runs.result_records import AgreementRecord
from ser_hf.runs.results import read_results
from ser_hf.runs.weights import hash_paths

TOLERANCE = 1e-4  # largest accepted difference of a score, which is between 0 and 1
MOST = 300  # largest number of compared utterances: a minute for a small model
SEED = 0  # for the sample of utterances
TIME_LIMIT = 3600  # seconds
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
REMEDY = (
    "The stored scores are from other preprocessing, weights or labels, so users get other scores. Evaluate the "
    "checkpoint on raw, whole files."
)
MODEL_FILES = ("config.json", "preprocessor_config.json", "model*.safetensors", "*.py")

Utterance = tuple[str, float | None, float | None]  # path, start and end in seconds


def run_pipeline(folder: str | Path, utterances: Sequence[Utterance]) -> tuple[list[dict[str, float]], str | None]:
    """Score files with the stock pipeline, one at a time, on the CPU in float32.

    Args:
        folder: Folder of a saved checkpoint; code in the checkpoint is run.
        utterances: Paths with start and end in seconds; None for the whole file.

    Returns:
        The scores by label of each utterance, and an error message or None. After an error, utterances are missing.
    """
    request = {
        "folder": str(Path(folder).resolve()),
        "code": any(Path(folder).glob("*.py")),
        "utterances": [(os.path.abspath(path), start, end) for path, start, end in utterances],
    }
    try:
        run = subprocess.run(
            [sys.executable, "-P", bare_pipeline.__file__],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            env=os.environ | ENVIRONMENT | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
    except subprocess.TimeoutExpired:
        return [], f"no answer within {TIME_LIMIT} s"
    scores = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode:
        return scores, (run.stderr.strip().splitlines() or [f"it ended with exit code {run.returncode}"])[-1]
    return scores, None


def measure_agreement(folder: str | Path, folders: Mapping[str, Path]) -> AgreementRecord:
    """Compare the test scores of predictions.csv with those of the stock pipeline on the same files.

    Args:
        folder: Output folder of a run, with the saved checkpoint and predictions.csv.
        folders: Folder of each corpus, to which the paths in predictions.csv are relative.
    """
    test = read_predictions(Path(folder, PREDICTIONS)).query("split == 'test'")
    drawn = test if len(test) <= MOST else test.sample(MOST, random_state=SEED).sort_index()
    rows = drawn.astype(object).where(drawn.notna(), None)
    utterances = [(str(folders[row.corpus] / unspell(row.path)), row.start, row.end) for row in rows.itertuples()]
    scores, error = run_pipeline(folder, utterances)
    differences = _differences(drawn[: len(scores)], scores)
    known = len(differences) and np.isfinite(differences).all()
    return AgreementRecord(
        test=len(test),
        compared=len(drawn),
        agree=int((differences <= TOLERANCE).sum()),
        largest_difference=float(differences.max()) if known else None,
        tolerance=TOLERANCE,
        error=error,
        files=hash_files(folder),
    )


def check_agreement(folder: Path, folders: Mapping[str, Path] | None = None) -> Check:
    """Check that the stored predictions are from the stock pipeline and from the files in the folder.

    Args:
        folder: Output folder of a run.
        folders: Folder of each corpus, to repeat the comparison; None to use the result from the end of training.
    """
    name = "agreement with the stock pipeline"
    try:
        results = read_results(folder)
    except ValueError as error:
        return Check(name, False, str(error), "Restore all_results.json, or run the recipe again.")
    stored = results and results.agreement
    if not stored:
        found = "all_results.json has no comparison of the stored predictions with the stock pipeline"
        return Check(name, False, found, "Run the recipe again with this version, which compares them after training.")
    agreement = stored if folders is None else measure_agreement(folder, folders)
    changed = [file for file, digest in hash_files(folder).items() if stored.files.get(file) != digest]
    changed += [file for file in stored.files if file != PREDICTIONS and not (folder / file).exists()]
    if changed:
        found = f"{', '.join(changed)}: changed since the comparison at the end of training"
        return Check(name, False, found, "Restore the files of the run, or run the recipe again.")
    remedy = "Correct the cause of this error." if agreement.error else REMEDY
    return Check(name, is_agreed(agreement), describe_agreement(agreement), remedy)


def is_agreed(agreement: AgreementRecord) -> bool:
    """Return whether the stock pipeline gave the stored scores to all compared utterances."""
    return agreement.error is None and agreement.agree == agreement.compared > 0


def describe_agreement(agreement: AgreementRecord) -> str:
    """Return the result of the comparison as text."""
    if agreement.error:
        return f"the stock pipeline fails: {agreement.error}"
    difference = "unknown" if agreement.largest_difference is None else f"{agreement.largest_difference:.1e}"
    others = f" ({agreement.test} in all)" if agreement.compared < agreement.test else ""
    return (
        f"equal scores for {agreement.agree} of {agreement.compared} test utterances{others}, largest difference "
        f"{difference} (allowed: {agreement.tolerance:g})"
    )


def hash_files(folder: str | Path) -> dict[str, str]:
    """Return the SHA-256 of the files of the model and of predictions.csv, if it exists, by name."""
    return hash_paths([path for pattern in (*MODEL_FILES, PREDICTIONS) for path in sorted(Path(folder).glob(pattern))])


def _differences(stored: pandas.DataFrame, scores: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return the largest difference of a score for each utterance ``(N,)``; infinite if labels differ."""
    names = [name.removeprefix("score_") for name in stored if name.startswith("score_")]
    expected = stored[[f"score_{name}" for name in names]].to_numpy()
    found = [[row.get(name, np.inf) for name in names] if len(row) == len(names) else [np.inf] for row in scores]
    return np.array([np.abs(np.subtract(*pair)).max() for pair in zip(found, expected, strict=True)])
