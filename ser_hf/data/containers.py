"""What the header of an audio file promises, where it contradicts the content, and the streams that a file joins."""

import io
import mmap
import os
import re
from typing import BinaryIO, NamedTuple

UNKNOWN_SIZE = 0x7FFFF000  # bytes; programs that write to a pipe put this value or more, as they do not know the size
ENDLESS = 1 << 40  # bytes; a length with which libsndfile reads an MP3 to its end, not to the end that it estimates
TAG = 128  # bytes of an ID3v1 tag at the end of an MP3, which libsndfile looks for
TAGS = 4_096  # bytes; what follows an MP3 stream and is shorter is tags, not another stream
OGG_START = re.compile(rb"OggS\x00[\x02\x06].{20}", re.DOTALL)  # first page of a logical stream
# Header of a frame, side information of 9, 17 or 32 zero bytes (with CRC 2 more), and the header of Xing or LAME.
XING = re.compile(rb"\xff[\xe2-\xff].{2}(?:\x00{9}|\x00{17}|\x00{32}|.{2}\x00{9}|.{2}\x00{17}|.{2}\x00{32})"
                  rb"(?:Xing|Info)(\x00{3}.)(.{4})(.{4})", re.DOTALL)  # fmt: skip
LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes of an Ogg page: header, table of segments, segments
END_OF_STREAM = 4  # flag of an Ogg page
# How files begin that are not MP3; the last one is WebM and Matroska.
HEADERS = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"fLaC",
    b"OggS",
    b"FORM",
    b"caff",
    b".snd",
    b"#!AMR",
    b"ID3",
    b"\x1a\x45\xdf\xa3",
)
BIT_RATES = {  # in kbit/s of MPEG 1 and 2, layer III; source: ISO/IEC 11172-3 and 13818-3
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
HAS_FRAMES, HAS_BYTES = 1, 2  # flags of the header of Xing


class Span(NamedTuple):
    """Hold the bytes of one stream in a file.

    Examples:
        >>> Span(0, 1_000).endless
        False
    """

    first: int
    last: int
    endless: bool = False  # whether the number of frames must not be estimated from the number of bytes
    patch: tuple[int, bytes] = (0, b"")  # bytes to read at this place instead of those of the file


class SpanFile(io.RawIOBase):
    """Present a `Span` of a file as a file for libsndfile."""

    def __init__(self, file: BinaryIO, span: Span):
        self.file, self.span, self.place = file, span, 0
        self.length = span.last - span.first
        self.stated = ENDLESS if span.endless else self.length

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes, and return it."""
        self.place = (0, self.place, self.stated)[whence] + offset
        return self.place

    def readinto(self, buffer) -> int:
        """Read bytes into a buffer, and return their number."""
        if self.span.endless and self.place >= self.stated - TAG:
            content = bytes(min(len(buffer), self.stated - self.place))  # no tag
        else:
            self.file.seek(self.span.first + self.place)
            content = self.file.read(max(0, min(len(buffer), self.length - self.place)))
            start, replacement = self.span.patch
            if self.place <= start < self.place + len(content):
                start -= self.place
                content = (content[:start] + replacement + content[start + len(replacement) :])[: len(content)]
        buffer[: len(content)] = content
        self.place += len(content)
        return len(content)


def begins_as_file(content: bytes) -> bool:
    """Return whether bytes begin as an audio file with a header does, unlike plain samples.

    Examples:
        >>> begins_as_file(b"fLaC" + bytes(1_000)), begins_as_file(bytes(1_000))
        (True, False)
    """
    return content.startswith(HEADERS) or content[4:8] == b"ftyp" or _begins_as_mp3(content)


def _begins_as_mp3(content: bytes) -> bool:
    """Return whether there is a header of an MP3 frame, and the next one where the frame ends."""
    if not re.match(rb"\xff[\xf2\xf3\xfa\xfb]", content) or not 0 < content[2] >> 4 < 15 or content[2] >> 2 & 3 == 3:
        return False
    version = 1 if content[1] >= 0xFA else 2
    sampling_rate = (44_100, 48_000, 32_000)[content[2] >> 2 & 3] // version
    bit_rate = 1_000 * BIT_RATES[version][(content[2] >> 4) - 1]
    end = 144 // version * bit_rate // sampling_rate + (content[2] >> 1 & 1)
    return content[end : end + 2] == content[:2]


def find_streams(file: BinaryIO, encoding: str) -> list[Span]:
    """Return the spans of the streams of an Ogg or MP3 file, which libsndfile reads wrongly as one file.

    Args:
        file: The file; its position changes.
        encoding: Format as named by libsndfile.

    Returns:
        The streams of a chained Ogg file, of joined MP3 files, or of an MP3 file without a number of frames; an empty
        list if libsndfile reads the file correctly.
    """
    if encoding not in ("OGG", "MP3") or not (size := file.seek(0, io.SEEK_END)):
        return []
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        spans = _find_links(content, size) if encoding == "OGG" else _find_mp3_streams(content, size)
    return [] if spans == [Span(0, size)] else spans


def _find_links(content: mmap.mmap, size: int) -> list[Span]:
    starts, page_end = [], -1
    for match in OGG_START.finditer(content):
        if match.start() != page_end:  # otherwise another stream of the same link
            starts.append(match.start())
        segments = content[match.start() + 26]
        table = match.start() + 27
        page_end = table + segments + sum(content[table : table + segments])
    return [Span(first, last) for first, last in zip(starts, [*starts[1:], size], strict=True)]


def _find_mp3_streams(content: mmap.mmap, size: int) -> list[Span]:
    headers: list[re.Match[bytes] | None] = [*XING.finditer(content)] or [None]
    starts = [0, *(match.start() for match in headers[1:] if match)]
    spans = []
    for first, last, match in zip(starts, [*starts[1:], size], headers, strict=True):
        if match is None or not match[1][3] & HAS_FRAMES:
            spans.append(Span(first, last, endless=True))
            continue
        stated = int.from_bytes(match[3], "big") if match[1][3] & HAS_BYTES else 0
        end = match.start() + stated
        if stated and last - end > TAGS and content[end] == 0xFF and content[end + 1] >= 0xE2:
            spans += [Span(first, end), Span(end, last, endless=True)]
        else:
            spans.append(Span(first, last))
    return spans


def is_cut_ogg(path: str | os.PathLike) -> bool:
    """Return whether a file ends with an Ogg page that is incomplete or does not end its stream.

    Source: RFC 3533, section 6.
    """
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, io.SEEK_END) - LONGEST_PAGE))
        page = file.read()
    page = page[max(0, page.rfind(b"OggS")) :]
    if page[:4] != b"OggS":
        return False
    return len(page) < 27 or not page[5] & END_OF_STREAM or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def find_empty_size(file: BinaryIO) -> tuple[int, bytes] | None:
    """Return where a WAV, AU or CAF header says that there are 0 bytes of samples, and the value for "unknown".

    A recorder writes the size when it stops, so that a size of 0 means that it was interrupted.
    """
    place, size, width = _find_data(file) or (0, 1, 0)
    return None if size else (place, b"\xff" * width)


def stated_share(file: BinaryIO) -> float | None:
    """Return the bytes of samples that the header of a WAV, AIFF, AU or CAF file states, divided by those in the file.

    Returns:
        Above 1 if the file is cut off; None if the header does not tell.
    """
    found = _find_data(file)
    if not found:
        return None
    place, size, width = found
    present = file.seek(0, io.SEEK_END) - place - width
    return size / present if 0 < present < size < UNKNOWN_SIZE else None


def _find_data(file: BinaryIO) -> tuple[int, int, int] | None:
    """Return the place, the value and the number of bytes of the size of the samples in the header."""
    file.seek(0)
    start = file.read(12)
    if start[:4] == b".snd":
        return 8, int.from_bytes(start[8:12], "big"), 4
    if start[:4] == b"caff":
        return _find_chunk(file, 8, b"data", "big", 8)
    if start[:4] == b"FORM":
        return _find_chunk(file, 12, b"SSND", "big", 4)
    if start[:4] in (b"RIFF", b"RIFX"):
        return _find_chunk(file, 12, b"data", "little" if start[3:4] == b"F" else "big", 4)
    return None


def _find_chunk(file: BinaryIO, place: int, name: bytes, order, width: int) -> tuple[int, int, int] | None:
    """Return the place, the value and the number of bytes of the size of a chunk; chunks start at `place`."""
    while True:
        file.seek(place)
        head = file.read(4 + width)
        if len(head) < 4 + width:
            return None
        size = int.from_bytes(head[4:], order)
        if head[:4] == name:
            return place + 4, size, width
        place += 4 + width + size + (size % 2 if width == 4 else 0)
