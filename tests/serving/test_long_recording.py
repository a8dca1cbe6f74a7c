import tracemalloc

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model

from ser_hf.data.collator import extract_features
from ser_hf.serving.long_recording import timeline


def changes_of(segments):
    """Return the times between neighbours of another emotion, the middle of the pause if there is one."""
    pairs = zip(segments, segments[1:], strict=False)
    return [(before.end + after.start) / 2 for before, after in pairs if before.emotion != after.emotion]


@pytest.mark.parametrize("pause", [0.0, 0.3, 2.0])
def test_planted_changes_are_found_within_a_hop_and_no_others(recogniser, speak, record, pause):
    rng = np.random.default_rng(1)
    parts, planted, emotion = [], [], "neutral"
    for _ in range(20):
        emotion = rng.choice([other for other in recogniser.emotions if other != emotion])
        parts += [(emotion, round(rng.uniform(2.5, 8), 2)), ("", pause)]
        planted.append(sum(seconds for _, seconds in parts) - pause / 2)
    found = changes_of(list(timeline(recogniser, record(speak(*parts)))))
    assert len(found) == 19
    assert np.abs(np.array(found) - planted[:-1]).max() <= 1.0


def test_memory_is_constant_whatever_the_length(recogniser, speak, tmp_path):
    minute = speak(*[("sad", 3.0), ("", 1.0), ("angry", 5.0), ("", 1.0)] * 6)
    recogniser.score = lambda waveforms: np.tile([0.8, 0.1, 0.1], (len(waveforms), 1))
    peaks = []
    for minutes in (2, 10):
        with soundfile.SoundFile(tmp_path / "long.wav", "w", 16_000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        tracemalloc.start()
        assert sum(1 for _ in timeline(recogniser, tmp_path / "long.wav")) == 12 * minutes
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20


def test_silence_is_skipped_and_the_rest_is_scored_in_batches(recogniser, speak, record):
    path = record(speak(("", 60.0), ("sad", 2.0), ("", 60.0), ("angry", 12.0), ("", 60.0)))
    segments = list(timeline(recogniser, path, batch_size=4))
    assert [(each.emotion, round(each.start), round(each.end)) for each in segments] == [
        ("sad", 60, 62),
        ("angry", 122, 134),
    ]
    assert max(recogniser.batches) == 4 and sum(recogniser.batches) <= 11


def test_quiet_speech_after_a_shout_is_heard(recogniser, speak, record):
    noise = 1e-5 * np.random.default_rng(0).standard_normal(200_000)
    waveform = np.concatenate([speak(("angry", 3.0)), np.zeros(32_000), 0.01 * speak(("sad", 3.0)), np.zeros(32_000)])
    segments = list(timeline(recogniser, record(waveform + noise[: len(waveform)])))
    assert [segment.emotion for segment in segments] == ["angry", "sad"]


@pytest.mark.parametrize("waveform", [np.zeros(48_000), 1e-4 * np.random.default_rng(0).standard_normal(48_000)])
def test_a_silent_recording_has_no_segments(recogniser, record, waveform):
    assert list(timeline(recogniser, record(waveform))) == []
    assert recogniser.batches == []


def test_a_click_is_no_speech_and_a_syllable_is(recogniser, speak, record):
    assert list(timeline(recogniser, record(speak(("angry", 0.01))))) == []
    click = list(timeline(recogniser, record(speak(("", 1.0), ("angry", 0.03), ("", 1.0)))))
    assert click == []
    (syllable,) = timeline(recogniser, record(speak(("angry", 0.25))))
    assert (syllable.start, syllable.end, syllable.emotion) == (0, 0.25, "angry")


def test_scores_below_the_threshold_are_uncertain(recogniser, speak, record):
    mixture = speak(("sad", 3.0)) + 0.9 * speak(("angry", 3.0))
    path = record(np.concatenate([mixture, speak(("", 2.0), ("angry", 3.0))]))
    unsure, sure = timeline(recogniser, path)
    assert unsure.uncertain and not sure.uncertain
    assert unsure.score == max(unsure.scores.values()) < 0.7
    recogniser.uncertainty_threshold = None
    assert not any(segment.uncertain for segment in timeline(recogniser, path))


def test_channels_are_averaged(recogniser, speak, record):
    waveform = speak(("sad", 2.0), ("", 1.0), ("angry", 2.0))
    mono = list(timeline(recogniser, record(waveform)))
    assert list(timeline(recogniser, record(waveform, channels=2))) == mono


def test_files_without_finite_samples_are_refused(recogniser, record, tmp_path):
    with pytest.raises(ValueError, match="has no samples"):
        list(timeline(recogniser, record(np.zeros(0))))
    with pytest.raises(ValueError, match="not finite"):
        list(timeline(recogniser, record(np.full(100, np.nan))))
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match="Cannot read"):
        list(timeline(recogniser, tmp_path / "text.wav"))


def test_a_real_model_scores_a_recording(recogniser, speak, record):
    model, extractor = tiny_model("wav2vec2-layer").eval(), feature_extractor("wav2vec2-layer")
    recogniser.emotions = list(model.config.id2label.values())
    recogniser.score = lambda waveforms: (
        model(**extract_features(extractor, waveforms)).logits.softmax(-1).detach().numpy()
    )
    segments = list(timeline(recogniser, record(speak(("sad", 2.0), ("", 2.0), ("angry", 6.0)))))
    assert segments[0].start == 0 and segments[-1].end == 10
    assert all(sum(segment.scores.values()) == pytest.approx(1) for segment in segments)


def test_a_timeline_ends_where_the_audio_ends_and_says_what_is_missing(recogniser, speak, tmp_path, caplog):
    waveform = speak(("sad", 3.0), ("", 1.0), ("angry", 5.0))
    soundfile.write(tmp_path / "cut.mp3", waveform, 16_000)
    content = (tmp_path / "cut.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 3])
    segments = list(timeline(recogniser, tmp_path / "cut.mp3"))
    assert {segment.emotion for segment in segments} == {"sad"}
    assert segments[-1].end < 3.2
    assert "lacks the last 6." in caplog.text


def test_silence_has_no_segment_and_channels_that_cancel_are_an_error(recogniser, speak, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(32_000), 16_000)
    assert list(timeline(recogniser, tmp_path / "silent.wav")) == []
    waveform = speak(("sad", 2.0))
    soundfile.write(tmp_path / "inverted.flac", np.stack([waveform, -waveform], 1), 16_000)
    with pytest.raises(ValueError, match="2 channels that cancel each other"):
        list(timeline(recogniser, tmp_path / "inverted.flac"))
