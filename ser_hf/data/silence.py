"""Where the speech of an utterance is: by its energy, with thresholds relative to the levels of the utterance itself.

`ser_hf.data.silero` is the other way, for recordings with music or noises. The rest of this text is about the energy.

The level of a frame is its power between 100 and 4000 Hz (most of the voice, half of white noise), computed every 10 ms
and averaged over 50 ms. The noise floor is the 5th percentile of the levels of the utterance, and the loud level is the
99th. A frame is speech if its level is more than 2 dB above the noise floor (the relevant threshold in noise) and less
than 35 dB below the loud level (the relevant threshold in clean audio). If noise floor and loud level differ by less
than 6 dB, the audio is one uniform sound and all of it counts as speech. A margin of 0.1 s is kept before and after
speech, so that soft onsets and endings are not cut.

Source: own measurement on 60 random utterances of RAVDESS (noise floor mostly 55 to 70 dB below the loud level, breath
35 to 45 dB below it), clean and with white noise. The table shows the margin kept beyond the ends of speech in
milliseconds, as median (5th to 95th percentile); negative values are cut speech. The reference start and end of speech
are where the clean level comes within 38 dB of the loud level.

=====  ==============  =============  ================
SNR    start           end            worst cut
=====  ==============  =============  ================
clean  120 (69, 360)   90 (58, 114)   0 and 40
20 dB  110 (89, 120)   80 (20, 113)   0 and 50
10 dB  95 (20, 120)    25 (-70, 60)   370 and 160
=====  ==============  =============  ================

The speech cut at 10 dB is below the noise: at most 0.08 % of the energy of an utterance. Of 290 excerpts of 1 s from
within speech, none loses more than 40 ms clean or at 20 dB; 3 % lose more than 50 ms at 10 dB.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt

from ser_hf.data import silero
from ser_hf.data.audio import SAMPLING_RATE

FRAME = 160  # samples, 10 ms
SMOOTHING = 5  # frames
BAND = butter(2, (100, 4_000), "bandpass", fs=SAMPLING_RATE, output="sos")  # Hz
FLOOR, LOUD = 0.05, 0.99  # quantiles of the levels
ABOVE_FLOOR = 2.0  # dB
BELOW_LOUD = 35.0  # dB
LEAST_SPAN = 6.0  # dB; white and pink noise span 1 to 3, speech at 0 dB SNR 8 or more
MARGIN = 0.1  # seconds kept before and after speech
PAUSE = 0.3  # seconds; longer than the closure of a plosive
FADE = 160  # samples, 10 ms


def find_speech(waveform: np.ndarray, speech: str = "energy") -> list[tuple[float, float]]:
    """Return start and end in seconds of each speech segment, including a margin of 0.1 s on both sides.

    Segments are separated by pauses of more than 0.3 s. If no frame is speech (digital silence, noise, a tone), the
    whole waveform is one segment.

    Args:
        waveform: ``(T,)`` samples at 16 kHz, at any level.
        speech: How speech is detected, one of `silero.DETECTORS`.

    Raises:
        ValueError: If the waveform is empty, not mono or not finite.
        ImportError: If `speech` is "silero" and silero-vad or onnxruntime is not installed.
    """
    if waveform.ndim != 1 or not len(waveform) or not np.isfinite(waveform).all():
        raise ValueError(
            f"Expected a mono waveform (T,) of finite samples, found shape {waveform.shape}. Read it with load_audio."
        )
    duration = len(waveform) / SAMPLING_RATE
    size, frames = (silero.FRAME, silero.find_frames(waveform)) if speech == "silero" else (FRAME, _find_loud(waveform))
    if not len(frames):
        return [(0.0, duration)]
    pauses = np.flatnonzero(np.diff(frames) - 1 > PAUSE * SAMPLING_RATE / size)
    starts = frames[np.append(0, pauses + 1)] * size / SAMPLING_RATE - MARGIN
    ends = (frames[np.append(pauses, -1)] + 1) * size / SAMPLING_RATE + MARGIN
    return list(zip(np.maximum(starts, 0.0).tolist(), np.minimum(ends, duration).tolist(), strict=True))


def trim_ends(waveform: np.ndarray, speech: str = "energy") -> tuple[float, float]:
    """Return start and end in seconds of the speech, including a margin of 0.1 s on both sides.

    Args:
        waveform: ``(T,)`` samples at 16 kHz, at any level.
        speech: As for `find_speech`.

    Raises:
        ValueError: As `find_speech`.
        ImportError: As `find_speech`.
    """
    segments = find_speech(waveform, speech)
    return segments[0][0], segments[-1][1]


def remove_pauses(waveform: np.ndarray, speech: str = "energy") -> np.ndarray:
    """Shorten each pause of more than 0.3 s within the speech to about 0.2 s; silence at the ends is kept.

    The margins of 0.1 s after and before speech remain, joined by an equal-power cross-fade of 10 ms.

    Args:
        waveform: ``(T,)`` samples at 16 kHz, at any level.
        speech: As for `find_speech`.

    Returns:
        ``(S,)`` samples of the same type, S <= T.

    Raises:
        ValueError: As `find_speech`.
        ImportError: As `find_speech`.
    """
    times = np.array(find_speech(waveform, speech)).ravel()[1:-1]  # seconds: end of a segment, start of the next, …
    kept, *others = np.split(waveform, np.round(times * SAMPLING_RATE).astype(int))[::2]
    rise = np.sqrt(np.linspace(0, 1, FADE, dtype=waveform.dtype))
    for segment in others:
        joint = kept[-FADE:] * rise[::-1] + segment[:FADE] * rise
        kept = np.concatenate([kept[:-FADE], joint, segment[FADE:]])
    return kept


def _find_loud(waveform: np.ndarray) -> np.ndarray:
    """Return the numbers of the frames whose level is that of speech; none if no frame stands out."""
    levels = _measure_levels(waveform)
    floor, loud = np.quantile(levels, [FLOOR, LOUD])
    if loud - floor < LEAST_SPAN:
        return np.zeros(0, dtype=int)
    return np.flatnonzero(levels > max(floor + ABOVE_FLOOR, loud - BELOW_LOUD))


def _measure_levels(waveform: np.ndarray) -> np.ndarray:
    """Return the level of each frame, ``(F,)`` in dB."""
    waveform = waveform - waveform.mean(dtype=np.float64)  # without this, an offset makes the filter ring at the start
    band = sosfilt(BAND, waveform)
    power = np.add.reduceat(band**2, np.arange(0, len(band), FRAME)) / FRAME
    # A lower bound of 100 dB below the mean (not audible in 16 bits) avoids the logarithm of zero in digital silence.
    least = 1e-10 * np.mean(waveform**2) + np.finfo(np.float64).tiny
    return 10 * np.log10(np.maximum(uniform_filter1d(power, SMOOTHING), least))
