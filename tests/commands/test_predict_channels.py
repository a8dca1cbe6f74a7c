"""`ser-hf predict` on recordings with a speaker per channel."""

import numpy as np
import pandas
import pytest
import soundfile
from commands.predicting import predict

from ser_hf.cli import main
from ser_hf.data.hearing import Hearing
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.backends import Backend


@pytest.fixture
def call(tmp_path):
    """Half a second of two channels, a low tone and a high one, and the same channels as mono files."""
    times = np.arange(8_000) / 16_000
    channels = [0.3 * np.sin(2 * np.pi * frequency * times) for frequency in (150, 1_500)]
    soundfile.write(tmp_path / "call.wav", np.stack(channels, 1), 16_000, subtype="FLOAT")
    for number, samples in enumerate(channels, 1):
        soundfile.write(tmp_path / f"mono {number}.wav", samples, 16_000, subtype="FLOAT")
    return tmp_path / "call.wav"


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pandas.read_csv), (".parquet", pandas.read_parquet)])
def test_separate_channels_have_rows_of_their_own_with_the_scores_of_mono_files(
    model, call, tmp_path, asked, suffix, read
):
    argv = ["predict", "--model", str(model), "--output"]
    separate = [*argv, str(tmp_path / f"call{suffix}"), str(call), "--channels", "separate"]
    for _ in range(2):  # the second call finds all rows
        assert main([*separate, "--channel_names", "agent", "customer"]) == 0
    assert len(asked) == 2
    table = read(tmp_path / f"call{suffix}")
    assert table[["channel", "speaker", "duration"]].values.tolist() == [[1, "agent", 0.5], [2, "customer", 0.5]]
    monos = [str(tmp_path / f"mono {number}.wav") for number in (1, 2)]
    assert main([*argv, str(tmp_path / f"mono{suffix}"), *monos]) == 0
    scores = [name for name in table if name.startswith("score_")]
    np.testing.assert_allclose(table[scores], read(tmp_path / f"mono{suffix}")[scores], atol=1e-6)
    assert abs(table[scores].diff().iloc[1]).max() > 1e-4


def test_a_silent_channel_and_an_unreadable_file_are_error_rows(model, call, tmp_path):
    soundfile.write(tmp_path / "one.wav", np.stack([np.zeros(8_000), soundfile.read(call)[0][:, 1]], 1), 16_000)
    (tmp_path / "text.wav").write_text("not audio")
    files = [str(tmp_path / "one.wav"), str(tmp_path / "text.wav")]
    options = ["--model", str(model), "--output", str(tmp_path / "out.csv"), "--channels", "separate"]
    assert main(["predict", *files, *options]) == 0
    table = pandas.read_csv(tmp_path / "out.csv")
    assert "one.wav', channel 1, is silent" in table["error"][0]
    assert (pandas.isna(table["error"][1]), table["speaker"][1]) == (True, "channel 2")
    assert (table["channel"][2], pandas.isna(table["speaker"][2])) == (1, True)
    assert "Cannot read" in table["error"][2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--channels", "separate", "--channel_names", "agent"], "has 2 channels: expected 1, because there are 1"),
        (["--channels", "separate", "--channel_names", "a", "a"], "channel_names: expected different names"),
        (["--channel_names", "agent", "customer"], "channel_names need --channels separate"),
        (["--channels", "separate", "--speakers", "call.rttm"], "speakers and separate channels exclude each other"),
    ],
)
def test_names_that_do_not_fit_the_channels_are_refused(model, call, capsys, options, message):
    try:
        assert main(["predict", str(call), "--model", str(model), *options]) == 2
    except SystemExit as end:
        assert end.code == 2
    assert message in capsys.readouterr().err


def test_a_channel_of_a_recording_is_answered_by_its_own_speech(call, tmp_path):
    tones, rate = soundfile.read(call, dtype="float32")
    soundfile.write(tmp_path / "long.wav", np.tile(tones, (64, 1)), rate, subtype="FLOAT")  # 32 s

    def tell_pitch(waveforms):
        low = [np.abs(np.fft.rfft(waveform, 16_000)).argmax() < 500 for waveform in waveforms]
        return np.array([[0.9, 0.1] if each else [0.1, 0.9] for each in low])

    classifier = EmotionClassifier(Backend("torch", ["low", "high"], tell_pitch), Hearing())
    parts = [(str(tmp_path / "long.wav"), None, None, channel) for channel in (2, 1)]
    found = [(row.channel, row.emotion, row.duration) for row in classifier.predict_files(parts)]
    assert found == [(2, "high", 32.0), (1, "low", 32.0)]


def test_a_channel_that_the_file_lacks_is_an_error_row(model, call):
    classifier = EmotionClassifier.from_pretrained(model)
    (prediction,) = classifier.predict_files([(str(call), None, None, 3)])
    assert prediction.error == f"'{call}': expected a channel from 1 to 2, found channel 3."


def test_a_column_channel_of_the_input_is_renamed(model, calls, tmp_path):
    (calls / "list.csv").write_text("path,channel\nday 0/00.wav,left\n")
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert predict(model, tmp_path / "out.csv", calls / "list.csv") == 0
    assert pandas.read_csv(tmp_path / "out.csv")["input_channel"].tolist() == ["left"]


def test_a_column_speaker_of_the_input_is_kept_beside_the_speakers_of_channels_and_turns(model, call, tmp_path):
    (tmp_path / "list.csv").write_text("path,speaker,overlap\ncall.wav,Anna,yes\n")
    (tmp_path / "turns.rttm").write_text("SPEAKER call 1 0 0.4 <NA> <NA> Bo <NA> <NA>\n")
    argv = ["predict", str(tmp_path / "list.csv"), "--model", str(model), "--output"]
    assert main([*argv, str(tmp_path / "channels.csv"), "--channels", "separate"]) == 0
    table = pandas.read_csv(tmp_path / "channels.csv")
    assert table[["speaker", "input_speaker"]].values.tolist() == [["channel 1", "Anna"], ["channel 2", "Anna"]]
    assert main([*argv, str(tmp_path / "turns.csv"), "--speakers", str(tmp_path / "turns.rttm")]) == 0
    table = pandas.read_csv(tmp_path / "turns.csv")
    names = ["speaker", "input_speaker", "overlap", "input_overlap"]
    assert table[names].values.tolist() == [["Bo", "Anna", False, "yes"]]


@pytest.mark.parametrize("channels", ["mean", "separate"])
def test_rows_of_channels_and_of_their_means_are_not_mixed(model, call, tmp_path, capsys, channels):
    argv = ["predict", str(call), "--model", str(model), "--output", str(tmp_path / "out.csv"), "--channels"]
    other = {"mean": "separate", "separate": "mean"}[channels]
    assert main([*argv, channels]) == 0
    before = (tmp_path / "out.csv").read_bytes()
    assert main([*argv, other]) == 2
    words = f"has rows of --channels {channels}: expected rows of --channels {other}. Pass another --output."
    assert words in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_bytes() == before


def test_separate_channels_need_more_than_one(model, call, tmp_path, capsys):
    mono, options = str(tmp_path / "mono 1.wav"), ["--model", str(model), "--channels", "separate"]
    assert main(["predict", mono, *options]) == 2
    assert "mono 1.wav' has one channel: expected a recording with a speaker per channel." in capsys.readouterr().err
    assert main(["predict", mono, str(call), *options, "--output", str(tmp_path / "out.csv")]) == 0
    first, second, third = pandas.read_csv(tmp_path / "out.csv").to_dict("records")
    assert first["error"] == f"'{mono}' has one channel: expected a recording with a speaker per channel."
    assert [second["speaker"], third["speaker"]] == ["channel 1", "channel 2"]
