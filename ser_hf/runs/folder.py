"""Check and lock the output folder of a run."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets import ClassLabel, DatasetDict
from filelock import FileLock, Timeout

from ser_hf import __version__
from ser_hf.cache import explain_full_disk, is_partial, remove_partial_files, write_text
from ser_hf.runs.file_names import DATA_DIGEST, LOCK, PROBLEMS
from ser_hf.runs.recipe import list_differences, read_recipe, rerun_command, write_recipe

PATIENCE = 15  # seconds; data loader processes end some seconds after their run was killed


def check_folder(folder: str | Path, recipe: dict) -> None:
    """Check that an output folder is empty or contains a run of the same recipe.

    Raises:
        FileExistsError: If it contains a run of another recipe, or other files.
    """
    folder = Path(folder)
    try:
        differences = list_differences(read_recipe(folder), recipe, ignored=("num_train_epochs",))
    except (FileNotFoundError, ValueError):  # recipe.yaml is missing or is not the recipe of a run
        free = (LOCK, PROBLEMS)  # the problems of a run whose split failed
        if folder.exists() and any(path.name not in free and not is_partial(path) for path in folder.iterdir()):
            raise FileExistsError(
                f"'{folder}' is not empty and contains no run of ser_hf. Pass a new --output_dir."
            ) from None
        return
    if differences:
        raise FileExistsError(
            f"'{folder}' contains a run of another recipe ({'; '.join(differences)}). Pass another --output_dir, or "
            "delete this folder if you no longer need it."
        )


@contextmanager
def claim_folder(
    folder: str | Path, recipe: dict, dataset: DatasetDict, *, launch: str = "ser-hf train"
) -> Iterator[None]:
    """Lock the output folder during a run, and write `recipe.yaml` and the fingerprint of the dataset into it.

    Raises:
        FileExistsError: If the folder contains a run of the same recipe on other data, or another process has the lock.
    """
    folder = Path(folder)
    with explain_full_disk(folder), lock_folder(folder):
        digest, stored = _digest(dataset), folder / DATA_DIGEST
        if stored.exists() and stored.read_text(encoding="utf-8") != digest:
            raise FileExistsError(
                f"'{folder}' contains a run of this recipe on other data: expected the same files, labels and "
                "speakers. Pass another --output_dir, or the --data_root of that run."
            )
        # the recipe first: a folder without a recipe is not recognised as a run
        write_recipe(
            folder, recipe, comment=f"Resolved by ser_hf {__version__}. Rerun it with:\n{rerun_command(launch, recipe)}"
        )
        write_text(stored, digest)
        yield


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created if necessary, and remove incomplete files of earlier processes.

    Raises:
        FileExistsError: If another process has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise FileExistsError(
            f"Another process is running in '{folder}'. Wait for it or stop it, then run this again."
        ) from None
    try:
        remove_partial_files(list(folder.rglob(".*")))
        yield
    finally:
        lock.release()


def _digest(dataset: DatasetDict) -> str:
    """Return the fingerprint of the files, segments, labels and speakers of a dataset."""
    fingerprint = hashlib.sha256()
    for part in dataset.values():
        label = [] if isinstance(part.features["label"], ClassLabel) else ["label"]  # else in "emotion"
        columns = part.select_columns(["split", "path", "start", "end", "emotion", "speaker", *label])
        fingerprint.update(json.dumps(columns.to_dict()).encode())
    return fingerprint.hexdigest()
