from types import SimpleNamespace

import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from transformers import AutoModelForAudioClassification

from ser_hf.corpora import load_corpus
from ser_hf.data import Collator, build_augmentation, build_dataset, prepare_audio, split_by_speaker
from ser_hf.heads.ridge import fit_regression
from ser_hf.models import MelConfig, make_padding_aware
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.model_arguments import ModelArguments
from ser_hf.training import head_start
from ser_hf.training.components import check_head_copies
from ser_hf.training.head_start import RegressionOptions, mean_hidden_states, start_from_readout, start_from_regression

LINEAR = [name for name in CONFIGS if name != "audio-spectrogram-transformer"]


@pytest.fixture(scope="module")
def train(toy_ravdess):
    split, _ = prepare_audio(split_by_speaker(load_corpus("ravdess", toy_ravdess)))
    return build_dataset(split, {"ravdess": toy_ravdess})["train"]


QUICK = ("wav2vec2-group", "whisper")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in LINEAR]
)
def test_the_head_answers_what_the_probe_answers(train, name):
    model, collator = tiny_model(name), Collator(feature_extractor(name))
    make_padding_aware(model)
    states = mean_hidden_states(model, train, collator, batch_size=5, bf16=False)
    weight, bias, _ = fit_regression(states, train["label"], train["speaker"])
    start_from_regression(model, train, collator, RegressionOptions(5), bf16=False)
    with torch.no_grad():
        batches = [collator([train[i]]) for i in range(6)]
        logits = torch.cat([model(**{k: v for k, v in batch.items() if k != "labels"}).logits for batch in batches])
    expected = states[:6] @ weight.T + bias
    assert logits.numpy() == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))


def test_a_probed_head_knows_the_training_speakers_better_than_chance(train):
    model, collator = tiny_model("whisper"), Collator(feature_extractor("whisper"))
    start_from_regression(model, train, collator, RegressionOptions(8), bf16=False)
    with torch.no_grad():
        batch = collator([train[i] for i in range(len(train))])
        labels = batch.pop("labels")
        assert (model(**batch).logits.argmax(-1) == labels).float().mean() > 0.5


@pytest.mark.parametrize("name", ["audio-spectrogram-transformer", "mel"])
def test_a_head_that_is_not_linear_is_refused(train, name):
    config = CONFIGS["audio-spectrogram-transformer"]() if name != "mel" else MelConfig(hidden_size=8)
    model = AutoModelForAudioClassification.from_config(config)
    with pytest.raises(ValueError, match=f"head of '{name}' is not linear"):
        start_from_regression(
            model, train, Collator(feature_extractor("wav2vec2-layer")), RegressionOptions(8), bf16=False
        )


def test_a_readout_knows_the_training_utterances_and_ends_in_a_stock_model(train):
    collator = Collator(feature_extractor("whisper"))
    model = start_from_readout(tiny_model("whisper"), train, collator, RegressionOptions(8))
    with torch.no_grad():
        batch = collator([train[i] for i in range(len(train))])
        labels = batch.pop("labels")
        assert (model(**batch).logits.argmax(-1) == labels).float().mean() > 0.6  # a quarter by chance
    assert type(model).__name__ == "WhisperForAudioClassification"


def test_copies_of_the_utterances_are_augmented_and_part_of_the_fit(train, monkeypatch):
    seen = []
    monkeypatch.setattr(
        head_start,
        "fit_regression",
        lambda states, *rest: seen.append((states, *rest)) or fit_regression(states, *rest),
    )
    collator = Collator(feature_extractor("whisper"), augment=build_augmentation(probability=1.0, gain=20))
    start_from_readout(tiny_model("whisper"), train, collator, RegressionOptions(8, copies=2))
    ((states, labels, speakers, *_),) = seen
    clean, first, second = np.split(states, 3)
    assert len(clean) == len(train) == len(labels) == len(speakers)
    assert not np.allclose(clean, first) and not np.allclose(first, second)
    start_from_readout(tiny_model("whisper"), train, collator, RegressionOptions(8))
    assert np.allclose(seen[1][0], clean, atol=1e-5)  # without copies, nothing is augmented


@pytest.mark.parametrize(
    ("data", "copies", "message"),
    [({"telephone": True}, 0, "augmentation has no effect"), ({}, 2, "head_copies: expected with an augmentation")],
)
def test_an_augmentation_without_effect_is_refused(data, copies, message):
    arguments = ModelArguments("encoder", head_init="readout", head_copies=copies)
    training = SimpleNamespace(num_train_epochs=0)
    with pytest.raises(ValueError, match=message):
        check_head_copies(DataArguments(["synthetic"], **data), arguments, training)
