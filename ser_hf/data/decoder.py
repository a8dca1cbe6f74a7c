"""Open an audio file and read its samples in order: libsndfile first, FFmpeg for the other formats.

Durations follow the samples that are decoded, not the header: a file may be cut off, or have no valid header.
"""

import errno
import math
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from ser_hf.corpora.placeholders import describe_placeholder
from ser_hf.data.checks import HIGHEST_RATE, LOWEST_RATE, is_rate
from ser_hf.data.containers import Span, SpanFile, find_empty_size, find_streams, is_cut_ogg, stated_share
from ser_hf.data.ffmpeg import open_with_ffmpeg

BLOCK = 1 << 18  # samples of all channels per block, 1 MB
SMALL = 256  # frames per block of a damaged file, so that little is lost with the block that cannot be decoded
UNKNOWN = 1 << 62  # frames; libsndfile gives the largest integer if the header does not tell
MOST_MISSING = 0.05  # seconds that a file may lack without a word


class Stream(Protocol):
    """Describe a stream of samples in a file.

    Attributes:
        sampling_rate: In Hz.
        channels: Number of channels.
        encoding: Format and codec.
        frames: Number of samples per channel according to the header; None if it does not tell.
        added: Seconds that the encoder may have added, which the header counts and the decoder leaves out.
    """

    sampling_rate: int
    channels: int
    encoding: str
    frames: int | None
    added: float

    def blocks(self, first: int) -> Iterator[np.ndarray]:
        """Yield ``(T, channels)`` float32 from the sample `first` on; raise ValueError where decoding fails."""

    def has_end(self) -> bool:
        """Return whether the last sample that the header states can be decoded."""


class AudioReader:
    """Read the samples of an audio file, of any length, in constant memory; `open_audio` returns it.

    Attributes:
        path: Path of the file.
        sampling_rate: In Hz.
        channels: Number of channels.
        encoding: Format and codec, such as "WAV PCM_16".
        promised: Number of samples per channel according to the header; None if it does not tell.
    """

    def __init__(self, path: str | os.PathLike, streams: list[Stream], share: float | None = None):
        self.path, self._streams = path, streams
        self.sampling_rate, self.channels, self.encoding = _agree(path, streams)
        known = [stream.frames for stream in streams if stream.frames is not None]
        self.promised = round(sum(known) * (share or 1)) if len(known) == len(streams) else None
        self._lengths: list[int] = []

    def measure(self) -> int:
        """Return the number of samples per channel that can be decoded; the file is decoded only if in doubt."""
        self._lengths = self._lengths or [_measure_stream(stream) for stream in self._streams]
        return sum(self._lengths)

    def find_missing(self) -> float:
        """Return the seconds that the header promises and the file lacks; 0 if few, 0.05 and what encoders add.

        An Ogg file without the end of its stream lacks an unknown number of seconds, NaN: no header states a duration.
        """
        if self.encoding.startswith("OGG") and is_cut_ogg(self.path):
            return math.nan
        seconds = max(0, (self.promised or 0) - self.measure()) / self.sampling_rate
        return seconds if seconds > MOST_MISSING + max(stream.added for stream in self._streams) else 0.0

    def describe_missing(self) -> str:
        """Return what the file lacks, as the end of a sentence; an empty text if it lacks nothing."""
        return describe_missing(self.measure() / self.sampling_rate, self.find_missing())

    def blocks(self, start: float = 0.0, end: float | None = None) -> Iterator[np.ndarray]:
        """Yield the samples between two times, ``(T, channels)`` float32, in blocks of any size.

        Args:
            start: In seconds, at least 0.
            end: In seconds; None for the end of the file.

        Raises:
            ValueError: If samples before the end of the file cannot be decoded.
        """
        first = round(start * self.sampling_rate)
        left = None if end is None else round(end * self.sampling_rate) - first
        done = first
        try:
            for block in self._join_streams(first):
                block = block if left is None else block[: max(0, left - (done - first))]
                if left is not None and done - first >= left:
                    return
                if len(block):
                    yield block
                    done += len(block)
        except ValueError as error:
            if (length := self.measure()) > done:
                raise ValueError(
                    f"'{self.path}' is damaged: it cannot be decoded after {done / self.sampling_rate:.2f} s of "
                    f"{length / self.sampling_rate:.2f} s ({error}). Copy it again, or leave it out."
                ) from error

    def _join_streams(self, first: int) -> Iterator[np.ndarray]:
        if len(self._streams) > 1:
            self.measure()
        for number, stream in enumerate(self._streams):
            length = self._lengths[number] if len(self._streams) > 1 else first + 1
            if first < length:
                yield from stream.blocks(first)
            first = max(0, first - length)


def describe_missing(duration: float, missing: float) -> str:
    """Return what a file lacks, as the end of a sentence; an empty text if it lacks nothing.

    Args:
        duration: Seconds that the file has.
        missing: Seconds that it lacks; NaN if their number is unknown.

    Examples:
        >>> describe_missing(5.0, 10.0)
        'lacks the last 10.00 s of the 15.00 s that its header promises'
    """
    if not missing:
        return ""
    if math.isnan(missing):
        return f"breaks off after {duration:.2f} s: its Ogg stream has no end, and how much is missing is unknown"
    return f"lacks the last {missing:.2f} s of the {duration + missing:.2f} s that its header promises"


def open_audio(path: str | os.PathLike) -> AudioReader:
    """Return a reader of an audio file.

    Args:
        path: Regular file in any format of libsndfile, or of FFmpeg if it is installed, detected from its content.

    Raises:
        ValueError: If the file is not a regular file, cannot be read, or states an impossible sampling rate.
        OSError: If the file does not exist or cannot be opened.
    """
    if not stat.S_ISREG(stat_file(path).st_mode):  # before it is opened: a named pipe would wait for a writer
        raise ValueError(f"Cannot read '{path}': expected a file, found a {_name_kind(path)}.")
    with open(path, "rb", buffering=0) as file:
        streams, share = _open_sndfile(path, file), stated_share(file)
    if not streams and (placeholder := describe_placeholder(path)):
        raise ValueError(placeholder)
    return AudioReader(path, streams or [open_with_ffmpeg(path)], share if streams else None)


def stat_file(path: str | os.PathLike) -> os.stat_result:
    """Return size, times and kind of a file, as `os.stat` does.

    Raises:
        OSError: If there is no file; of a link, the message says what is wrong with it.
    """
    try:
        return os.stat(path)
    except OSError as error:
        if not os.path.islink(path) or error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        missing = f"a file that does not exist: '{os.readlink(os.fspath(path))}'"
        target = "itself" if error.errno == errno.ELOOP else missing
        raise type(error)(
            f"'{path}' is a link to {target}. Copy the file to this place, or remove the link."
        ) from error


class PlainSoundFile(soundfile.SoundFile):
    """A file whose `read` only reads: soundfile seeks after each read, which takes time and fails in some encodings."""

    def seekable(self) -> bool:
        """Return False, so that `read` does not seek; `seek` works where the encoding allows it."""
        return False


class SndfileStream:
    """A `Stream` that libsndfile decodes."""

    added = 0.0

    def __init__(self, path: str | os.PathLike, span: Span | None = None):
        self._path, self._span = path, span
        self._sound: PlainSoundFile | None = self._open()
        sound = self._sound
        self.sampling_rate, self.channels = sound.samplerate, sound.channels
        self.encoding = f"{sound.format} {sound.subtype}"
        unknown = sound.frames > UNKNOWN or (span is not None and (span.endless or bool(span.patch[1])))
        self.frames = None if unknown else sound.frames
        self._seekable = soundfile.SoundFile.seekable(sound)

    def blocks(self, first: int) -> Iterator[np.ndarray]:
        """Yield the samples from `first` on; see `Stream`."""
        size = max(SMALL, BLOCK // self.channels)
        sound, place = self._open_at(first)
        while self.frames is None or place < self.frames:
            count = size if self.frames is None else min(size, self.frames - place)
            try:
                block = sound.read(out=np.empty((count, self.channels), np.float32))
            except soundfile.LibsndfileError as error:
                if size == SMALL:
                    raise ValueError(str(error)) from error
                size = SMALL
                sound, place = self._open_at(first)
                continue
            if not len(block):
                return
            if place + len(block) > first:
                yield block[max(0, first - place) :]
                first = place + len(block)
            place += len(block)

    def has_end(self) -> bool:
        """Return whether the last sample that the header states can be decoded; see `Stream`."""
        if not (self.frames and self._seekable):
            return self.frames is not None
        with suppress(soundfile.LibsndfileError):
            sound = self._open()
            sound.seek(self.frames - 1)
            return len(sound.read(out=np.empty((1, self.channels), np.float32))) == 1
        return False

    def _open_at(self, first: int) -> tuple[PlainSoundFile, int]:
        """Return the stream at the sample `first`, or at its start if it cannot be sought in, and the position."""
        sound, self._sound = self._sound or self._open(), None
        if first and self._seekable:
            try:
                return sound, sound.seek(min(first, sound.frames))
            except soundfile.LibsndfileError:
                sound = self._open()
        return sound, 0

    def _open(self) -> PlainSoundFile:
        if self._span:
            return PlainSoundFile(SpanFile(open(self._path, "rb", buffering=0), self._span))  # noqa: SIM115
        # by its number, because libsndfile takes no name that is not UTF-8
        return PlainSoundFile(os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))


def _open_sndfile(path: str | os.PathLike, file: BinaryIO) -> list[Stream]:
    """Return the streams of a file that libsndfile decodes; an empty list for another format."""
    whole: Stream | None = None
    with suppress(soundfile.LibsndfileError):
        whole = SndfileStream(path)
    if (whole is None or not whole.frames) and (patch := find_empty_size(file)):
        with suppress(soundfile.LibsndfileError):
            return [SndfileStream(path, Span(0, os.fstat(file.fileno()).st_size, patch=patch))]
    if whole is None:
        return []
    with suppress(soundfile.LibsndfileError):
        if spans := find_streams(file, whole.encoding.split()[0]):
            return [SndfileStream(path, span) for span in spans]
    return [whole]


def _agree(path: str | os.PathLike, streams: list[Stream]) -> tuple[int, int, str]:
    """Return sampling rate, channels and encoding of streams, which must be equal."""
    rate, channels, encoding = streams[0].sampling_rate, streams[0].channels, streams[0].encoding
    if not is_rate(rate):
        raise ValueError(
            f"Cannot read '{path}': expected a sampling rate from {LOWEST_RATE} to {HIGHEST_RATE} Hz, found {rate} Hz "
            "in its header. If it is wrong, write the right one: sox -r RATE IN OUT"
        )
    if others := [stream for stream in streams if (stream.sampling_rate, stream.channels) != (rate, channels)]:
        raise ValueError(
            f"Cannot read '{path}': it joins recordings of {rate} Hz with {channels} channels and of "
            f"{others[0].sampling_rate} Hz with {others[0].channels} channels. Convert it: ffmpeg -i IN OUT.wav"
        )
    return rate, channels, encoding


def _measure_stream(stream: Stream) -> int:
    if stream.frames is not None and stream.has_end():
        return stream.frames
    frames = 0
    with suppress(ValueError):
        for block in stream.blocks(0):
            frames += len(block)
    return frames


def _name_kind(path: str | os.PathLike) -> str:
    mode = os.stat(path).st_mode
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")
