"""The mel model: features, padding, saving, remote code and training behaviour."""

import subprocess
import sys

import librosa
import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForAudioClassification, Wav2Vec2FeatureExtractor

from ser_hf.models.configuration_mel import MelConfig
from ser_hf.models.modeling_mel import MelForAudioClassification, _dct_matrix, _spans

ENCODERS = ["cnn", "crnn", "lstm"]
FEATURES = ["mel", "mfcc"]
TINY = {"n_mels": 20, "n_mfcc": 10, "conv_channels": (4, 8), "hidden_size": 8, "num_labels": 4}
every_variant = pytest.mark.parametrize("encoder", ENCODERS), pytest.mark.parametrize("features", FEATURES)


def make_model(**options) -> MelForAudioClassification:
    torch.manual_seed(0)
    return MelForAudioClassification(MelConfig(**TINY | options)).eval()


def make_batch(*samples: int) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return noise utterances, and padded with their mask; the padding is not zero, so a leak shows."""
    generator = torch.Generator().manual_seed(1)
    utterances = [0.1 * torch.randn(count, generator=generator) for count in samples]
    mask = pad_sequence([torch.ones(count, dtype=torch.long) for count in samples], batch_first=True)
    return utterances, pad_sequence(utterances, batch_first=True, padding_value=0.5), mask


def logits_of(model: MelForAudioClassification, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(*inputs).logits


def for_every_variant(test):
    for mark in every_variant:
        test = mark(test)
    return test


@pytest.mark.parametrize("level", [{}, {"keep_level": True}, {"mean_normalization": 0.5}, {"trim_ends": True}], ids=str)
@for_every_variant
def test_padded_batch_equals_single_utterances(features, encoder, level):
    model = make_model(features=features, encoder=encoder, **level)
    make_running_statistics_matter(model)
    # An odd and an even number of frames, one frame, one sample, one short of a frame, one on its edge.
    utterances, padded, mask = make_batch(16000, 7777, 100, 1, 1599, 1600, 12345)
    batch = logits_of(model, padded, mask)
    single = torch.cat([logits_of(model, utterance[None]) for utterance in utterances])
    assert single.std(0).min() > 5e-4  # else equality would prove nothing
    torch.testing.assert_close(batch, single, rtol=1e-4, atol=1e-5)


def test_silence_at_the_ends_is_left_out_where_the_config_says_so():
    (speech,), _, _ = make_batch(16_000)
    noise_floor = 0.0001 * torch.randn(24_000, generator=torch.Generator().manual_seed(2))
    surrounded = torch.cat([noise_floor[:16_000], speech, noise_floor[16_000:]])
    trimming, plain = make_model(trim_ends=True), make_model()
    _, mask = trimming.features(surrounded[None], torch.tensor([40_000]))
    assert abs(int(mask.sum()) - 120) <= 6  # 1 s of speech and 0.1 s either side, in frames of 10 ms
    changes = [
        (logits_of(model, surrounded[None]) - logits_of(model, surrounded[None, 14_400:33_600])).abs().max()
        for model in (trimming, plain)
    ]
    assert changes[0] < changes[1] / 3


def test_noise_and_digital_silence_are_kept_whole():
    (noise,), _, _ = make_batch(16_000)
    for waveform in (noise, torch.zeros(16_000)):
        _, mask = make_model(trim_ends=True).features(waveform[None], torch.tensor([16_000]))
        assert int(mask.sum()) == 101


def make_running_statistics_matter(model: MelForAudioClassification) -> None:
    _, padded, mask = make_batch(9000, 4000)
    model.train()(padded, mask)
    model.eval()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_training_statistics_ignore_the_padding(encoder):
    model = make_model(encoder=encoder, dropout=0.0, apply_spec_augment=False).train()
    _, padded, mask = make_batch(8000, 5000)
    logits = model(padded, mask).logits
    more = torch.nn.functional.pad(padded, (0, 9000), value=0.7), torch.nn.functional.pad(mask, (0, 9000))
    torch.testing.assert_close(model(*more).logits, logits, rtol=1e-3, atol=1e-5)


@for_every_variant
def test_round_trip_keeps_logits_and_buffers(features, encoder, tmp_path):
    model = make_model(features=features, encoder=encoder)
    make_running_statistics_matter(model)
    model.save_pretrained(tmp_path)
    loaded, info = AutoModelForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is MelForAudioClassification
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(loaded.get_buffer(name), buffer, rtol=0, atol=0)
    _, padded, mask = make_batch(8000, 5000)
    torch.testing.assert_close(logits_of(loaded.eval(), padded, mask), logits_of(model, padded, mask))


def test_auto_classes_know_the_model(tmp_path):
    model = AutoModelForAudioClassification.from_config(MelConfig(num_labels=4))
    assert isinstance(model, MelForAudioClassification)
    assert model.classifier.out_features == 4
    model.config.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is MelConfig


def test_a_new_head_leaves_the_rest_loaded(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    loaded = MelForAudioClassification.from_pretrained(tmp_path, num_labels=6, ignore_mismatched_sizes=True)
    assert loaded.classifier.weight.shape == (6, 8)
    assert loaded.classifier.weight.isfinite().all() and loaded.classifier.weight.std() > 0
    torch.testing.assert_close(loaded.projector.weight, model.projector.weight)


@pytest.mark.slow
def test_checkpoint_runs_as_remote_code_without_ser_hf(tmp_path):
    folder = tmp_path / "checkpoint"
    id2label = dict(enumerate(["angry", "calm", "happy", "sad"]))
    model = make_model(id2label=id2label, label2id={name: number for number, name in id2label.items()})
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(folder)
    (utterance,), padded, _ = make_batch(8000)
    np.save(tmp_path / "utterance.npy", utterance.numpy())
    script = f"""
import sys, numpy
from transformers import pipeline
classify = pipeline("audio-classification", model={str(folder)!r}, trust_remote_code=True)
for answer in classify(numpy.load({str(tmp_path / "utterance.npy")!r})):
    print(answer["label"], answer["score"])
assert "ser_hf" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    expected = logits_of(model, padded)[0].softmax(-1)
    assert {name: pytest.approx(float(score), abs=1e-5) for name, score in found.items()} == {
        id2label[number]: share for number, share in enumerate(expected.tolist())
    }


@for_every_variant
def test_gradients_reach_every_parameter(features, encoder):
    model = make_model(features=features, encoder=encoder).train()
    _, padded, mask = make_batch(16000, 9000, 12000, 15000)
    loss = model(padded, mask, labels=torch.tensor([0, 1, 2, 3])).loss
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("recurrent", ["gru", "lstm"])
def test_crnn_has_the_recurrent_layers_asked_for(recurrent):
    model = make_model(encoder="crnn", recurrent=recurrent)
    assert {type(layer).__name__ for layer in model.encoder[-1].forwards} == {recurrent.upper()}


def test_spec_augment_acts_in_training_only():
    options = {"dropout": 0.0, "mask_time_prob": 0.5, "mask_feature_prob": 0.5, "mask_feature_length": 2}
    masked, plain = make_model(**options), make_model(**options, apply_spec_augment=False)
    _, padded, mask = make_batch(16000, 9000)
    torch.testing.assert_close(logits_of(masked, padded, mask), logits_of(plain, padded, mask))
    trained = logits_of(masked.train(), padded, mask)
    assert not torch.allclose(trained, logits_of(plain.train(), padded, mask), atol=1e-3)


def test_masked_spans_have_their_share_and_length():
    torch.manual_seed(0)
    spans = _spans(64, 1000, 0.1, 10, torch.device("cpu"))
    assert spans.shape == (64, 1000)
    assert 0.08 < spans.float().mean() < 0.1  # overlap costs a little
    assert _spans(3, 4, 1.0, 10, torch.device("cpu")).shape == (3, 4)  # a span longer than the utterance
    assert not _spans(3, 400, 0.0, 10, torch.device("cpu")).any()


def test_utterances_shorter_than_a_span_train():
    model = make_model(mask_time_prob=0.5, mask_time_length=50).train()
    _, padded, mask = make_batch(300, 1, 20)
    assert model(padded, mask, labels=torch.tensor([0, 1, 2])).loss.isfinite()


@for_every_variant
def test_silence_gives_finite_logits_and_gradients(features, encoder):
    model = make_model(features=features, encoder=encoder).train()
    silence = torch.zeros(2, 8000)
    assert logits_of(model, silence).isfinite().all()
    model(silence, labels=torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_mel_filters_are_those_of_librosa():
    model = make_model(n_mels=64)  # Slaney scale and Slaney norm, librosa's defaults
    expected = librosa.filters.mel(sr=16000, n_fft=512, n_mels=64, fmin=50, fmax=7600)
    np.testing.assert_allclose(model.features.filters.numpy(), expected, atol=1e-7)


def test_dct_is_orthonormal():
    matrix = _dct_matrix(20, 20)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(20), atol=1e-5, rtol=0)
    torch.testing.assert_close(_dct_matrix(5, 20), matrix[:5])


@pytest.mark.parametrize("features", FEATURES)
def test_features_do_not_depend_on_the_gain(features):
    model = make_model(features=features)
    _, padded, mask = make_batch(8000, 5000)
    loud, _ = model.features(padded, mask.sum(-1))
    quiet, _ = model.features(padded / 8, mask.sum(-1))
    torch.testing.assert_close(loud, quiet, rtol=1e-3, atol=1e-3)


def test_keep_level_lets_the_gain_count():
    model = make_model(keep_level=True)
    _, padded, mask = make_batch(8000, 5000)
    difference = model.features(padded, mask.sum(-1))[0] - model.features(padded / 8, mask.sum(-1))[0]
    assert difference[0].mean().item() == pytest.approx(2 * np.log(8), abs=0.01)  # log power, every bin alike


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_mean_normalization_takes_its_share_of_each_bins_mean(share):
    plain, normalized = (make_model(keep_level=True, mean_normalization=each) for each in (0.0, share))
    _, padded, mask = make_batch(8000, 5000)
    features, frames = plain.features(padded, mask.sum(-1))
    features = features * frames[:, None, None]
    means = (features.sum(-1) / frames.sum(-1)[:, None, None])[..., None] * frames[:, None, None]
    found, _ = normalized.features(padded, mask.sum(-1))
    torch.testing.assert_close(found, features - share * means, rtol=1e-3, atol=1e-3)


def test_labels_may_be_shares_and_outputs_tuples():
    model = make_model()
    _, padded, mask = make_batch(8000, 5000)
    shares = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    loss, logits = model(padded, mask, labels=shares, return_dict=False)
    assert loss.shape == () and logits.shape == (2, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_single(dtype):
    model = make_model(encoder="crnn")
    _, padded, mask = make_batch(8000, 5000)
    expected = logits_of(model, padded, mask)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(logits_of(model, padded, mask).float(), expected, rtol=0.1, atol=0.1)
    half = logits_of(model.to(dtype), padded.to(dtype), mask)
    torch.testing.assert_close(half.float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "crn"}, r"Unknown encoder 'crn': expected one of \['cnn', .*\]\. Did you mean 'crnn'\?"),
        ({"features": "mfc"}, r"Unknown features 'mfc': .* Did you mean 'mfcc'\?"),
        (
            {"recurrent": "transformer"},
            r"Unknown recurrent 'transformer': expected one of \['gru', 'lstm'\]\.$",
        ),
        ({"win_length": 600}, "n_fft of at least win_length=600, found 512"),
        ({"n_mfcc": 65}, "n_mfcc of at most n_mels=64, found 65"),
        ({"hidden_size": 7}, "even hidden_size"),
        ({"mean_normalization": 1.5}, "mean_normalization from 0 to 1, found 1.5"),
    ],
)
def test_invalid_values_raise(options, message):
    with pytest.raises(ValueError, match=message):
        MelConfig(**options)
