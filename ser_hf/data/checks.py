"""Checks that audio is a usable signal: the same for arrays, files, streams and training."""

from numbers import Real

import numpy as np

from ser_hf.corpora.files import pluralize

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz; lower values are probably kHz, no recorder has higher ones
LOUDEST = 8.0  # highest peak of floats: full scale is 1, far higher values are unscaled integers
MOST_CHANNELS = 32  # maximum for a chunk that has fewer samples than channels
SILENT = 1e-4  # range of the samples of digital silence, -80 dB: 3 steps of 16 bits, so that dither is silence too
FEW = 50  # samples of 0.05 s, which encoders need, at the lowest sampling rate
DIFFERENT = 0.05  # distance of a channel from the mean of the channels, relative to the range of the widest channel
CANCELLED = 0.05  # range of the mean of the channels, relative to the widest channel: -26 dB


class SilenceError(ValueError):
    """Signal that audio is silent, which is an answer of its own and never an emotion."""


class Levels:
    """Follow the lowest and highest sample of each channel, and of the mean of the channels, over several chunks.

    Examples:
        >>> levels = Levels("'a.wav'")
        >>> stereo = np.array([[0.5, 0.0], [-0.5, 0.0]], np.float32)
        >>> levels.add(stereo, stereo.mean(axis=1))
        >>> levels.dead_channels
        [2]
    """

    def __init__(self, name: str) -> None:
        """Start without a chunk.

        Args:
            name: What is read, at the start of messages.
        """
        self.name = name
        self.samples = 0  # of each channel
        self.low = self.high = np.zeros(0)  # of each channel
        self.mono = (np.inf, -np.inf)  # of the mean of the channels
        self.spread = 0.0  # largest distance of a sample from the mean of the channels

    def add(self, chunk: np.ndarray, mono: np.ndarray) -> None:
        """Add a chunk that is not empty.

        Args:
            chunk: ``(T, channels)``.
            mono: ``(T,)``, its mean over the channels.

        Raises:
            ValueError: If a sample is not finite, or far beyond full scale.
        """
        low, high = [mono.min()], [mono.max()]
        if chunk.shape[1] > 1:
            low, high = chunk.min(axis=0), chunk.max(axis=0)
        self.samples += len(mono)
        self.low = np.minimum(self.low, low) if self.low.size else np.asarray(low)
        self.high = np.maximum(self.high, high) if self.high.size else np.asarray(high)
        self.mono = min(self.mono[0], mono.min()), max(self.mono[1], mono.max())
        peak = max(-self.low.min(), self.high.max())
        if not np.isfinite(peak):
            raise ValueError(f"{self.name} holds samples that are not finite (NaN or infinity).")
        if peak > LOUDEST:
            raise ValueError(f"{self.name}: {_describe_peak(peak)}")
        if chunk.shape[1] > 1:
            self.spread = max(self.spread, float(np.abs(chunk - mono[:, None]).max()))

    @property
    def is_silent(self) -> bool:
        """Whether no channel varies: zeros, a constant offset, or dither."""
        return not self.low.size or bool((self.high - self.low).max() < SILENT)

    @property
    def dead_channels(self) -> list[int]:
        """Numbers of the channels, from 1, that are silent although another is not."""
        return [] if self.is_silent else (np.flatnonzero(self.high - self.low < SILENT) + 1).tolist()

    @property
    def differ(self) -> bool:
        """Whether the channels are different recordings, as those of a call, and not copies of one."""
        return not self.is_silent and self.spread > DIFFERENT * float((self.high - self.low).max())

    @property
    def offset(self) -> float:
        """Constant offset from 0 that all samples share, relative to full scale."""
        return max(self.mono[0], -self.mono[1], 0.0)

    def check(self) -> None:
        """Check that the whole audio can be used.

        Raises:
            SilenceError: If it is silent.
            ValueError: If the channels cancel each other.
        """
        self.check_channels()
        if self.is_silent:
            if self.samples < FEW:
                raise SilenceError(f"{self.name} has only {pluralize(self.samples, 'sample')}: expected speech.")
            low, high = self.mono
            level = f"all samples are {low:.4g}" if low == high else f"all samples are within {high - low:.1g}"
            raise SilenceError(f"{self.name} is silent ({level}): expected speech. Was the microphone muted?")

    def check_channels(self) -> None:
        """Check that the channels do not cancel each other, as two do of which one is the inverse of the other.

        Raises:
            ValueError: If they do.
        """
        if not self.is_silent and self.mono[1] - self.mono[0] < CANCELLED * (self.high - self.low).max():
            raise ValueError(
                f"{self.name} has {len(self.low)} channels that cancel each other: one is the inverse of another. Save "
                "one of them as a mono file: ffmpeg -i IN -af 'pan=mono|c0=c0' OUT.wav"
            )


def check_signal(samples: np.ndarray, name: str) -> None:
    """Check an array of samples as `Levels` does.

    Args:
        samples: ``(T,)`` or ``(T, channels)``, not empty.
        name: What it is, at the start of messages.

    Raises:
        SilenceError: If it is silent.
        ValueError: If a sample is not finite or far beyond full scale, or the channels cancel each other.
    """
    channels = samples.reshape(len(samples), -1)
    levels = Levels(name)
    levels.add(channels, channels.mean(axis=1))
    levels.check()


def check_rate(sampling_rate: int | None) -> None:
    """Check a sampling rate in Hz.

    Raises:
        ValueError: If it is not a whole number from 1000 to 768000.
    """
    if not is_rate(sampling_rate):
        raise ValueError(
            f"sampling_rate: expected the rate of the array in Hz, a whole number from {LOWEST_RATE} to "
            f"{HIGHEST_RATE}, found {sampling_rate!r}. Pass it: it is never guessed."
        )


def is_rate(sampling_rate: object) -> bool:
    """Return whether a value is a sampling rate in Hz that recordings have."""
    whole = isinstance(sampling_rate, Real) and float(sampling_rate).is_integer()
    return whole and LOWEST_RATE <= sampling_rate <= HIGHEST_RATE  # type: ignore[operator]


def check_samples(samples: np.ndarray) -> None:
    """Check that samples are finite floats of a valid shape and range; no samples, and silence, are valid too.

    Args:
        samples: ``(T,)`` or ``(T, channels)``.

    Raises:
        ValueError: If the shape, type or range is invalid, or a sample is not finite.
    """
    if samples.ndim not in (1, 2):
        raise ValueError(f"Expected samples (T,) or (T, channels), found shape {samples.shape}.")
    if samples.ndim == 2 and samples.shape[1] > max(len(samples), MOST_CHANNELS):
        raise ValueError(
            f"Expected (T, channels), found shape {samples.shape}: more channels than samples. Pass audio.T."
        )
    if samples.dtype.kind != "f":
        raise ValueError(
            f"Expected finite float samples within -1 to 1, found {samples.dtype}. Divide integers by their "
            "range: int16 by 32768."
        )
    if not np.isfinite(samples).all():
        raise ValueError("Expected finite float samples, found NaN or infinity.")
    if (peak := np.max(np.abs(samples), initial=0)) > LOUDEST:
        raise ValueError(_describe_peak(peak))


def _describe_peak(peak: float) -> str:
    return (
        f"Expected float samples within -1 to 1, found a peak of {peak:g}. Divide them by the range of the "
        f"original integers: 32768 for int16, {2**31} for int32."
    )
