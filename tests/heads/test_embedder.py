import numpy as np
import pytest
import torch
from architectures import CONFIGS, feature_extractor, tiny_model
from transformers import AutoModel, AutoModelForAudioClassification, WhisperForConditionalGeneration

from ser_hf.data import extract_features
from ser_hf.data.preparation import MIN_DURATION
from ser_hf.heads import embedder
from ser_hf.heads.embedder import Embedder, pool_frames, real_patches
from ser_hf.models import MelConfig

RNG = np.random.default_rng(0)
WAVEFORMS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 9_001, 4_000, 31_231, 5_120, 7_400)]
FULL = RNG.normal(0, 0.1, 32_000).astype(np.float32)  # all of tiny Whisper's context of 2 s


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Save a tiny classifier of an architecture once and return its folder."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def save(name):
        if not (folder / name).exists():
            tiny_model(name).save_pretrained(folder / name)
            feature_extractor(name).save_pretrained(folder / name)
        return str(folder / name)

    return save


@torch.no_grad()
def stock_hidden_states(folder, name, waveform):
    """Return the stock encoder's hidden states of one unpadded utterance, each ``(F, D)``."""
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    inputs = extract_features(feature_extractor(name), [waveform])
    return [layer[0] for layer in model(**inputs, output_hidden_states=True).hidden_states]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_equals_the_single_utterance(checkpoint, name):
    embedder = Embedder(checkpoint(name))
    batch = embedder.embed(WAVEFORMS)
    assert batch.shape == (len(WAVEFORMS), 3, 2, 16)
    assert batch.dtype == np.float32
    single = np.concatenate([embedder.embed([waveform]) for waveform in WAVEFORMS])
    assert np.abs(batch - single).max() < 1e-5 * max(1, np.abs(single).max())
    assert np.abs(single - single[:1])[1:].max() > 1e-2  # utterances differ by far more


@pytest.mark.parametrize("name", CONFIGS)
def test_mean_and_deviation_are_those_of_the_stock_hidden_states(checkpoint, name):
    layers = stock_hidden_states(checkpoint(name), name, FULL)
    if name == "audio-spectrogram-transformer":  # its 1 s is full too; two tokens stand for no audio
        layers = [layer[2:] for layer in layers]
    vectors = Embedder(checkpoint(name)).embed([FULL])[0]
    for vector, layer in zip(vectors, layers, strict=True):
        assert vector[0] == pytest.approx(layer.mean(0).numpy(), abs=1e-5)
        assert vector[1] == pytest.approx(layer.std(0, correction=0).numpy(), abs=1e-5)


def test_the_embedding_is_the_same_twice_and_from_another_embedder(checkpoint):
    first, second = Embedder(checkpoint("hubert-group")), Embedder(checkpoint("hubert-group"))
    vectors = first.embed(WAVEFORMS)
    assert np.array_equal(vectors, first.embed(WAVEFORMS))
    assert np.array_equal(vectors, second.embed(WAVEFORMS))


@pytest.mark.parametrize("name", ["wav2vec2-layer", "whisper", "sew", "wav2vec2-bert", "audio-spectrogram-transformer"])
def test_very_short_and_silent_utterances_are_finite(checkpoint, name):
    vectors = Embedder(checkpoint(name)).embed([np.ones(1, np.float32), np.zeros(3_000, np.float32), *WAVEFORMS[:1]])
    assert np.isfinite(vectors).all()
    assert embedder.MIN_DURATION == MIN_DURATION


def test_whisper_hears_nothing_after_its_context(checkpoint):
    embedder = Embedder(checkpoint("whisper"))
    longer = np.concatenate([FULL, WAVEFORMS[0]])
    assert np.array_equal(embedder.embed([longer]), embedder.embed([FULL]))


def test_whispers_work_is_cut_to_the_longest_of_the_batch(checkpoint, monkeypatch):
    embedder = Embedder(checkpoint("whisper"))
    lengths = []
    embedder.model.encoder.conv1.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[-1]))
    embedder.embed(WAVEFORMS[1:3])
    assert lengths == [2 * (29 + 1)]  # ceil(9001 / 320) frames and one of silence


def test_whispers_frames_are_counted_from_the_samples(checkpoint, monkeypatch):
    masks = []
    monkeypatch.setattr("ser_hf.heads.embedder.pool_frames", lambda _, real: masks.append(real) or torch.zeros(1))
    Embedder(checkpoint("whisper")).embed([FULL[:320 * 20], FULL[:320 * 20 + 1], FULL[:1]])  # fmt: skip
    assert masks[0].sum(1).tolist() == [20, 21, 13]


def test_asts_patches_are_real_where_they_begin_in_audio():
    config = CONFIGS["audio-spectrogram-transformer"]()  # 2 bands of 9 steps, each 10 spectra after the one before
    samples = torch.tensor([400, 400 + 9 * 160, 400 + 10 * 160, 64_000])
    real = real_patches(samples, config)
    assert real.shape == (4, 2 + 2 * 9)
    assert not real[:, :2].any()
    assert real[:, 2:].view(4, 2, 9).sum(-1).tolist() == [[1, 1], [1, 1], [2, 2], [9, 9]]
    assert real[2, 2:].view(2, 9)[:, :2].all()


def test_frames_that_are_not_real_do_not_count():
    hidden_states = torch.tensor([[[1.0], [3.0], [1e6]], [[2.0], [2.0], [5.0]]])
    real = torch.tensor([[True, True, False], [True, True, True]])
    assert pool_frames(hidden_states, real).tolist() == [[[2.0], [1.0]], [[3.0], [pytest.approx(2**0.5)]]]


@pytest.mark.parametrize("name", CONFIGS)
def test_bfloat16_stays_near_float32(checkpoint, name):
    exact = Embedder(checkpoint(name)).embed(WAVEFORMS)
    fast = Embedder(checkpoint(name), dtype=torch.bfloat16).embed(WAVEFORMS)
    assert fast.dtype == np.float32
    assert 0 < np.abs(fast - exact).max() < 0.05 * np.abs(exact).max()


def test_an_encoder_without_a_head_and_a_whole_recogniser_are_taken(tmp_path):
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(CONFIGS["whisper"]())
    model.save_pretrained(tmp_path / "whisper")
    assert Embedder(str(tmp_path / "whisper")).embed([FULL]).shape == (1, 3, 2, 16)
    AutoModel.from_config(CONFIGS["wavlm-group"]()).save_pretrained(tmp_path / "wavlm")
    assert Embedder(str(tmp_path / "wavlm")).embed([FULL]).shape == (1, 3, 2, 16)


def test_missing_weights_of_the_encoder_are_refused(tmp_path):
    tiny_model("hubert-layer").save_pretrained(tmp_path)
    CONFIGS["whisper"]().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="lacks .* weights of its whisper encoder"):
        Embedder(str(tmp_path))


def test_the_mel_model_is_refused(tmp_path):
    AutoModelForAudioClassification.from_config(MelConfig(hidden_size=8)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="found the mel model .* no layers"):
        Embedder(str(tmp_path))
