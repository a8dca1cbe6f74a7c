import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model

from ser_hf.cli import main
from ser_hf.commands import timeline as commands
from ser_hf.serving import EmotionClassifier
from ser_hf.serving.emotion_segments import Segment

RATE = 16_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model = tiny_model("wav2vec2-layer")
    model.config.uncertainty_threshold = 0.99
    model.save_pretrained(folder)
    feature_extractor("wav2vec2-layer").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Two stretches of noise with a pause between and after them."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE))
    pause = np.zeros(2 * RATE)
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    soundfile.write(path, np.concatenate([noise[0], pause, noise[1], pause]), RATE, subtype="FLOAT")
    return str(path)


def test_timeline_prints_segments_and_writes_every_format(checkpoint, talk, tmp_path, capsys):
    paths = [tmp_path / f"talk{ending}" for ending in (".csv", ".json", ".txt", ".vtt", ".png")]
    assert commands.timeline_command([talk, "--model", checkpoint, "--output", *map(str, paths)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    segments = json.loads(paths[1].read_text())
    assert heading.split() == ["start", "end", "emotion", "score"]
    assert len(segments) >= 2 and len(lines) == len(segments) + len(paths)
    for line, segment in zip(lines, segments, strict=False):
        start, end, emotion, score, percent, *note = line.split()
        assert (start, emotion, percent) == (f"0:{segment['start']:05.2f}", segment["emotion"], "%")
        assert note == ["uncertain"] * segment["uncertain"]
        assert int(score) == round(100 * segment["score"])
    assert {segment["uncertain"] for segment in segments} == {True, False}
    assert len(paths[0].read_text().splitlines()) == len(segments) + 1
    assert paths[2].read_text().count("\n") == len(segments)
    assert paths[3].read_text().count("-->") == len(segments)
    assert paths[4].read_bytes().startswith(b"\x89PNG")


def test_speakers_of_a_file_are_named_and_summarised(checkpoint, talk, tmp_path, capsys):
    (tmp_path / "talk.rttm").write_text(
        "SPEAKER talk 1 0 3 <NA> <NA> Anna <NA> <NA>\nSPEAKER talk 1 3.5 3 <NA> <NA> Bo <NA> <NA>\n"
    )
    assert commands.timeline_command([talk, "--model", checkpoint, "--speakers", str(tmp_path / "talk.rttm")]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["start", "end", "emotion", "score", "speaker"]
    assert {line.split()[5] for line in lines[:-2]} == {"Anna", "Bo"}
    assert [line[:9].split(":")[0] for line in lines[-2:]] == ["Anna", "Bo"]
    assert all(1.9 < float(line.split(" of speech: ")[0].rpartition(":")[2]) < 2.6 for line in lines[-2:])
    assert all("changes per minute" in line for line in lines[-2:])


def test_the_detector_of_speech_is_the_one_asked_for(checkpoint, talk, monkeypatch, capsys):
    assert commands.timeline_command([talk, "--model", checkpoint, "--speech", "silero"]) == 0
    assert "No speech found" in capsys.readouterr().out  # noise is no speech for it
    monkeypatch.setattr("ser_hf.data.silero.find_spec", lambda name: None)
    assert main(["timeline", talk, "--model", checkpoint, "--speech", "silero"]) == 2
    assert 'pip install "ser_hf[vad]"' in capsys.readouterr().err


def test_channels_are_speakers_if_asked_and_json_is_one_object_per_line(checkpoint, tmp_path, capsys):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    call = np.stack([np.r_[noise, np.zeros(2 * RATE)], np.r_[np.zeros(2 * RATE), noise]], 1)
    soundfile.write(tmp_path / "call.wav", call, RATE, subtype="FLOAT")
    options = ["--channels", "separate", "--channel_names", "agent", "customer", "--json"]
    assert commands.timeline_command([str(tmp_path / "call.wav"), "--model", checkpoint, *options]) == 0
    segments = [Segment(**json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    middles = {segment.speaker: (segment.start + segment.end) / 2 for segment in segments}
    assert middles["agent"] < 2 < middles["customer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speakers", "a.rttm", "--channels", "separate"], "speakers and separate channels exclude each other"),
        (["--channel_names", "a", "b"], "channel_names need --channels separate"),
    ],
)
def test_options_that_contradict_each_other_are_refused(checkpoint, talk, options, message, capsys):
    with pytest.raises(SystemExit):
        commands.timeline_command([talk, "--model", checkpoint, *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Expected a recording, found the folder '.*'. `ser-hf predict` reads folders"),
        ("nothing.wav", "No recording '.*nothing.wav': expected an audio file"),
    ],
)
def test_a_folder_or_a_missing_file_is_refused_before_the_model_is_loaded(
    checkpoint, tmp_path, name, message, monkeypatch
):
    monkeypatch.setattr(EmotionClassifier, "from_pretrained", None)
    with pytest.raises((ValueError, OSError), match=message):
        commands.timeline_command([str(tmp_path / name), "--model", checkpoint])


def test_window_hop_and_device_are_the_ones_asked_for(checkpoint, talk, tmp_path, monkeypatch):
    asked = {}
    load = EmotionClassifier.from_pretrained
    monkeypatch.setattr(EmotionClassifier, "from_pretrained", lambda *names, **how: asked.update(how) or load(*names))
    argv = [talk, "--model", checkpoint, "--output", str(tmp_path / "talk.json")]
    commands.timeline_command([*argv, "--window", "1.5", "--hop", "0.5", "--device", "cpu", "--dtype", "auto"])
    assert asked == {"device": "cpu", "dtype": "auto", "backend": "auto", "preprocessing": "windows"}
    times = [(segment["start"], segment["end"]) for segment in json.loads((tmp_path / "talk.json").read_text())]
    scores = [segment["scores"] for segment in json.loads((tmp_path / "talk.json").read_text())]
    segments = list(load(checkpoint).timeline(talk, window=1.5, hop=0.5))
    assert times == [(segment.start, segment.end) for segment in segments]
    assert scores == [pytest.approx(segment.scores, abs=1e-6) for segment in segments]
    for other in ({"window": 4.0, "hop": 0.5}, {"window": 1.5, "hop": 1.5}):
        assert [segment.scores for segment in load(checkpoint).timeline(talk, **other)] != scores


@pytest.mark.parametrize("option", ["--window=inf", "--window=nan", "--window=0", "--hop=-1", "--hop=1e9"])
@pytest.mark.parametrize("command", ["timeline", "listen"])
def test_times_that_cannot_be_are_refused(command, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([command, *["talk.wav"] * (command == "timeline"), "--model", "missing", option])
    assert "expected seconds above 0 and at most 3600" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ValueError("broken off"), 2)])
def test_what_was_found_before_an_interruption_is_written(checkpoint, talk, tmp_path, monkeypatch, error, code, capsys):
    found = 1

    def interrupted(*_, **__):
        yield from [Segment(0.0, 2.0, "sad", 0.5, True, {"sad": 0.5, "angry": 0.5})] * found
        raise error

    monkeypatch.setattr(EmotionClassifier, "timeline", interrupted)
    argv = ["timeline", talk, "--model", checkpoint, "--output", str(tmp_path / "talk.txt")]
    assert main(argv) == code
    assert (tmp_path / "talk.txt").read_text() == "0.000\t2.000\tuncertain (sad 50.0 %)\n"
    found = 0
    assert main(argv) == code
    assert (tmp_path / "talk.txt").read_text() != "", "nothing found is no reason to overwrite what is there"


def test_a_recording_without_speech_is_said_to_have_none(checkpoint, tmp_path, capsys):
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    output = tmp_path / "silence.csv"
    assert (
        commands.timeline_command([str(tmp_path / "silence.wav"), "--model", checkpoint, "--output", str(output)]) == 0
    )
    assert capsys.readouterr().out.startswith("No speech found in '")
    assert output.read_text() == "start,end,emotion,score,uncertain\n"


@pytest.mark.parametrize(
    ("output", "message"), [("talk.mp4", "with the extension .*talk.mp4"), ("nowhere/talk.csv", "an existing folder")]
)
def test_outputs_are_checked_before_anything_is_loaded(output, message):
    with pytest.raises(ValueError, match=message):
        commands.timeline_command(["talk.wav", "--model", "missing", "--output", "talk.csv", output])


def test_a_stream_prints_the_segments_of_the_timeline(checkpoint, talk, capsys):
    classifier = EmotionClassifier.from_pretrained(checkpoint)
    waveform, _ = soundfile.read(talk, dtype="float32")
    chunks = [(0.0, chunk) for chunk in np.split(waveform, range(800, len(waveform), 800))]
    commands.follow(classifier, chunks, window=4.0, hop=1.0)
    lines = capsys.readouterr().out.splitlines()
    finals = [line.split("latency")[0].split() for line in lines if "…" not in line]
    assert len(lines) > len(finals)
    commands.timeline_command([talk, "--model", checkpoint])
    assert finals == [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


def test_latency_counts_from_the_newest_audio_and_the_factor_from_all(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(commands, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def stream(chunks, sampling_rate, **_):
        for chunk in chunks:
            assert len(chunk) == sampling_rate
            clock.now += 0.25
            yield Segment(0.0, 1.0, "sad", 0.9, False, {"sad": 0.9})

    def arrivals():
        for _ in range(3):
            clock.now += 1.0  # waiting is no work
            yield clock.now - 0.5, np.zeros(RATE)  # the chunk lay there for half a second

    classifier = SimpleNamespace(emotions=["sad"], sampling_rate=RATE, stream=stream)
    commands.follow(classifier, arrivals(), window=4.0, hop=1.0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("latency 0.75 s, real-time factor 0.25") for line in lines)


def test_listening_ends_quietly_at_an_interrupt(checkpoint, monkeypatch, capsys):
    def interrupted(sampling_rate):
        yield 0.0, np.random.default_rng(0).normal(0, 0.1, 2 * sampling_rate)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "microphone", interrupted)
    assert commands.listen_command(["--model", checkpoint]) == 0
    assert "real-time factor" in capsys.readouterr().out


class PortAudioError(Exception):
    pass


def test_the_microphone_hands_over_mono_chunks(monkeypatch):
    class InputStream:
        def __init__(self, callback, samplerate, blocksize, channels, dtype):
            assert (samplerate, blocksize, channels, dtype) == (RATE, 800, 1, "float32")
            self.callback = callback

        def __enter__(self):
            block = np.zeros((800, 1), dtype=np.float32)  # PortAudio uses one buffer again and again
            for loudness in (0.1, 0.2):
                block[:] = loudness
                self.callback(block, 800, None, None)

        def __exit__(self, *_):
            pass

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=InputStream, PortAudioError=Exception))
    chunks = commands.microphone(RATE)
    (first_moment, first), (second_moment, second) = next(chunks), next(chunks)
    assert first.shape == (800,) and (first[0], second[0]) == (np.float32(0.1), np.float32(0.2))
    assert first_moment <= second_moment


def test_a_missing_extra_or_microphone_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r'pip install "ser_hf\[listen\]"'):
        next(commands.microphone(RATE))

    def refuse(**_):
        raise PortAudioError("Error querying device -1")

    absent = SimpleNamespace(InputStream=refuse, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", absent)
    with pytest.raises(RuntimeError, match="No microphone could be opened .Error querying device -1."):
        next(commands.microphone(RATE))
