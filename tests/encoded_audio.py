"""Write audio in the formats of FFmpeg."""

from fractions import Fraction

import numpy as np


def write_with_ffmpeg(av, path, waveform, codec, container, rate):
    """Encode a waveform ``(T,)`` at 16 kHz.

    Args:
        av: PyAV.
        path: File to write.
        waveform: Samples from -1 to 1.
        codec: Encoder.
        container: Format of the file.
        rate: Sampling rate of the file in Hz.
    """
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout, stream.bit_rate = "mono", 12_200 if codec == "amr_nb" else 96_000
        frame = av.AudioFrame.from_ndarray((waveform[None] * 32_767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        context = stream.codec_context
        context.format = av.Codec(codec, "w").audio_formats[0].name
        context.open()
        resampler = av.AudioResampler(context.format, "mono", rate, frame_size=context.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
