import json
import shutil

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from publishing.hub_server import Repository, object_id, use_hub
from safetensors.torch import load_file, save_file
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline

from ser_hf.models import MelConfig, MelForAudioClassification
from ser_hf.publishing.doctor import examine, repair

EMOTIONS = ["angry", "happy", "neutral", "sad"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy") / "tiny"
    tiny_model("wav2vec2-layer", emotions=EMOTIONS).save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return folder


@pytest.fixture
def folder(healthy, tmp_path):
    return shutil.copytree(healthy, tmp_path / "tiny")


def faults(folder):
    return {check.name: check for check in examine(folder) if not check.passed}


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def unname(folder):
    numbered = {f"LABEL_{label}": label for label in range(4)}
    edit(folder, id2label={label: name for name, label in numbered.items()}, label2id=numbered)


def to_bin(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def answer(folder):
    waveform = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    answers = pipeline("audio-classification", model=str(folder))(waveform, top_k=None)
    return {answer["label"]: pytest.approx(answer["score"], abs=1e-6) for answer in answers}


@pytest.mark.parametrize("name", ["hubert-group", "whisper", "audio-spectrogram-transformer"])
def test_a_healthy_checkpoint_has_no_fault(name, tmp_path):
    tiny_model(name).save_pretrained(tmp_path)
    feature_extractor(name).save_pretrained(tmp_path)
    checks = examine(tmp_path)
    assert not faults(tmp_path) and checks[-1].name == "batch against single"
    assert all(check.found for check in checks)


def test_our_own_finished_run_and_mel_model_have_no_fault(published_folder, hub, tmp_path):
    assert not faults(published_folder)
    mel, names = tmp_path / "mel", {name: i for i, name in enumerate(EMOTIONS)}
    MelForAudioClassification(MelConfig(id2label=dict(enumerate(EMOTIONS)), label2id=names)).save_pretrained(mel)
    feature_extractor("wav2vec2-layer").save_pretrained(mel)
    assert not faults(mel)
    put(hub, {path.name: path.read_bytes() for path in mel.iterdir()})
    assert not faults("someone/tiny")


def test_a_missing_preprocessor_is_named_and_the_default_one_written(folder, healthy, tmp_path):
    (folder / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json is missing" in faults(folder)["preprocessor"].found
    (note,) = repair(folder, tmp_path / "copy")
    assert "the default of the architecture (Wav2Vec2FeatureExtractor, 16000 Hz, do_normalize=True)" in note
    assert not faults(tmp_path / "copy") and answer(tmp_path / "copy") == answer(healthy)
    assert not (folder / "preprocessor_config.json").exists()


def test_a_preprocessor_that_drops_the_mask_or_has_no_class_is_mended(folder, tmp_path):
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    extractor.return_attention_mask = extractor.do_normalize = False
    extractor.save_pretrained(folder)
    (note,) = repair(folder, tmp_path / "mask")
    assert note.endswith("now Wav2Vec2FeatureExtractor, 16000 Hz, do_normalize=False")
    assert AutoFeatureExtractor.from_pretrained(tmp_path / "mask").return_attention_mask
    (folder / "preprocessor_config.json").write_text('{"feature_extractor_type": "Unheard", "sampling_rate": 16000}')
    (note,) = repair(folder, tmp_path / "class")
    assert "the default of the architecture" in note and not faults(tmp_path / "class")


def test_labels_without_names_are_named_and_mended_only_with_names(folder, healthy, tmp_path):
    unname(folder)
    assert "LABEL_0" in faults(folder)["label names"].found
    (note,) = repair(folder, tmp_path / "unnamed")
    assert note.startswith("Not repaired: label names")
    with pytest.raises(ValueError, match="names of 4 emotions, found 2"):
        repair(folder, tmp_path / "two", emotions=["angry", "happy"])
    assert not (tmp_path / "two").exists()
    (note,) = repair(folder, tmp_path / "named", emotions=EMOTIONS)
    assert note == "Repaired: label names as given: angry, happy, neutral, sad."
    assert answer(tmp_path / "named") == answer(healthy)


@pytest.mark.parametrize("source", ["label2id", "labels.txt", "label_encoder.txt"])
def test_label_names_are_taken_from_where_the_checkpoint_has_them(source, folder, tmp_path):
    named = {emotion: label for label, emotion in enumerate(["very angry", *EMOTIONS[1:]])}
    unname(folder)
    if source == "label2id":
        edit(folder, label2id=named)
    elif source == "labels.txt":
        (folder / source).write_text("\n".join(named) + " \n\n")
    else:
        lines = [f"'{emotion}' => {label}" for emotion, label in named.items()]
        (folder / source).write_text("\n".join([*lines, "================", "'starting_index' => 0", ""]))
    (note,) = repair(folder, tmp_path / "copy")
    assert source in note
    assert AutoModelForAudioClassification.from_pretrained(tmp_path / "copy").config.label2id == named


def test_names_that_repeat_or_cannot_be_read_are_refused_before_anything_is_written(folder, tmp_path):
    with pytest.raises(ValueError, match="each emotion once"):
        repair(folder, tmp_path / "copy", emotions=["angry", "Angry", "happy", "sad"])
    unname(folder)
    (folder / "labels.txt").write_text("\n".join(EMOTIONS), encoding="utf-16")
    with pytest.raises(ValueError, match="labels.txt' is damaged: expected text in UTF-8"):
        repair(folder, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    repair(folder, tmp_path / "copy", emotions=EMOTIONS)
    assert not faults(tmp_path / "copy")


def test_float64_is_cast(folder, healthy, tmp_path):
    weights = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    edit(folder, dtype="float64")
    assert "F64" in faults(folder)["weights type"].found
    assert repair(folder, tmp_path / "copy") == ["Repaired: weights in float64, now float32."]
    assert not faults(tmp_path / "copy") and answer(tmp_path / "copy") == answer(healthy)


def test_a_bin_becomes_safetensors_with_the_same_answers(folder, healthy, tmp_path):
    to_bin(folder)
    assert faults(folder)["weights format"].found == "pytorch_model.bin"
    (note,) = repair(folder, tmp_path / "copy")
    assert note.startswith("Repaired: weights format (pytorch_model.bin), now a stock Wav2Vec2For")
    assert not (tmp_path / "copy" / "pytorch_model.bin").exists()
    assert not faults(tmp_path / "copy") and answer(tmp_path / "copy") == answer(healthy)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_bomb_is_named_and_never_goes_off(folder, tmp_path):
    to_bin(folder)
    torch.save({"classifier.weight": Bomb(tmp_path / "exploded")}, folder / "pytorch_model.bin")
    assert "is a pickle of more than tensors" in faults(folder)["head"].found
    with pytest.raises(ValueError, match="is a pickle of more than tensors"):
        repair(folder, tmp_path / "copy")
    assert not (tmp_path / "exploded").exists() and not (tmp_path / "copy").exists()


def test_code_that_no_head_needs_is_named_not_run_and_left_behind(folder, tmp_path):
    (folder / "custom.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    edit(folder, custom_pipelines={"emotion": {"impl": "custom.Pipeline"}})
    assert "custom.py" in faults(folder)["code"].found
    (note,) = repair(folder, tmp_path / "copy")
    assert note.startswith("Repaired: code (files ['custom.py']")
    assert not faults(tmp_path / "copy") and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architectures": ["Wav2Vec2ForSpeechClassification"]}, "the class 'Wav2Vec2ForSpeechClassification'"),
        ({"auto_map": {"AutoModelForAudioClassification": "modeling.Model"}}, "computed by its author's code"),
    ],
)
def test_a_head_that_its_authors_code_computes_is_not_taken_for_the_stock_head(changes, named, folder, tmp_path):
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')  # relu(projector(hidden))\n")
    edit(folder, **changes)
    assert named in faults(folder)["head"].found and "only its author's code" in faults(folder)["head"].found
    assert not {"weights finite", "batch against single"} & {check.name for check in examine(folder)}
    (note,) = repair(folder, tmp_path / "copy")
    assert note.startswith("Not repaired, nothing written") and named in note
    assert not (tmp_path / "copy").exists() and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("second", "kind", "remedy"),
    [
        ("classifier.out_proj", "a tanh between the", "author's code"),
        (None, "'classifier.out_proj' alone", "doctor --fix"),
    ],
)
def test_a_foreign_head_is_named_with_its_remedy(second, kind, remedy, folder):
    weights = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "wav2vec2" in name}
    if second:
        weights |= {"classifier.dense.weight": torch.zeros(16, 16), "classifier.dense.bias": torch.zeros(16)}
    weights |= {"classifier.out_proj.weight": torch.zeros(4, 16), "classifier.out_proj.bias": torch.zeros(4)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    check = faults(folder)["head"]
    assert kind in check.found and "random head" in check.found and remedy in check.remedy


def test_broken_weights_are_named(folder):
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"projector.bias": torch.full((16,), torch.nan)}, folder / "model.safetensors")
    assert "projector.bias (16 of 16)" in faults(folder)["weights finite"].found
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5_000])
    assert {"head", "weights files"} <= set(faults(folder))
    (folder / "model.safetensors").unlink()
    assert "has no weights" in faults(folder)["head"].found


def test_a_sick_config_hides_no_other_fault(folder):
    edit(folder, hidden_size="sixteen")
    assert "weights files" in {check.name for check in examine(folder)} and "head" in faults(folder)


def test_a_stock_head_without_the_encoders_weights_is_not_written(folder, tmp_path):
    weights = {
        name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "layers.1" not in name
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "random weights in the encoder" in faults(folder)["weights complete"].found
    with pytest.raises(ValueError, match="none that fit"):
        repair(folder, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_copy_goes_to_a_new_folder_only(folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        repair(folder, tmp_path / "full")
    with pytest.raises(ValueError, match="must not be changed"):
        repair(folder, folder / "copy")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "preprocessor_config.json"}


def test_what_is_no_checkpoint_is_said_plainly(healthy, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder, and could not be downloaded"):
        examine(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="found nothing"):
        examine(tmp_path)
    (tmp_path / "notes.txt").write_text("a diary")
    with pytest.raises(FileNotFoundError, match="expected config.json and model.safetensors, found .'notes.txt'."):
        examine(tmp_path)
    with pytest.raises(FileNotFoundError, match="is a file"):
        examine(healthy / "config.json")


def test_a_model_of_text_is_no_audio_classifier(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}')
    found = faults(tmp_path)
    assert found["architecture"].found.endswith("model_type 'bert'")
    assert "found 'bert'" in found["head"].found
    with pytest.raises(ValueError, match="expected a model_type among .*found 'bert'"):
        repair(tmp_path, tmp_path.with_name("copy"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with use_hub(monkeypatch, tmp_path / "cache") as hub:
        yield hub


def put(hub, contents):
    hub.repositories["someone/tiny"] = Repository(private=False)
    hub.repositories["someone/tiny"].commit(contents)
    hub.large = {object_id(content): content for content in contents.values()}


def test_a_model_of_the_hub_is_judged_like_a_folder_and_fetched_without_code_and_pickles(folder, hub, tmp_path):
    fetched = {path.name: path.read_bytes() for path in folder.iterdir()}
    named = {"custom.py": b"raise SystemExit", "optimizer.pt": b"pickle", "pytorch_model.bin": b"pickle"}
    put(hub, fetched | named | {"onnx/model.bin": b"elsewhere"})
    for name, content in named.items():
        (folder / name).write_bytes(content)
    assert set(faults("someone/tiny")) == {"code", "weights format"}
    assert faults("someone/tiny") == faults(folder)
    assert {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")} == set(fetched)
    assert "custom.py" in repair("someone/tiny", tmp_path / "copy")[0]
    with pytest.raises(FileNotFoundError, match="'someone/else' is not a folder"):
        examine("someone/else")
