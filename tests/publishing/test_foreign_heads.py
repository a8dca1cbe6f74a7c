"""Checkpoints built like the well-known ones with a head of their own, in small and with random weights."""

import argparse
import json

import pytest
import torch
from architectures import tiny_model
from safetensors.torch import load_file, save_file
from torch.nn.functional import linear
from transformers import AutoConfig, AutoModelForAudioClassification

from ser_hf.publishing.doctor import examine, repair
from ser_hf.publishing.foreign_heads import describe_head
from ser_hf.publishing.foreign_weights import read_weights
from ser_hf.publishing.head_conversion import convert_head

HIDDEN, PROJECTED, CLASSES, LAYERS = 16, 8, 4, 3
STOCK = ["Wav2Vec2ForSequenceClassification"]


@pytest.fixture(scope="module")
def encoder():
    return tiny_model("wav2vec2-layer").wav2vec2


@pytest.fixture(scope="module")
def states(encoder):
    """The encoder's output for a padded batch, its masks of frames and samples, and the waveforms."""
    waveforms = torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 8_000, dtype=torch.long)
    waveforms[1, 5_000:] = mask[1, 5_000:] = 0
    with torch.no_grad():
        output = encoder(waveforms, attention_mask=mask, output_hidden_states=True)
    frames = encoder._get_feature_vector_attention_mask(output.last_hidden_state.shape[1], mask)
    return output, frames, mask, waveforms


def tensors(**shapes):
    generator = torch.Generator().manual_seed(1)
    return {name.replace("__", "."): torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def layer(name, rows, columns, *, bias=True):
    return tensors(**{f"{name}.weight": (rows, columns)} | ({f"{name}.bias": (rows,)} if bias else {}))


def write_config(folder, encoder, **changes):
    folder.mkdir()
    config = encoder.config.to_dict() | {"architectures": ["Wav2Vec2ForSpeechClassification"]} | changes
    (folder / "config.json").write_text(json.dumps(config))


def old_names(encoder, prefix="wav2vec2."):
    """Return the encoder's weights under the names that torch gave weight_norm before 2.0."""
    state = {f"{prefix}{name}": tensor.clone() for name, tensor in encoder.state_dict().items()}
    renamed = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in renamed.items():
        state = {name.replace(new, old): tensor for name, tensor in state.items()}
    return state


def sum_layers(output, weights):
    return (torch.stack(output.hidden_states) * weights.softmax(0)[:, None, None, None]).sum(0)


def mean_over_frames(hidden, frames):
    return (hidden * frames[..., None]).sum(1) / frames.sum(1, keepdim=True)


def write_s3prl(folder, encoder, *, featurizer=True, **arguments):
    """Encoder as on the Hub, and s3prl's own checkpoint of the downstream beside it."""
    write_config(folder, encoder, architectures=["Wav2Vec2Model"])
    torch.save(old_names(encoder, prefix=""), folder / "pytorch_model.bin")
    head = layer("projector", PROJECTED, HIDDEN) | layer("model.post_net.linear", CLASSES, PROJECTED)
    checkpoint = {
        "Downstream": head | {"best_score": torch.ones(1)},
        "Featurizer": tensors(weights=(LAYERS,)) if featurizer else {},
        "Optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []},
        "Args": argparse.Namespace(upstream="wav2vec2", **arguments),
        "Config": {"downstream_expert": {"modelrc": {"select": "UtteranceLevel"}}},
        "Step": 30_000,
    }
    torch.save(checkpoint, folder / "dev-best.ckpt")

    def logits(output, frames):
        summed = sum_layers(output, checkpoint["Featurizer"]["weights"])
        projected = linear(summed, head["projector.weight"], head["projector.bias"])
        pooled = mean_over_frames(projected, frames)
        return linear(pooled, head["model.post_net.linear.weight"], head["model.post_net.linear.bias"])

    return logits


def write_s3prl_in_one_file(folder, encoder):
    write_config(folder, encoder)
    head = layer("projector", PROJECTED, HIDDEN) | layer("model.post_net.linear", CLASSES, PROJECTED)
    save_file(old_names(encoder) | head, folder / "model.safetensors", {"format": "pt"})

    def logits(output, frames):
        pooled = linear(
            mean_over_frames(output.last_hidden_state, frames), head["projector.weight"], head["projector.bias"]
        )
        return linear(pooled, head["model.post_net.linear.weight"], head["model.post_net.linear.bias"])

    return logits


def write_speechbrain(folder, encoder, *, output_norm=False):
    write_config(folder, encoder)
    head = layer("0.w", CLASSES, HIDDEN, bias=False)
    torch.save(old_names(encoder, prefix="model."), folder / "wav2vec2.ckpt")
    torch.save(head, folder / "model.ckpt")
    (folder / "hyperparams.yaml").write_text(
        "wav2vec2: !new:speechbrain.lobes.models.huggingface_wav2vec.HuggingFaceWav2Vec2\n"
        f"    source: !ref <wav2vec2_hub>\n    output_norm: {output_norm}\n"
    )
    lines = [f"'{name}' => {label}" for label, name in enumerate(("neu", "ang", "hap", "sad"))]
    (folder / "label_encoder.txt").write_text("\n".join([*lines, "=" * 16, "'starting_index' => 0", ""]))
    return lambda output, frames: linear(mean_over_frames(output.last_hidden_state, frames), head["0.w.weight"])


def write_single_layer(folder, encoder, *, name, **changes):
    write_config(folder, encoder, pooling_mode="mean", **changes)
    head = layer(name, CLASSES, HIDDEN)
    torch.save(old_names(encoder) | head, folder / "pytorch_model.bin")
    return lambda output, frames: linear(mean_over_frames(output.last_hidden_state, frames), *head.values())


def write_layer_sum(folder, encoder):
    """A stock head whose config.json forgot the sum of layers and the projector's size."""
    write_config(folder, encoder, use_weighted_layer_sum=False, classifier_proj_size=HIDDEN, architectures=STOCK)
    head = layer("projector", PROJECTED, HIDDEN) | layer("classifier", CLASSES, PROJECTED)
    head |= tensors(layer_weights=(LAYERS,))
    save_file(old_names(encoder) | head, folder / "model.safetensors", {"format": "pt"})

    def logits(output, frames):
        summed = sum_layers(output, head["layer_weights"])
        pooled = linear(mean_over_frames(summed, frames), head["projector.weight"], head["projector.bias"])
        return linear(pooled, head["classifier.weight"], head["classifier.bias"])

    return logits


LINEAR = {
    "s3prl's head": write_s3prl,
    "s3prl's head 'projector'": write_s3prl_in_one_file,
    "SpeechBrain's head '0.w'": write_speechbrain,
    "the layer 'classifier.out_proj' alone": lambda *args: write_single_layer(*args, name="classifier.out_proj"),
    "the layer 'classifier' alone": lambda *args: write_single_layer(*args, name="classifier", architectures=STOCK),
    "a stock head that config.json does not describe": write_layer_sum,
}


@pytest.mark.parametrize("description", LINEAR)
def test_a_linear_head_is_named_and_its_converted_copy_gives_the_same_logits(description, encoder, states, tmp_path):
    output, frames, mask, waveforms = states
    logits = LINEAR[description](tmp_path / "foreign", encoder)
    before = {path.name: path.read_bytes() for path in (tmp_path / "foreign").iterdir()}
    layout = describe(tmp_path / "foreign")
    assert layout.kind == "linear" and layout.description.startswith(description)
    notes = repair(tmp_path / "foreign", tmp_path / "copy", emotions=["angry", "happy", "neutral", "sad"])
    assert notes[0].startswith(f"Repaired: {description}") and not [note for note in notes if note.startswith("Not")]
    model, loading = AutoModelForAudioClassification.from_pretrained(tmp_path / "copy", output_loading_info=True)
    assert not any(loading.values())
    with torch.no_grad():
        difference = model(waveforms, attention_mask=mask).logits - logits(output, frames)
    assert difference.abs().max() < 1e-5
    assert list(model.config.id2label.values()) == ["angry", "happy", "neutral", "sad"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "foreign").iterdir()} == before


def describe(folder):
    return describe_head(folder, AutoConfig.from_pretrained(folder), read_weights(folder))


SOXAN = layer("classifier.dense", HIDDEN, HIDDEN) | layer("classifier.out_proj", CLASSES, HIDDEN)
EHCALABRES = layer("classifier.dense", HIDDEN, HIDDEN) | layer("classifier.output", CLASSES, HIDDEN)
S3PRL = layer("projector", PROJECTED, HIDDEN) | layer("model.post_net.linear", CLASSES, PROJECTED)
ATTENTION = layer("model.pooling.sap_layer.W", 1, PROJECTED)
NAMED = {
    "soxan": (SOXAN, {"pooling_mode": "mean"}, "a classification head of two layers", "tanh"),
    "ehcalabres": (EHCALABRES, {}, "'classifier.dense' and 'classifier.output'", "tanh"),
    "audeering": (SOXAN, {"problem_type": "regression"}, "a regression head of two layers", "tanh"),
    "s3prl with attention": (S3PRL | ATTENTION, {}, "attentive pooling", "by the mean"),
    "s3prl with hidden layers": (S3PRL | layer("model.post_net.hiddens.0", 8, 8), {}, "hidden layers", "activation"),
    "maximum": (layer("classifier.out_proj", CLASSES, HIDDEN), {"pooling_mode": "max"}, "'max' pooling", "mean"),
    "unknown": (layer("classifier.out_proj", CLASSES, HIDDEN) | layer("norm", 1, 16), {}, "norm.weight", "author"),
    "mean and deviation": (layer("classifier", CLASSES, 2 * HIDDEN), {}, "'classifier' alone", "another pooling"),
    "another sum": (S3PRL | tensors(Featurizer__weights=(2,)), {}, "s3prl's head", "sum of layers"),
    "convolution": ({"classifier.weight": torch.zeros(CLASSES, HIDDEN, 1)}, {}, "classifier.weight", "author"),
    "none": (layer("lm_head", 32, HIDDEN), {}, "no head", "gives no scores"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_head_that_no_stock_class_computes_is_named_with_the_reason_and_not_written(name, encoder, tmp_path):
    head, changes, description, reason = NAMED[name]
    write_config(tmp_path / "foreign", encoder, **changes)
    save_file(old_names(encoder) | head, tmp_path / "foreign" / "model.safetensors", {"format": "pt"})
    layout = describe(tmp_path / "foreign")
    assert layout.kind == "foreign" and description in layout.description and reason in layout.reason
    (note,) = repair(tmp_path / "foreign", tmp_path / "copy")
    assert note.startswith("Not repaired, nothing written") and reason in note
    assert not (tmp_path / "copy").exists()
    with pytest.raises(ValueError, match="Expected a linear head"):
        convert_head(encoder.config, read_weights(tmp_path / "foreign"), layout)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"upstream_layer_selection": 1, "featurizer": False}, "uses layer 1 only (Args.upstream_layer_selection)"),
        ({"upstream_feature_normalize": True}, "normalises each layer first (Args.upstream_feature_normalize)"),
    ],
)
def test_what_s3prls_command_line_changes_is_no_stock_head(arguments, reason, encoder, tmp_path):
    write_s3prl(tmp_path / "foreign", encoder, **arguments)
    assert describe(tmp_path / "foreign").kind == "foreign" and reason in describe(tmp_path / "foreign").reason
    (note,) = repair(tmp_path / "foreign", tmp_path / "copy")
    assert note.startswith("Not repaired, nothing written") and not (tmp_path / "copy").exists()


@pytest.mark.parametrize(("layer", "promise"), [(None, "no Args of s3prl"), (LAYERS - 1, "the same logits")])
def test_the_same_logits_are_promised_only_where_s3prl_says_which_layer_it_reads(layer, promise, encoder, tmp_path):
    write_s3prl(tmp_path / "foreign", encoder, featurizer=False, upstream_layer_selection=layer)
    remedy = {check.name: check.remedy for check in examine(tmp_path / "foreign")}["head"]
    note = repair(tmp_path / "foreign", tmp_path / "copy")[0]
    assert promise in note and promise in remedy
    assert ("the same logits" in note) == ("the same logits" in remedy) == (layer is not None)


def test_speechbrains_normalised_output_is_no_linear_head(encoder, tmp_path):
    write_speechbrain(tmp_path / "normalised", encoder, output_norm=True)
    assert "by the deviation of each utterance" in describe(tmp_path / "normalised").reason
    (tmp_path / "normalised" / "hyperparams.yaml").unlink()
    assert describe(tmp_path / "normalised").kind == "foreign"


def test_an_unreadable_file_is_named_itself(encoder, tmp_path):
    write_speechbrain(tmp_path / "foreign", encoder)
    (tmp_path / "foreign" / "hyperparams.yaml").write_text("output_norm: False", encoding="utf-16")
    check = {check.name: check for check in examine(tmp_path / "foreign")}["head"]
    assert "hyperparams.yaml' is damaged" in check.found and ".ckpt" not in check.remedy


def test_a_known_head_is_foreign_too_where_config_calls_code(encoder, tmp_path):
    write_single_layer(tmp_path / "foreign", encoder, name="classifier.out_proj", auto_map={"AutoModel": "custom.M"})
    assert "only its author's code" in repair(tmp_path / "foreign", tmp_path / "copy")[0]


def test_a_head_without_its_encoder_is_named(encoder, tmp_path):
    write_speechbrain(tmp_path / "headless", encoder)
    (tmp_path / "headless" / "wav2vec2.ckpt").unlink()
    assert "of the encoder are not in the folder" in describe(tmp_path / "headless").reason


def test_a_stock_head_is_known_whatever_torch_called_weight_norm(tmp_path):
    model = tiny_model("hubert-group")
    model.save_pretrained(tmp_path)
    assert describe(tmp_path).kind == "stock"
    weights = load_file(tmp_path / "model.safetensors")
    weights = {name.replace("parametrizations.weight.original0", "weight_g"): weights[name] for name in weights}
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert describe(tmp_path).kind == "stock"


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.ckpt"])
def test_a_pickle_that_would_run_code_is_refused_unread(name, tmp_path):
    torch.save({"classifier.weight": torch.zeros(2), "more": Bomb(tmp_path / "exploded")}, tmp_path / name)
    with pytest.raises(ValueError, match="is a pickle of more than tensors .*open.* not loaded"):
        read_weights(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_files_that_are_no_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no weights"):
        read_weights(tmp_path)
    path = tmp_path / "pytorch_model.bin"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ValueError, match="git lfs pull"):
        read_weights(tmp_path)
    torch.save({"classifier.weight": torch.zeros(999)}, path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match="Download it again|more than tensors"):
        read_weights(tmp_path)
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match="contains a Tensor"):
        read_weights(tmp_path)
