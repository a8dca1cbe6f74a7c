"""The doctor: what is wrong with anyone's checkpoint, and a repaired copy where the algebra allows.

It looks at what a model needs to answer rightly. Evidence, that is a card with scores, their results and stored
answers, is asked for by the gate alone. No code of a checkpoint runs, and of a pickle nothing but tensors is read.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers import PreTrainedConfig, PreTrainedModel, SequenceFeatureExtractor

from ser_hf.models.backbone import default_feature_extractor, load_config, load_feature_extractor
from ser_hf.publishing.answers import check_padding
from ser_hf.publishing.checks import (
    CALLS,
    CLASSES,
    MEL_AUTO_MAP,
    MEL_CODE,
    Check,
    check_architecture,
    check_code,
    check_dtype,
    check_finite,
    check_format,
    check_keys,
    check_labels,
    check_preprocessor,
    check_shards,
    read_json,
    run_checks,
    weights_of,
)
from ser_hf.publishing.foreign import (
    AUTHORS_CODE,
    HeadLayout,
    convert_head,
    describe_head,
    load_state,
    read_text,
    read_weights,
)
from ser_hf.publishing.gate import check_head
from ser_hf.publishing.privacy import check_paths, check_tokens

READABLE = (check_architecture, check_labels, check_preprocessor, check_paths, check_tokens)
NAMED = (check_code, check_format)  # judged by the files' names
LOADED = (check_dtype, check_finite, check_keys)
FETCHED = [  # neither pickles nor code, but for the mel model's, which is compared with ours and not run
    "*.json", "*.md", "*.txt", "*.yaml", "model*.safetensors", "head.skops", *MEL_CODE,
]  # fmt: skip
EXACT = "with the same logits"
MEAN = "The mean over frames is taken for granted: compare one answer with its author's code."
COPIED = ("README.md", "LICENSE*", "all_results.json", "recipe.yaml", "figures/*.png")


def examine(folder_or_id: str | Path) -> list[Check]:
    """Return what every check found in a checkpoint.

    Args:
        folder_or_id: A folder, or a model's Hub id.

    Raises:
        FileNotFoundError: If there is neither such a folder nor such a model, or it holds no checkpoint.
    """
    folder = find_checkpoint(folder_or_id)
    if (folder / "head.json").is_file():
        return run_checks((check_head, check_paths, check_tokens), folder)
    checks = run_checks(READABLE, folder) + _check_names(folder_or_id, folder)
    layout, check = _diagnose_head(folder)
    checks.append(check)
    if not weights_of(folder):
        return checks
    checks += run_checks([check_shards], folder)
    if checks[-1].passed and layout and layout.kind == "stock":
        checks += run_checks(LOADED, folder)
        if checks[-1].passed and check_preprocessor(folder).passed:
            checks += run_checks([check_padding], folder)
    return checks


def _check_names(folder_or_id: str | Path, folder: Path) -> list[Check]:
    """Return what `NAMED` find; of a model of the Hub the files that were not fetched count, by their names."""
    if folder == Path(folder_or_id):
        return run_checks(NAMED, folder)
    with TemporaryDirectory() as directory:
        commit = folder.name  # so the cache names a snapshot
        for name in HfApi().list_repo_files(str(folder_or_id), revision=commit):
            if "/" not in name and (folder / name).is_file():
                Path(directory, name).symlink_to((folder / name).resolve())
            elif "/" not in name:
                Path(directory, name).touch()
        return run_checks(NAMED, Path(directory))


def find_checkpoint(folder_or_id: str | Path) -> Path:
    """Return the folder of a checkpoint; a model of the Hub is fetched, without its code and its pickles.

    `pytorch_model.bin` is fetched where there are no safetensors.

    Raises:
        FileNotFoundError: If there is neither such a folder nor such a model, or it holds no checkpoint.
    """
    folder = Path(folder_or_id)
    if not folder.exists():
        folder = _fetch(str(folder_or_id))
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder_or_id}' is a file: expected the folder that holds it, with config.json.")
    if not any((folder / name).is_file() for name in ("config.json", "head.json")):
        found = sorted(path.name for path in folder.iterdir())[:5] or "nothing"
        raise FileNotFoundError(
            f"'{folder_or_id}' holds no checkpoint: expected config.json and model.safetensors, found {found}. "
            "Is it the folder that save_pretrained wrote?"
        )
    return folder


def _fetch(repo_id: str) -> Path:
    try:
        folder = Path(snapshot_download(repo_id, allow_patterns=FETCHED, ignore_patterns=["*/*"]))
        if not weights_of(folder):
            patterns = [*FETCHED, "pytorch_model*.bin", "pytorch_model.bin.index.json"]
            folder = Path(snapshot_download(repo_id, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileNotFoundError(
            f"'{repo_id}' is no folder here, and the Hub gave no model of that id ({reason}). "
            "Check the spelling; for a private or gated model log in with `hf auth login`."
        ) from error
    return folder


def _diagnose_head(folder: Path) -> tuple[HeadLayout | None, Check]:
    try:
        _, _, layout = _read_checkpoint(folder)
    except Exception as error:  # as in run_checks: the other checks go on
        found = str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}"
        remedy = "Nothing is loaded from it as it is."
        if isinstance(error, FileNotFoundError) and (folder / "hyperparams.yaml").is_file():
            remedy = "SpeechBrain's .ckpt files are not fetched from the Hub: download them and give their folder."
        return None, Check("head", False, found, remedy)
    if layout.kind == "stock":
        return layout, Check("head", True, layout.description)
    if layout.kind == "linear":
        remedy = f"It is linear, so ser-hf doctor --fix writes it as the stock head, {layout.reason or EXACT}."
        return layout, Check("head", False, f"{layout.description}; pipeline would answer with a random head", remedy)
    remedy = "Use its author's code, or fine-tune its encoder again with a stock head."
    found = f"{layout.description}; pipeline would answer with a random head or a wrong one: {layout.reason}"
    return layout, Check("head", False, found, remedy)


def _read_checkpoint(folder: Path) -> tuple[PreTrainedConfig, dict[str, torch.Tensor], HeadLayout]:
    stored = read_json(folder / "config.json")
    if (kind := stored.get("model_type")) not in CLASSES:
        raise ValueError(f"model_type {kind!r} in config.json is no audio classifier: expected one of {list(CLASSES)}.")
    config = load_config(str(folder), trust_remote_code=False)
    for key in CALLS:  # code of its own, which a stock class does not need
        vars(config).pop(key, None)
    weights = read_weights(folder)
    layout = describe_head(folder, config, weights)
    if layout.kind != "foreign" and (author := _find_author(stored, layout)):
        layout = HeadLayout("foreign", author, AUTHORS_CODE)
    return config, weights, layout


def _find_author(stored: dict, layout: HeadLayout) -> str:
    called, (named, *_) = stored.get("auto_map"), stored.get("architectures") or [None]
    if called and called != MEL_AUTO_MAP:
        return f"a head that its author's code computes, called by auto_map {called}"
    # The other names belong to one toolkit and tell what it computes; these could be anyone's.
    if layout.classifier in (None, "classifier") and named not in (None, CLASSES[stored["model_type"]]):
        return f"a head of the class '{named}', not transformers' own, under the stock head's names"
    return ""


def repair(folder_or_id: str | Path, output_dir: str | Path, *, emotions: Sequence[str] | None = None) -> list[str]:
    """Write a repaired copy of a checkpoint: stock class, safetensors, preprocessor and label names.

    The original stays as it is. Nothing is written where no stock class computes what the head does.

    Args:
        folder_or_id: A folder, or a model's Hub id.
        output_dir: Made where it is missing; must be empty.
        emotions: Names in the order of the classifier's rows. None takes those of the checkpoint.

    Returns:
        A line for each thing that was mended, and for each that was not.

    Raises:
        FileNotFoundError: If there is no such checkpoint, or no weights.
        FileExistsError: If `output_dir` holds anything.
        ValueError: If the checkpoint cannot be read safely, lacks weights, has another number of emotions, or holds
            `output_dir`; or a name of `emotions` repeats.
    """
    folder, output_dir = find_checkpoint(folder_or_id), Path(output_dir)
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise FileExistsError(f"'{output_dir}' is not empty: expected a new folder for the repaired copy.")
    if output_dir.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"'{output_dir}' lies inside '{folder}', which must stay as it is: choose another folder.")
    config, weights, layout = _read_checkpoint(folder)
    if layout.kind == "foreign":
        return [f"Not mended, and nothing written: {layout.description}; {layout.reason}"]
    mended = []
    if layout.kind == "linear":
        mended.append(f"Mended: {layout.description} is now the stock head, {layout.reason or EXACT}. {MEAN}")
    model = convert_head(config, weights, layout) if layout.kind == "linear" else load_state(config, weights)
    found = run_checks([check_architecture], folder) + _check_names(folder_or_id, folder)
    if faults := [f"{check.name} ({check.found})" for check in found if not check.passed]:
        mended.append(f"Mended: {', '.join(faults)}, now a plain {type(model).__name__} in safetensors.")
    if any(tensor.dtype == torch.float64 for tensor in weights.values()):
        model.float()
        mended.append("Mended: weights in float64, now float32.")
    mended += _name_labels(model, folder, emotions)
    extractor = _choose_extractor(folder, model.config)
    mended += _describe_extractor(extractor, folder, model.config)
    model.save_pretrained(output_dir)
    extractor.save_pretrained(output_dir)
    for path in (path for pattern in COPIED for path in folder.glob(pattern)):
        (output_dir / path.relative_to(folder)).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, output_dir / path.relative_to(folder))
    faults = [check for check in examine(output_dir) if not check.passed]
    return mended + [f"Not mended: {check.name}: {check.found}. {check.remedy}" for check in faults]


def _choose_extractor(folder: Path, config: PreTrainedConfig) -> SequenceFeatureExtractor:
    try:
        return load_feature_extractor(str(folder), config)
    except (TypeError, ValueError):  # it names a class that is not in transformers
        return default_feature_extractor(config)


def _describe_extractor(extractor: SequenceFeatureExtractor, folder: Path, config: PreTrainedConfig) -> list[str]:
    found = check_preprocessor(folder)
    if found.passed:
        return []
    settings = f"{type(extractor).__name__}, {extractor.sampling_rate} Hz"
    if hasattr(extractor, "do_normalize"):
        settings += f", do_normalize={extractor.do_normalize}"
    if extractor.to_dict() == default_feature_extractor(config).to_dict():
        settings = f"the architecture's default ({settings}); was it that in training?"
    return [f"Mended: preprocessor ({found.found}), now {settings}"]


def _name_labels(model: PreTrainedModel, folder: Path, emotions: Sequence[str] | None) -> list[str]:
    if emotions is None and check_labels(folder).passed:
        return []
    rows = model.config.num_labels
    source = "as given" if emotions else ""
    if emotions is None:
        emotions, source = _find_names(folder)
    elif len(emotions) != rows:
        raise ValueError(f"Expected the names of {rows} emotions, found {len(emotions)}: {list(emotions)}.")
    if len({emotion.casefold() for emotion in emotions}) < len(emotions):
        raise ValueError(f"Expected each emotion once, found a name that repeats: {list(emotions)}.")
    if len(emotions) != rows:
        return []
    model.config.id2label = dict(enumerate(emotions))
    model.config.label2id = {emotion: label for label, emotion in enumerate(emotions)}
    return [f"Mended: label names {source}: {', '.join(emotions)}."]


def _find_names(folder: Path) -> tuple[list[str], str]:
    """Return the names in the order of their labels from the first file that has them, and which one that is."""
    config = read_json(folder / "config.json")
    id2label = {int(label): str(name) for label, name in (config.get("id2label") or {}).items() if label.isdigit()}
    label2id = {int(label): name for name, label in (config.get("label2id") or {}).items() if str(label).isdigit()}
    plain, coded = (
        read_text(folder / name) if (folder / name).is_file() else "" for name in ("labels.txt", "label_encoder.txt")
    )
    # SpeechBrain: 'neu' => 0 in each line; below a rule of = stands its own state.
    encoder = {int(label): name for name, label in re.findall(r"'(.+)' => (\d+)", coded.partition("====")[0])}
    for names, source in (
        (id2label, "from id2label in config.json"),
        (label2id, "from label2id in config.json"),
        (dict(enumerate(filter(None, map(str.strip, plain.splitlines())))), "from labels.txt"),
        (encoder, "from label_encoder.txt"),
    ):
        named = [names.get(label, "LABEL_0") for label in range(len(names))]
        if len(set(named)) == len(named) > 1 and not any(re.fullmatch(r"(?i)label_\d+", name) for name in named):
            return named, source
    return [], ""
