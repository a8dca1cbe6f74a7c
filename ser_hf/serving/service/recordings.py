"""Decode the audio of a request, in memory, within limits."""

import io
import math
import os
import wave
from typing import NamedTuple

import numpy as np

from ser_hf.corpora.placeholders import recognise_placeholder
from ser_hf.data.audio import SAMPLING_RATE, follow_levels
from ser_hf.data.checks import Levels
from ser_hf.data.containers import begins_as_file
from ser_hf.data.decoder import open_audio
from ser_hf.data.ffmpeg import UnknownFormatError
from ser_hf.data.resampling import resample_whole
from ser_hf.serving.service.errors import NotAudioError, TooLongError, UploadError
from ser_hf.serving.service.memory_files import memory_file

NAME = "the recording"  # in messages, instead of a path
WIDTH = 2  # bytes of a sample without a header


class Recording(NamedTuple):
    """Hold the audio of a request.

    Attributes:
        waveform: Mean of the channels, ``(T,)`` float32 at 16 kHz.
        duration: In seconds.
        missing: Seconds that the header promises and the file lacks; NaN for an unknown number.
        notes: Sentences about what a user of the answer should know.
    """

    waveform: np.ndarray
    duration: float
    missing: float
    notes: list[str]


def decode_upload(content: bytes, *, longest: float) -> Recording:
    """Decode a file in memory, in any format of `open_audio`.

    Args:
        content: The bytes of the file.
        longest: Longest accepted duration in seconds; no more is decoded.

    Raises:
        NotAudioError: If it is no audio.
        TooLongError: If it is longer.
        UploadError: If it is silent or damaged, a sample is not finite or far beyond full scale, or the channels
            cancel each other.
    """
    with memory_file(content) as path:
        try:
            return _decode(path, longest)
        except ValueError as error:
            kind = type(error) if isinstance(error, UploadError) else UploadError
            text = str(error).replace(f"'{path}'", NAME).replace(path, NAME)
            raise kind(text[0].upper() + text[1:]) from error


def add_header(samples: bytes, sampling_rate: int) -> bytes:
    """Return samples of 16 bits, little-endian, mono, as the content of a WAV file.

    Args:
        samples: The samples.
        sampling_rate: In Hz.

    Raises:
        NotAudioError: If they begin as an audio file does, which has a header of its own.
        UploadError: If the number of bytes is odd.

    Examples:
        >>> len(add_header(bytes(1_000), 16_000))
        1044
    """
    if begins_as_file(samples):
        raise NotAudioError(
            "Expected samples without a header, because of the parameter sampling_rate, found an audio file. Leave out "
            "the parameter."
        )
    check_width(samples)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, WIDTH, sampling_rate, 0, "NONE", ""))
        file.writeframes(samples)
    return content.getvalue()


def check_width(samples: bytes) -> None:
    """Check that bytes are whole samples of 16 bits.

    Raises:
        UploadError: If their number is odd.
    """
    if len(samples) % WIDTH:
        raise UploadError(
            f"Expected samples of 16 bits, 2 bytes each, found {len(samples)} bytes. Send whole samples only."
        )


def _decode(path: str, longest: float) -> Recording:
    try:
        reader = open_audio(path)
    except ValueError as error:
        raise NotAudioError(_describe_content(path, error)) from error
    rate, levels = reader.sampling_rate, Levels(f"'{path}'")
    blocks = follow_levels(reader.blocks(end=longest + 1), levels, longest=round(longest * rate))
    try:
        waveform = resample_whole(blocks, rate, SAMPLING_RATE)
    except OverflowError as error:
        found = f"{reader.promised / rate:.0f} s" if reader.promised else "more"
        raise TooLongError(f"Expected at most {longest:g} s of audio, found {found}. Split {NAME}.") from error
    if waveform is None or not len(waveform):
        raise NotAudioError("Expected audio, found a header without samples. Record it again, or send another file.")
    levels.check()
    notes = []
    if levels.differ:
        notes.append(f"{NAME} has {reader.channels} different channels, which were averaged.")
    if broken := reader.describe_missing():
        notes.append(f"{NAME} {broken}.")
    notes = [note[0].upper() + note[1:] for note in notes]
    return Recording(waveform, levels.samples / rate, reader.find_missing(), notes)


def _describe_content(path: str, error: ValueError) -> str:
    """Return a message about a request that is no audio."""
    placeholder = recognise_placeholder(path)
    if placeholder is None and not isinstance(error, UnknownFormatError):
        return str(error)
    found = placeholder[0] if placeholder else f"{os.path.getsize(path)} bytes that are not audio, or damaged audio"
    return (
        f"Expected an audio file, such as WAV, FLAC, MP3 or Ogg, found {found}. Send the whole file; samples without a "
        "header need the parameter sampling_rate."
    )


def round_missing(missing: float) -> float | None:
    """Return seconds for JSON, which has no NaN: None for an unknown number."""
    return None if math.isnan(missing) else round(missing, 6)
