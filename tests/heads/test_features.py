import sys

import librosa
import numpy as np
import pandas as pd
import pytest

from ser_hf.heads import features
from ser_hf.heads.features import classical_features, egemaps_features

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.1, 16_000).astype(np.float32)
ODD = {
    "one sample": np.ones(1),
    "a tenth of a second": NOISE[:1_600],
    "silent": np.zeros(8_000),
    "constant": np.full(8_000, 0.5),
    "one click": np.eye(1, 8_000)[0],
    "clipped": np.sign(NOISE),
    "faint": NOISE * 1e-8,
    "loud": NOISE * 1e3,
}


def harmonic(frequency, *, harmonics=5, seconds=1.0):
    """Return a buzz ``(T,)`` at a frequency in Hz, or at one per sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, round(seconds * 16_000))) / 16_000
    return (0.1 * sum(np.sin(h * phase) / h for h in range(1, harmonics + 1))).astype(np.float32)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("error")
def test_odd_audio_has_finite_features_under_the_same_names(name):
    values = classical_features(ODD[name].astype(np.float32))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert values.index.equals(classical_features(NOISE).index)


def test_every_kind_of_feature_is_there_under_its_own_name():
    names = classical_features(NOISE).index
    assert names.is_unique
    assert len(names) == 626
    for name in ("mfcc_1_mean", "mfcc_20_std", "mfcc_delta_1_p10", "mfcc_delta2_20_p50", "mel_40_p90", "chroma_12_mean",
                 "contrast_6_mean", "centroid_std", "rolloff_mean", "flatness_p50", "zero_crossings_mean", "rms_p90",
                 "periodicity_mean", "pitch_p50", "voiced_share"):  # fmt: skip
        assert name in names


def test_a_list_of_utterances_is_a_table():
    table = pd.DataFrame([classical_features(waveform) for waveform in (NOISE, harmonic(200))])
    assert table.shape == (2, 626)
    assert set(table.dtypes) == {np.dtype(np.float32)}


@pytest.mark.parametrize("harmonics", [1, 5])
@pytest.mark.parametrize("frequency", [76, 80, 110, 150, 220, 333, 440, 590])
def test_the_pitch_of_a_tone_is_found_within_one_per_cent(frequency, harmonics):
    values = classical_features(harmonic(frequency, harmonics=harmonics))
    assert 200 * 2 ** values[["pitch_p10", "pitch_p50", "pitch_p90"]].to_numpy() == pytest.approx(frequency, rel=0.01)
    assert values["voiced_share"] > 0.95


def test_a_missing_fundamental_is_heard():
    assert classical_features(harmonic(150) - harmonic(150, harmonics=1))["pitch_p50"] == pytest.approx(
        np.log2(150 / 200), abs=0.01
    )


def test_a_glide_spreads_the_pitch():
    values = classical_features(harmonic(np.geomspace(100, 400, 16_000)))
    assert values["pitch_p50"] == pytest.approx(0, abs=0.05)
    assert values["pitch_p90"] - values["pitch_p10"] == pytest.approx(0.8 * 2, abs=0.1)


def test_noise_hum_and_silence_have_no_pitch():
    for waveform in (NOISE, harmonic(50, harmonics=1) + 0.01 * NOISE, np.zeros(8_000, np.float32)):
        values = classical_features(waveform)
        assert values["voiced_share"] < 0.05
    assert values["pitch_mean"] == values["pitch_std"] == 0


def test_the_voiced_share_is_the_share_of_frames_with_a_pitch():
    half = np.concatenate([harmonic(200, seconds=0.5), 0.3 * NOISE[:8_000]])
    assert classical_features(half)["voiced_share"] == pytest.approx(0.5, abs=0.05)
    assert classical_features(half)["pitch_p50"] == pytest.approx(0, abs=0.01)


def test_an_offset_changes_nothing_and_gain_changes_the_level_only():
    plain = classical_features(NOISE)
    assert np.allclose(classical_features(NOISE + 0.2), plain, atol=1e-3)
    louder = classical_features(NOISE * 10)
    assert louder["rms_mean"] == pytest.approx(plain["rms_mean"] + 20, abs=1e-3)
    assert louder["mel_7_p50"] == pytest.approx(plain["mel_7_p50"] + 20, abs=1e-3)
    same = plain.filter(regex="delta|mfcc_2_|chroma|contrast|centroid|zero|periodicity|std")
    assert np.allclose(louder[same.index], same, atol=2e-3)


def test_statistics_are_those_of_librosas_frames():
    waveform = NOISE - NOISE.mean()
    mel = librosa.feature.melspectrogram(y=waveform, sr=16_000, n_fft=1_024, win_length=640, hop_length=256, n_mels=40)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20)
    values = classical_features(NOISE)
    assert values["mfcc_2_mean"] == pytest.approx(mfcc[1].mean(), abs=1e-3)
    assert values["mfcc_20_std"] == pytest.approx(mfcc[19].std(), abs=1e-3)
    assert values["mfcc_5_p90"] == pytest.approx(np.percentile(mfcc[4], 90), abs=1e-3)


def test_egemaps_has_88_finite_functionals_for_odd_audio_too():
    pytest.importorskip("opensmile")
    for waveform in (NOISE, *ODD.values()):
        values = egemaps_features(waveform.astype(np.float32))
        assert values.shape == (88,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    values = egemaps_features(harmonic(220))
    assert values["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(36, abs=0.2)


def test_without_opensmile_the_error_names_the_extra(monkeypatch):
    features.load_egemaps.cache_clear()
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(ImportError, match=r'pip install "ser_hf\[egemaps\]"'):
        egemaps_features(NOISE)
