"""Say in words what a run is, for readers who do not know the names of its folder and its recipe."""

import re
from pathlib import Path

from ser_hf.corpora.files import pluralize
from ser_hf.evaluation.figures.candidates import name_features, name_head
from ser_hf.runs.recipe import read_recipe
from ser_hf.runs.result_records import Results

ENCODERS = {
    "whisper": "Whisper", "wav2vec2": "wav2vec 2.0", "hubert": "HuBERT", "wavlm": "WavLM", "unispeech": "UniSpeech",
    "data2vec-audio": "data2vec", "w2v-bert": "wav2vec-BERT", "ast": "AST", "sew-d": "SEW-D", "sew": "SEW",
}  # fmt: skip
MEL_DEFAULTS = {"features": "mel", "encoder": "crnn"}  # of MelConfig, whose import is slow


def title_run(folder: str | Path, results: Results) -> str:
    """Return the title of a run: encoder, what is trained, and normalisation; the name of the folder if it is unknown.

    Args:
        folder: Output folder of the run.
        results: Its results.
    """
    folder = Path(folder)
    if results.evaluation is not None:
        return f"{results.evaluation.model}, evaluated"
    try:
        recipe = results.recipe or read_recipe(folder)
    except FileNotFoundError:  # of an older version
        return folder.name.replace("_", " ")
    title = _title_probe(recipe, results) if "features" in recipe else _title_training(recipe)
    return f"{title}, normalised by speaker" if recipe.get("speaker_normalization") else title


def name_encoder(name: str) -> str:
    """Return the name of an encoder for readers.

    Examples:
        >>> name_encoder("openai/whisper-tiny.en"), name_encoder("facebook/wav2vec2-base"), name_encoder("mine")
        ('Whisper tiny.en', 'wav2vec 2.0 base', 'mine')
        >>> name_encoder("models/whisper-tiny-en-encoder"), name_encoder("asapp/sew-d-tiny-100k")
        ('Whisper tiny en', 'SEW-D tiny 100k')
    """
    name = Path(name).name.removesuffix("-encoder")
    for prefix, title in ENCODERS.items():
        if re.match(rf"{prefix}\b", name):
            return f"{title} {name[len(prefix) :].strip('-').replace('-', ' ')}".strip()
    return name


def _title_training(recipe: dict) -> str:
    encoder, frozen = recipe["model_name_or_path"], not recipe.get("num_train_epochs", 1)
    if encoder is None:
        return f"{_name_architecture(recipe)}, from random weights"
    if frozen:
        head = "linear readout of its layers" if recipe.get("head_init") == "readout" else "linear head"
        return f"{name_encoder(encoder)}, frozen + {head}"
    if recipe.get("adapter"):
        return f"{name_encoder(encoder)}, adapted with {'LoRA' if recipe['adapter'] == 'lora' else 'DoRA'}"
    return f"{name_encoder(encoder)}, fine-tuned"


def _name_architecture(recipe: dict) -> str:
    """Return the name of an architecture without pretrained weights; of the mel model, its features and encoder."""
    if recipe["model_type"] != "mel":
        return name_encoder(recipe["model_type"])
    options = MEL_DEFAULTS | dict(item.split("=", 1) for item in recipe["config_overrides"])
    features = "log-mel" if options["features"] == "mel" else options["features"].upper()
    return f"{features} {options['encoder'].upper()}"


def _title_probe(recipe: dict, results: Results) -> str:
    kinds = [name_features(kind) for kind in recipe["features"] if kind != "embedding"]
    if "embedding" in recipe["features"]:
        kinds.append(f"{name_encoder(recipe['model_name_or_path'])}, frozen")
    chosen = [name_head(row.head) for row in results.candidates or [] if row.chosen]
    heads = recipe["heads"] or []
    head = (chosen or [name_head(heads[0]) if len(heads) == 1 else f"best of {pluralize(len(heads), 'head')}"])[0]
    return f"{' or '.join(kinds)} + {head}"
