"""Fine-tune from Python with the settings of a recipe, as `ser-hf train` does."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict
from datasets.fingerprint import Hasher

from ser_hf.cache import cache_folder, explain_full_disk
from ser_hf.runs.command_line import parse_recipe, spell_recipe
from ser_hf.workflows.finetune import finetune

if TYPE_CHECKING:
    from ser_hf.runs.results import Results


def train(
    recipe: str | os.PathLike | None = None, *, dataset: Dataset | DatasetDict | None = None, **settings: Any
) -> "Results | None":
    """Fine-tune with the settings of a recipe; a setting that is given here replaces that of the recipe.

    Args:
        recipe: Name of a recipe that comes with ser_hf, see `ser-hf recipes`, or a YAML file; None for the defaults.
        dataset: Dataset with a column of audio and one of emotions, instead of the setting `corpus`. Further columns
            are read as those of a dataset of the Hub; a `DatasetDict` gives the split too. It is stored in the cache.
        **settings: Any options of `ser-hf train`, such as ``corpus="ravdess"``, ``data_root="~/RAVDESS"``,
            ``output_dir="runs/mine"`` or ``num_train_epochs=5``.

    Returns:
        The results, see `finetune`.

    Raises:
        FileNotFoundError: If there is no such recipe.
        ValueError: If a setting is unknown or its value is not as expected, or a corpus is given beside a dataset.
        TypeError: If `dataset` is neither a `Dataset` nor a `DatasetDict`.
        OSError: If a file is missing, or the output folder contains another run.

    Examples:
        >>> results = train("quickstart", num_train_epochs=5, output_dir="runs/short")  # doctest: +SKIP
    """
    if dataset is not None:
        if given := [name for name in ("corpus", "data_root") if settings.get(name) is not None]:
            raise ValueError(
                f"Expected a dataset or a corpus, found dataset= and {' and '.join(f'{name}=' for name in given)}. "
                "Leave out one of them."
            )
        settings |= {"corpus": "hub", "data_root": store_dataset(dataset)}
    return finetune(*parse_recipe([str(recipe)] * (recipe is not None) + spell_recipe(settings)))


def store_dataset(dataset: Dataset | DatasetDict) -> Path:
    """Return the folder of a dataset in the cache, after writing it there if necessary.

    Args:
        dataset: Its fingerprint, or those of its splits, are the cache key.

    Raises:
        TypeError: If it is neither a `Dataset` nor a `DatasetDict`.
        OSError: If the disk is full.
    """
    if not isinstance(dataset, Dataset | DatasetDict):
        raise TypeError(
            f"dataset: expected a datasets.Dataset or DatasetDict, found {type(dataset).__name__}. Make one of "
            "rows with Dataset.from_list; load one of the Hub with datasets.load_dataset."
        )
    splits = {"": dataset} if isinstance(dataset, Dataset) else dict(dataset)
    key = Hasher.hash({name: split._fingerprint for name, split in splits.items()})
    place = cache_folder() / "datasets" / key
    if not place.exists():
        with explain_full_disk(cache_folder()):
            place.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=place.parent) as folder:
                dataset.save_to_disk(Path(folder, key))
                try:
                    os.rename(Path(folder, key), place)
                except OSError:
                    if not place.exists():  # else another process has stored the same dataset in the meantime
                        raise
    return place
