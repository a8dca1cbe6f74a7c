"""Classical acoustic features of an utterance: a fixed-size vector of named values.

Both feature functions take a waveform and return a pandas Series, so a list of results converts to a table:
``pd.DataFrame([classical_features(waveform) for waveform in waveforms])``.

All classical features are computed from one short-time Fourier transform, including the pitch: the inverse transform of
the power spectrum is the autocorrelation, and with a window of 40 ms in a transform of 64 ms, lags of up to 24 ms are
free of wrap-around.

Shapes: T samples, F frames, K frequency bins.
"""

import functools
from typing import TYPE_CHECKING, Any

import librosa
import numpy as np
import pandas as pd
import scipy.fft

if TYPE_CHECKING:
    import opensmile

SAMPLING_RATE = 16_000  # Hz
MIN_SAMPLES = 4_000  # 0.25 s, enough frames for slopes and for eGeMAPS
N_FFT = 1_024
WIN_LENGTH = 640  # 40 ms, three periods of the lowest pitch
FRAMES: dict[str, Any] = {"n_fft": N_FFT, "win_length": WIN_LENGTH, "hop_length": 256}
LOWEST, HIGHEST = 75.0, 600.0  # Hz, range of the pitch
OCTAVE_COST = 0.01  # per octave: among peaks of similar height, prefers the highest pitch
VOICED = 0.45  # minimum periodicity of a voiced frame
AUDIBLE = 0.03  # minimum amplitude of a voiced frame, relative to the loudest frame
PERCENTILES = (10, 50, 90)


def classical_features(waveform: np.ndarray) -> pd.Series:
    """Compute statistics over the frames of MFCCs and their deltas, mel bands, chroma, contrast, level and pitch.

    Levels are in dB, limited to 80 dB below the maximum. Frequencies are in kHz. Pitch is in octaves above 200 Hz, over
    the voiced frames only (0 if there are none). All values are finite, even for silence and for a single sample.

    Args:
        waveform: ``(T,)`` float32 at 16 kHz. Its mean is subtracted, and it is zero-padded to at least 0.25 s.

    Returns:
        ``(626,)`` float32 with the index "mfcc_1_mean", …, "pitch_p90", "voiced_share".

    Examples:
        >>> features = classical_features(np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32))
        >>> abs(round(float(features["pitch_mean"]), 1)), round(float(features["voiced_share"]), 1)
        (0.0, 1.0)
    """
    waveform = _lengthen(waveform - waveform.mean())
    spectrum = np.abs(librosa.stft(waveform, **FRAMES))
    pitch, periodicity = _track_pitch(np.square(spectrum))
    voiced = periodicity >= VOICED
    tracks = _describe_spectrum(spectrum) | _describe_waveform(waveform) | {"periodicity": periodicity[None]}
    octaves = np.log2(pitch[voiced] / 200) if voiced.any() else np.zeros(1)
    features = _summarize(tracks) | _summarize({"pitch": octaves[None]}) | {"voiced_share": voiced.mean()}
    return pd.Series(features, dtype=np.float32)


def egemaps_features(waveform: np.ndarray) -> pd.Series:
    """Compute the functionals of eGeMAPSv02, ``(88,)`` float32, with the names used by openSMILE.

    Args:
        waveform: ``(T,)`` float32 at 16 kHz; it is zero-padded to at least 0.25 s.

    Raises:
        ImportError: If opensmile is not installed.

    Source: Eyben et al. 2016, The Geneva Minimalistic Acoustic Parameter Set, https://doi.org/10.1109/TAFFC.2015.2457417
    """
    table = load_egemaps().process_signal(_lengthen(waveform), SAMPLING_RATE)
    return table.iloc[0].astype(np.float32).rename(None)


@functools.cache
def load_egemaps() -> "opensmile.Smile":
    """Return the extractor of eGeMAPS.

    Raises:
        ImportError: If opensmile is not installed.
    """
    try:
        import opensmile
    except ImportError as error:
        raise ImportError('eGeMAPS features need opensmile: pip install "ser_hf[egemaps]"') from error
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def _lengthen(waveform: np.ndarray) -> np.ndarray:
    return np.pad(waveform, (0, max(0, MIN_SAMPLES - len(waveform))))


def _describe_spectrum(spectrum: np.ndarray) -> dict[str, np.ndarray]:
    """Return the spectral features ``(n, F)`` by name, from magnitudes ``(K, F)``."""
    power = np.square(spectrum)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=SAMPLING_RATE, n_mels=40))
    mfcc = librosa.feature.mfcc(S=mel, n_mfcc=20)
    return {
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc),
        "mfcc_delta2": librosa.feature.delta(mfcc, order=2),
        "mel": mel,
        "chroma": librosa.feature.chroma_stft(S=power, sr=SAMPLING_RATE, tuning=0.0),  # tuning estimation is for music
        "contrast": librosa.feature.spectral_contrast(S=spectrum, sr=SAMPLING_RATE, n_bands=5),  # octaves up to 6.4 kHz
        "centroid": librosa.feature.spectral_centroid(S=spectrum, sr=SAMPLING_RATE) / 1000,
        "rolloff": librosa.feature.spectral_rolloff(S=spectrum, sr=SAMPLING_RATE) / 1000,
        "flatness": librosa.power_to_db(librosa.feature.spectral_flatness(S=spectrum)),
    }


def _describe_waveform(waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Return the waveform features ``(1, F)`` by name, from samples ``(T,)``."""
    frames: dict[str, Any] = {"frame_length": WIN_LENGTH, "hop_length": FRAMES["hop_length"]}
    return {
        "zero_crossings": librosa.feature.zero_crossing_rate(waveform, **frames),
        "rms": librosa.amplitude_to_db(librosa.feature.rms(y=waveform, **frames)),
    }


def _track_pitch(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pitch in Hz and periodicity (0 for silent frames, about 1 for a tone), each ``(F,)``.

    Args:
        power: Power spectrum ``(K, F)``.

    Source: Boersma 1993, Accurate short-term analysis of the fundamental frequency, with the defaults of Praat. Path
    finding is omitted, because only the distribution of the pitch is needed.
    """
    power = power.copy()
    power[: int(LOWEST * N_FFT / SAMPLING_RATE)] = 0  # removes hum
    correlation = scipy.fft.irfft(power, axis=0)
    energy = correlation[0]
    lags = np.arange(int(SAMPLING_RATE / HIGHEST) - 1, int(SAMPLING_RATE / LOWEST) + 2)
    strength = correlation[lags] / np.maximum(energy, 1e-12) / _window_correlation()[lags, None]
    before, here, after = strength[:-2], strength[1:-1], strength[2:]
    peaks = np.where((here > before) & (here >= after), here, 0)
    best = np.argmax(peaks - OCTAVE_COST * np.log2(lags[1:-1, None]), axis=0)[None]
    before, here, after, peak = (np.take_along_axis(x, best, 0)[0] for x in (before, here, after, peaks))
    curvature = np.minimum(before - 2 * here + after, -1e-12)
    shift = np.where(
        peak > 0, 0.5 * (before - after) / curvature, 0
    )  # vertex of the parabola through the peak, at most half a sample away
    audible = energy > AUDIBLE**2 * energy.max()
    return SAMPLING_RATE / (lags[best[0] + 1] + shift), peak * audible


@functools.cache
def _window_correlation() -> np.ndarray:
    window = librosa.filters.get_window("hann", WIN_LENGTH)
    correlation = scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(window, N_FFT))))
    return (correlation / correlation[0]).astype(np.float32)


def _summarize(tracks: dict[str, np.ndarray]) -> dict[str, float]:
    """Return mean, standard deviation and percentiles of each row of ``(n, F)`` arrays, by name; rows count from 1."""
    rows = [
        name if len(track) == 1 else f"{name}_{i}" for name, track in tracks.items() for i in range(1, len(track) + 1)
    ]
    values = np.concatenate(list(tracks.values()))
    statistics = {"mean": values.mean(1), "std": values.std(1)}
    percentiles = np.percentile(values, PERCENTILES, axis=1)
    statistics |= {f"p{rank}": ranked for rank, ranked in zip(PERCENTILES, percentiles, strict=True)}
    return {f"{row}_{key}": column[i] for i, row in enumerate(rows) for key, column in statistics.items()}
