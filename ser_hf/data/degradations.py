"""Degrade waveforms as everyday recordings are degraded: noise, telephones, codecs, rooms, levels.

Each function takes and returns float32 waveforms ``(T,)`` at 16 kHz and is deterministic, given its generator.
"""

import functools
import io
from collections.abc import Sequence

import numpy as np
import soundfile
import soxr
from scipy import signal

from ser_hf.data.audio import SAMPLING_RATE

TELEPHONE_RATE = 8_000  # Hz
TELEPHONE_BAND = (300, 3_400)  # Hz
CODECS: dict[str, tuple[int, dict]] = {  # name -> sampling rate in Hz, and arguments of soundfile.write
    "mu_law": (TELEPHONE_RATE, {"format": "WAV", "subtype": "ULAW"}),
    "gsm": (TELEPHONE_RATE, {"format": "WAV", "subtype": "GSM610"}),
    "mp3_32": (
        SAMPLING_RATE,
        {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
        | {"compression_level": (160 - 32) / (160 - 8)},  # of 160 to 8 kbit/s, as libsndfile encodes it at 16 kHz
    ),
    "opus_8": (
        SAMPLING_RATE,
        {"format": "OGG", "subtype": "OPUS", "compression_level": (256 - 8) / (256 - 6)},  # of 256 to 6 kbit/s
    ),
}
ROOMS = {  # name -> size in metres, reverberation time (T60) in seconds, place of the speaker, place of the microphone
    "small": ([4.0, 3.0, 2.5], 0.4, [1.2, 1.0, 1.5], [2.6, 2.0, 1.2]),
    "large": ([14.0, 10.0, 5.0], 1.2, [4.0, 5.0, 1.6], [8.0, 5.5, 1.4]),
}
BABBLERS = 6
RANDOM_ROOMS = 24
LARGEST_ORDER = 40  # of reflections: later ones are below the noise of a recording


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Return a waveform with noise of the same length, at a signal-to-noise ratio in dB over the whole waveform.

    Examples:
        >>> tone = np.ones(4, np.float32)
        >>> add_noise(tone, np.array([1, -1, 1, -1], np.float32), 20.0).round(3).tolist()
        [1.100000023841858, 0.8999999761581421, 1.100000023841858, 0.8999999761581421]
    """
    ratio = np.sqrt(np.mean(waveform**2) / max(np.mean(noise**2), 1e-20)) * 10 ** (-snr / 20)
    return (waveform + ratio * noise).astype(np.float32)


def white_noise(length: int, generator: np.random.Generator) -> np.ndarray:
    """Return white noise ``(length,)``."""
    return generator.standard_normal(length).astype(np.float32)


def pink_noise(length: int, generator: np.random.Generator) -> np.ndarray:
    """Return noise ``(length,)`` whose power falls by 3 dB per octave, above 20 Hz."""
    hertz = np.fft.rfftfreq(length, 1 / SAMPLING_RATE)
    return _shape_noise(length, generator, np.where(hertz < 20, 0.0, np.maximum(hertz, 20) ** -0.5))


def speech_shaped_noise(length: int, generator: np.random.Generator, spectrum: np.ndarray) -> np.ndarray:
    """Return noise ``(length,)`` with the spectrum ``(F,)`` of `average_spectrum`."""
    hertz, bands = np.fft.rfftfreq(length), np.linspace(0, 0.5, len(spectrum))
    return _shape_noise(length, generator, np.interp(hertz, bands, np.sqrt(spectrum)))


def average_spectrum(waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean power ``(257,)`` of waveforms from 0 to 8 kHz."""
    return np.mean([signal.welch(waveform, nperseg=min(512, len(waveform)), nfft=512)[1] for waveform in waveforms], 0)


def babble(length: int, generator: np.random.Generator, voices: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum ``(length,)`` of random stretches of equal power from six of the voices."""
    noise = np.zeros(length)
    for i in generator.choice(len(voices), min(BABBLERS, len(voices)), replace=False):
        voice = np.resize(np.roll(voices[i], generator.integers(len(voices[i]))), length)
        noise += voice / max(np.sqrt(np.mean(voice**2)), 1e-10)
    return noise.astype(np.float32)


def transcode(waveform: np.ndarray, codec: str) -> np.ndarray:
    """Return a waveform after encoding and decoding with a codec of `CODECS`; at 8 kHz, with the band of a telephone.

    Raises:
        ValueError: If libsndfile was built without the codec.
    """
    rate, options = CODECS[codec]
    return _encode(limit_band(waveform) if rate == TELEPHONE_RATE else waveform, rate, options)


def random_telephone(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a waveform as after a telephone call, with mu-law or GSM at random."""
    return transcode(waveform, str(generator.choice(["mu_law", "gsm"])))


def random_codec(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a waveform after MP3 or Opus at a random low bitrate: about 8 to 64 kbit/s."""
    rate, options = CODECS[str(generator.choice(["mp3_32", "opus_8"]))]
    return _encode(waveform, rate, options | {"compression_level": float(generator.uniform(0.63, 0.99))})


def random_room(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a waveform as recorded in one of 24 random rooms.

    Raises:
        ImportError: If pyroomacoustics is not installed.
    """
    return _convolve(waveform, _random_response(int(generator.integers(RANDOM_ROOMS))))


def limit_band(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform without what a telephone leaves out: 300 to 3400 Hz remain.

    Source: ITU-T G.712, transmission performance of pulse code modulation channels.
    """
    filters = signal.butter(4, TELEPHONE_BAND, "bandpass", fs=SAMPLING_RATE, output="sos")
    return signal.sosfilt(filters, waveform).astype(np.float32)


def change_gain(waveform: np.ndarray, gain: float) -> np.ndarray:
    """Return a waveform with its level changed by a gain in dB, clipped to -1..1."""
    return np.clip(waveform * 10 ** (gain / 20), -1, 1).astype(np.float32)


def reverberate(waveform: np.ndarray, room: str) -> np.ndarray:
    """Return a waveform as recorded in a room of `ROOMS`, with the level and, without delay, the length of the input.

    Source:
        Allen and Berkley, "Image method for efficiently simulating small-room acoustics", 1979; Scheibler et al.,
        "Pyroomacoustics", 2018.

    Raises:
        ImportError: If pyroomacoustics is not installed.
    """
    return _convolve(waveform, _room_response(room))


def change_speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Return a waveform played at a speed: rate, pitch and formants change together."""
    return soxr.resample(waveform, SAMPLING_RATE * factor, SAMPLING_RATE)


def _shape_noise(length: int, generator: np.random.Generator, amplitudes: np.ndarray) -> np.ndarray:
    """Return noise ``(length,)`` with the amplitudes ``(length // 2 + 1,)`` of its spectrum."""
    spectrum = np.fft.rfft(generator.standard_normal(length)) * amplitudes
    return np.fft.irfft(spectrum, length).astype(np.float32)


def _encode(waveform: np.ndarray, rate: int, options: dict) -> np.ndarray:
    """Return a waveform after encoding at a sampling rate with arguments of soundfile, and decoding."""
    samples, file = soxr.resample(waveform, SAMPLING_RATE, rate), io.BytesIO()
    try:
        soundfile.write(file, np.clip(samples, -1, 1), rate, **options)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise ValueError(f"libsndfile {soundfile.__libsndfile_version__} cannot write {options}: {error}") from error
    file.seek(0)
    decoded, found = soundfile.read(file, dtype="float32")
    return _fit(soxr.resample(decoded, found, SAMPLING_RATE), len(waveform))


def _convolve(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return a waveform convolved with an impulse response, with the level and the length of the input."""
    reverberant = signal.fftconvolve(waveform, response)[: len(waveform)]
    level = np.sqrt(np.mean(waveform**2) / max(np.mean(reverberant**2), 1e-20))
    return (level * reverberant).astype(np.float32)


@functools.cache
def _room_response(room: str) -> np.ndarray:
    return _simulate_room(*ROOMS[room])


@functools.cache
def _random_response(number: int) -> np.ndarray:
    """Return the impulse response of a room of random size, reverberation time and places."""
    generator = np.random.default_rng(number)
    size = generator.uniform([3, 3, 2.4], [12, 9, 4])
    speaker, microphone = generator.uniform(0.1, 0.9, (2, 3)) * size
    return _simulate_room(size.tolist(), generator.uniform(0.2, 0.8), speaker.tolist(), microphone.tolist())


def _simulate_room(size: list[float], seconds: float, speaker: list[float], microphone: list[float]) -> np.ndarray:
    """Return the impulse response of a rectangular room from the direct sound on."""
    import pyroomacoustics

    absorption, order = pyroomacoustics.inverse_sabine(seconds, size)
    material = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(size, fs=SAMPLING_RATE, materials=material, max_order=min(order, LARGEST_ORDER))
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    response = room.rir[0][0]
    return response[int(np.argmax(np.abs(response))) :].astype(np.float32)


def _fit(waveform: np.ndarray, length: int) -> np.ndarray:
    """Return a waveform cut or padded with zeros to a length: codecs add some samples at the end."""
    return np.pad(waveform[:length], (0, max(0, length - len(waveform)))).astype(np.float32)
