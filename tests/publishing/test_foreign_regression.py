"""A checkpoint in the layout of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim: a hidden layer and a tanh.

Every command refuses it, because a stock class would give it a random head.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from architectures import feature_extractor, tiny_model
from safetensors.torch import save_file

from ser_hf import DataArguments, EmotionClassifier
from ser_hf.publishing import publish
from ser_hf.publishing.doctor import examine, repair
from ser_hf.publishing.gate import run_gate
from ser_hf.scoring.evaluate import evaluate
from ser_hf.scoring.evaluation_arguments import EvaluationArguments


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign") / "msp-dim"
    model = tiny_model("wav2vec2-layer", emotions=("arousal", "dominance", "valence"))
    model.save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Wav2Vec2ForSpeechClassification"], "problem_type": "regression"}
    (folder / "config.json").write_text(json.dumps(config))
    head = {"dense": torch.nn.Linear(16, 16), "out_proj": torch.nn.Linear(16, 3)}
    weights = {f"wav2vec2.{name}": tensor for name, tensor in model.wav2vec2.state_dict().items()}
    weights |= {f"classifier.{name}": tensor for name, tensor in torch.nn.ModuleDict(head).state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_the_doctor_says_what_it_is_and_converts_nothing(foreign, tmp_path):
    (head,) = (check for check in examine(foreign) if check.name == "head")
    assert not head.passed
    assert "a regression head of two layers, 'classifier.dense' and 'classifier.out_proj'" in head.found
    assert "a tanh between the two layers" in head.found
    assert repair(foreign, tmp_path / "copy")[0].startswith("Not repaired, nothing written: a regression head")
    assert not (tmp_path / "copy").exists()


def test_the_gate_does_not_let_it_be_published(foreign, tmp_path):
    faults = {check.name: check.found for check in run_gate(foreign) if not check.passed}
    assert "Wav2Vec2ForSpeechClassification" in faults["architecture"]
    with pytest.raises(ValueError, match="Not publishable"):
        publish(foreign, "someone/msp-dim")
    copy = shutil.copytree(foreign, tmp_path / "renamed")
    config = (copy / "config.json").read_text().replace("ForSpeechClassification", "ForSequenceClassification")
    (copy / "config.json").write_text(config)
    (weights,) = (check for check in run_gate(copy) if check.name == "weights complete")
    assert weights.found.startswith("a random head, because classifier.bias, classifier.weight, projector.bias")


def test_it_is_neither_loaded_nor_evaluated(foreign, write_audio, tmp_path):
    refused = "lacks 4 weights of Wav2Vec2ForSequenceClassification .* would be random.*ser-hf doctor"
    with pytest.raises(ValueError, match=refused):
        EmotionClassifier.from_pretrained(foreign)(np.zeros(16_000, np.float32), sampling_rate=16_000)
    write_audio(tmp_path / "a.wav")
    (tmp_path / "rated.csv").write_text("path,emotion,speaker,arousal\na.wav,sad,s1,3\n")
    data = DataArguments(["table"], [str(tmp_path / "rated.csv")], rating_scale=[1, 7])
    with pytest.raises(ValueError, match=refused):
        evaluate(data, EvaluationArguments(model=str(foreign), output_dir=str(tmp_path / "scored")))
    assert not (tmp_path / "scored" / "all_results.json").exists()
