"""The output folder of a run: whether it may be written to, and its lock."""

import hashlib
import json
from pathlib import Path

from datasets import ClassLabel, DatasetDict
from filelock import FileLock, Timeout

from ser_hf import __version__
from ser_hf.cache import write_text
from ser_hf.runs.file_names import DATA_DIGEST, LOCK
from ser_hf.runs.recipe import list_differences, read_recipe, write_recipe

PATIENCE = 15  # seconds: after a kill, loader processes outlive their run for a few


def check_folder(folder: str | Path, recipe: dict) -> None:
    """Refuse an output folder that holds another recipe's run, or other files.

    Raises:
        FileExistsError: If it does.
    """
    folder = Path(folder)
    try:
        differences = list_differences(read_recipe(folder), recipe)
    except (FileNotFoundError, ValueError):  # no recipe.yaml, or not that of a run
        if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
            raise FileExistsError(
                f"'{folder}' is not empty and holds no run of ser_hf. Take a new --output_dir: nothing is overwritten."
            ) from None
        return
    if differences:
        raise FileExistsError(
            f"'{folder}' holds another recipe's run ({'; '.join(differences)}). Take another --output_dir, or "
            "delete that folder if you no longer need it."
        )


def claim_folder(
    folder: str | Path, recipe: dict, dataset: DatasetDict, *, launch: str = "accelerate launch recipes/finetune.py"
) -> FileLock:
    """Write `recipe.yaml` and the corpus' fingerprint into the output folder, when all is ready to train.

    Returns:
        The folder's lock, held: nobody else claims the folder until it is released or the process ends.

    Raises:
        FileExistsError: If the folder holds a run of the same recipe on other data, or another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise FileExistsError(
            f"Another process is running in '{folder}'. Wait for it or stop it, then run this again."
        ) from None
    fingerprint = hashlib.sha256()
    for part in dataset.values():
        label = [] if isinstance(part.features["label"], ClassLabel) else ["label"]  # classes follow from emotions
        columns = part.select_columns(["split", "path", "start", "end", "emotion", "speaker", *label])
        fingerprint.update(json.dumps(columns.to_dict()).encode())
    held = folder / DATA_DIGEST
    if held.exists() and held.read_text() != fingerprint.hexdigest():
        raise FileExistsError(
            f"'{folder}' holds a run of this recipe on other data: expected the files, labels and speakers that it "
            "began with. Take another --output_dir, or the former --data_root."
        )
    write_text(held, fingerprint.hexdigest())
    rerun = f"{launch} recipe.yaml --data_root FOLDER --output_dir FOLDER"
    write_recipe(folder, recipe, comment=f"Resolved by ser_hf {__version__}. Rerun it with:\n{rerun}")
    return lock
