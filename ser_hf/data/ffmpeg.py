"""Decode the formats that libsndfile does not read, such as m4a, amr and webm, by PyAV or by the program ffmpeg."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

PREROLL = 1.0  # seconds decoded before the wanted place, because codecs need them after a jump
WORTH_A_JUMP = 60.0  # seconds; a place before is reached by decoding
BYTES = 1 << 20  # read from the program at once
# Formats whose files state no duration: FFmpeg estimates it from the size of the file and the first bit rate.
HEADERLESS = {"aac", "ac3", "amr", "dts", "dtshd", "eac3", "gsm", "loas", "mlp", "mp3", "truehd"}


class UnknownFormatError(ValueError):
    """Signal that a file is in no format that can be decoded here."""


def open_with_ffmpeg(path: str | os.PathLike) -> "PyavStream | ProgramStream":
    """Open a file with PyAV if it is installed, or else with the program ffmpeg.

    Args:
        path: The file.

    Raises:
        UnknownFormatError: If neither is installed, or the file has no audio that can be decoded.
    """
    found = f"found {os.path.getsize(path)} bytes that it does not recognise"
    try:
        import av
    except ImportError:
        if program := shutil.which("ffmpeg"):
            return ProgramStream(path, program)
        raise UnknownFormatError(
            f"Cannot read '{path}': expected a format of libsndfile (wav, flac, mp3, ogg, opus, aiff), {found}. "
            'Install FFmpeg for other formats: pip install "ser_hf[formats]"; or convert the file: ffmpeg -i IN OUT.wav'
        ) from None
    try:
        return PyavStream(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error  # without its number and the path
        raise UnknownFormatError(
            f"Cannot read '{path}': expected audio in a format of libsndfile or FFmpeg, {found} ({reason}). "
            "Convert the file: ffmpeg -i IN OUT.wav"
        ) from error


class SeekableFile(io.FileIO):
    """A file that answers a position before its start, for which broken headers ask, as PyAV expects: by -1."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes, and return it."""
        try:
            return super().seek(offset, whence)
        except OSError:
            return -1


class PyavStream:
    """A stream that FFmpeg's libraries decode; see `ser_hf.data.decoder.Stream`."""

    added = 0.1

    def __init__(self, path: str | os.PathLike):
        self._path = path
        with self._open() as container:
            stream = container.streams.audio[0]
            self.sampling_rate, self.channels = stream.rate, stream.channels
            self.encoding = f"{container.format.name.split(',')[0].upper()} {stream.codec_context.name}"
            seconds = container.duration and container.duration / 1_000_000
            # The last frame of a codec is padded; MP4 tells by how much.
            self._is_exact = "mp4" in container.format.name
            if stream.duration is not None:
                seconds = float(stream.duration * stream.time_base)
            stated = seconds and container.format.name not in HEADERLESS
            self.frames = round(seconds * self.sampling_rate) if stated else None
        if not (self.sampling_rate and self.channels):
            raise ValueError("its audio has no sampling rate or no channels")

    def blocks(self, first: int) -> Iterator[np.ndarray]:
        """Yield the samples from `first` on; see `Stream`."""
        import av

        with self._open() as container:
            stream = container.streams.audio[0]
            place: int | None = 0
            if first > WORTH_A_JUMP * self.sampling_rate:
                container.seek(round((first / self.sampling_rate - PREROLL) * 1_000_000))
                place = None
            resampler = av.AudioResampler("flt", stream.layout, self.sampling_rate)
            last = np.zeros((0, self.channels), np.float32)
            try:
                for decoded in container.decode(stream):
                    if place is None:
                        place = round((decoded.time or 0.0) * self.sampling_rate)
                    for frame in resampler.resample(decoded):
                        yield last
                        block = frame.to_ndarray().reshape(-1, self.channels)
                        last = block[max(0, first - place) :]
                        place += len(block)
            except (av.FFmpegError, OSError) as error:
                yield last
                raise ValueError(str(error)) from error
            padding = (place or 0) - self.frames if self.frames and self._is_exact else 0
            yield last[: len(last) - padding] if 0 < padding < len(last) else last

    def has_end(self) -> bool:
        """Return False: containers state durations that differ from the audio, so that it is decoded to measure it."""
        return False

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import av

        # A file object and no protocols: a playlist must not open other files or addresses.
        options = {"protocol_whitelist": "none"}
        with SeekableFile(self._path) as file, av.open(file, options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise ValueError("it has no audio")
            if container.streams.audio[0].codec_context is None:
                raise ValueError("its audio has a codec that FFmpeg lacks")
            yield container


class ProgramStream:
    """A stream that the program ffmpeg decodes; see `ser_hf.data.decoder.Stream`."""

    frames: int | None = None
    added = 0.0

    def __init__(self, path: str | os.PathLike, program: str):
        self._command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}"]
        self._command += ["-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        self.sampling_rate = self.channels = 0
        next(self.blocks(0), None)
        if not self.channels:
            message = subprocess.run(self._command, capture_output=True, check=False).stderr.decode(errors="replace")
            raise UnknownFormatError(
                f"Cannot read '{path}': ffmpeg finds no audio in it ({message.strip() or 'no message'})."
            )
        self.encoding = "decoded by ffmpeg"

    def blocks(self, first: int) -> Iterator[np.ndarray]:
        """Yield the samples from `first` on; see `Stream`."""
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            try:
                if not self._read_header(process.stdout):
                    return
                width = 4 * self.channels
                skip = first * width
                while content := process.stdout.read(BYTES // width * width):
                    content, skip = content[skip:], max(0, skip - len(content))
                    yield np.frombuffer(content[: len(content) // width * width], "<f4").reshape(-1, self.channels)
            finally:
                process.kill()

    def has_end(self) -> bool:
        """Return False: the duration is not known before the end."""
        return False

    def _read_header(self, output) -> bool:
        """Read the header of the WAV that ffmpeg writes; return whether there is one."""
        if output.read(12)[:4] != b"RIFF":
            return False
        while (head := output.read(8))[:4] != b"data":
            content = output.read(int.from_bytes(head[4:], "little"))
            if head[:4] == b"fmt ":
                self.channels = int.from_bytes(content[2:4], "little")
                self.sampling_rate = int.from_bytes(content[4:8], "little")
            if not head:
                return False
        return True
