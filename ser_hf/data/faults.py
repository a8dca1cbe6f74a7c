"""Detection of faulty audio in a single utterance: unreadable, silent, clipped or truncated, and faults of channels."""

from collections.abc import Iterator

import numpy as np

from ser_hf.corpora import Utterance
from ser_hf.data.audio import follow_levels, read_header
from ser_hf.data.checks import Levels, SilenceError
from ser_hf.data.decoder import MOST_MISSING, describe_missing, open_audio
from ser_hf.data.fingerprint import SILENCE, decode_utterance

CLIPPED = 1e-4  # fraction of the samples; RAVDESS has no clipping, and one clipped plosive stays below this
OFFSET = 0.05  # of full scale; a microphone without a fault has less than 0.01


def find_faults(utterance: Utterance) -> Iterator[tuple[str, str, str]]:
    """Find the faults in the audio of an utterance.

    Yields:
        Kind ("unreadable", "silent", "clipped", "truncated", "dead channel" or "offset"), severity ("fault" or "note")
        and explanation.
    """
    levels, clipped, samples, total = Levels(f"'{utterance.path}'"), 0, 0, 0.0
    start, end = utterance.start or 0.0, utterance.end
    try:
        decode_utterance(utterance)
        reader, header = open_audio(utterance.path), read_header(utterance.path)
        for block in reader.blocks(start, end):
            clipped += _count_clipped(block)
            for mono in follow_levels([block], levels):
                total += float(mono.sum())
                samples += len(mono)
    except SilenceError as error:
        yield "silent", "fault", str(error)
        return
    except (ValueError, OSError) as error:
        yield "unreadable", "fault", str(error)
        return
    if (peak := max(-levels.mono[0], levels.mono[1])) < SILENCE:
        yield "silent", "fault", f"the peak is {peak:.5f} of full scale"
    if (share := clipped / samples) > CLIPPED:
        yield "clipped", "note", f"{share:.2%} of the samples are in flat peaks at full scale"
    if levels.dead_channels:
        yield "dead channel", "note", f"of {header.channels} channels, {levels.dead_channels} are silent"
    if abs(offset := total / samples) > OFFSET:
        yield "offset", "note", f"the mean of the samples is {offset:+.2f} of full scale instead of 0"
    if end is not None and end - header.duration > MOST_MISSING:
        yield (
            "truncated",
            "fault",
            f"the last {end - max(start, header.duration):.2f} s of the expected audio are missing",
        )
    elif end is None and header.missing:  # NaN too
        yield "truncated", "fault", f"the file {describe_missing(header.duration, header.missing)}"


def _count_clipped(samples: np.ndarray) -> int:
    """Return the number of ``(T, channels)`` samples in flat peaks near full scale, of the worst channel.

    A sample is in a flat peak if it equals the two samples before it.
    """
    samples = np.clip(samples, -1, 32_767 / 32_768)  # as in the cache: float and lossy formats may exceed full scale
    repeated = (samples[1:] == samples[:-1]) & (np.abs(samples[1:]) > 0.99)
    return int((repeated[1:] & repeated[:-1]).sum(axis=0).max(initial=0))
