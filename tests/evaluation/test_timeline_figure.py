import tracemalloc
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import soundfile

from ser_hf.data.decoder import open_audio
from ser_hf.evaluation.figures.timeline import plot_timeline

EMOTIONS = ["angry", "sad"]


def segment(start, end, emotion, score, uncertain=False):
    scores = dict.fromkeys(EMOTIONS, 1 - score) | {emotion: score}
    return SimpleNamespace(start=start, end=end, emotion=emotion, score=score, uncertain=uncertain, scores=scores)


def write_tone(path, seconds, frequency, rate=16_000, channels=1):
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(rate) / rate)
        for _ in range(seconds):
            file.write(np.repeat(tone[:, None], channels, 1))
    return open_audio(path)


def test_segments_are_bars_in_the_lane_of_their_emotion_as_high_as_their_score(drawn, tmp_path):
    audio = write_tone(tmp_path / "tone.wav", 10, 1000)
    plot_timeline(audio, [segment(1, 3, "angry", 1.0), segment(4, 8, "sad", 0.5, True)], "unused.png")
    lanes = drawn[0].axes[2]
    assert [label.get_text() for label in lanes.get_yticklabels()] == ["sad", "angry"]
    sure, unsure = [bar for bars in lanes.containers for bar in bars if bar.get_width() > 1]
    assert (sure.get_x(), sure.get_width(), sure.get_y(), sure.get_height()) == pytest.approx((1, 2, 1, 0.9))
    assert (unsure.get_x(), unsure.get_width(), unsure.get_y(), unsure.get_height()) == pytest.approx((4, 4, 0, 0.45))
    assert unsure.get_hatch() and not sure.get_hatch()
    assert [text.get_text() for text in lanes.get_legend().get_texts()] == ["uncertain: low score"]
    assert lanes.get_xlim() == (0, 10)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("seconds", [2, 300])
def test_the_spectrogram_shows_a_tone_at_its_frequency(drawn, tmp_path, rate, seconds):
    plot_timeline(write_tone(tmp_path / "tone.wav", seconds, 1000, rate, channels=2), [], "unused.png")
    spectrogram = drawn[0].axes[1]
    (image,) = spectrogram.images
    levels, (_, right, _, top) = np.asarray(image.get_array()), image.get_extent()
    mel = (levels.mean(axis=1).argmax() + 0.5) / len(levels) * top
    assert 700 * (10 ** (mel / 2595) - 1) == pytest.approx(1000, rel=0.06)
    assert right == pytest.approx(seconds, rel=0.01)
    assert spectrogram.get_ylim()[1] == pytest.approx(2595 * np.log10(1 + min(8000, rate / 2) / 700))


@pytest.mark.slow
def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path, monkeypatch):
    monkeypatch.setattr("ser_hf.evaluation.figures.timeline.save_figure", lambda *_, **__: None)
    peaks = []
    for minutes in (1, 30):
        audio = write_tone(tmp_path / "tone.wav", 60 * minutes, 500, 8_000)
        tracemalloc.start()
        plot_timeline(audio, [], "unused.png")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2 * 2**20


def test_the_timeline_is_a_picture_and_so_is_one_without_speech(tmp_path):
    audio = write_tone(tmp_path / "tone.wav", 3, 500)
    plot_timeline(audio, [segment(1, 2, "sad", 0.9)], tmp_path / "timeline.png")
    plot_timeline(audio, [], tmp_path / "silent.png")
    heights = [matplotlib.image.imread(tmp_path / name).shape for name in ("timeline.png", "silent.png")]
    assert [shape[1] for shape in heights] == [1500, 1500] and heights[0][0] > heights[1][0]


def test_an_empty_recording_has_no_picture(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(ValueError, match="found no samples"):
        plot_timeline(open_audio(tmp_path / "empty.wav"), [], "unused.png")
