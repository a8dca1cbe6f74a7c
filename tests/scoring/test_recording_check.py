"""Recordings beside the training speech of a model: what differs, in words."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from datasets import Dataset

from ser_hf.cli import main
from ser_hf.data import decode_audio
from ser_hf.data.degradations import add_noise, change_gain, transcode
from ser_hf.data.properties import measure_properties, summarize_properties
from ser_hf.heads.pooling import measure_distances, pooled_states
from ser_hf.models import build_model
from ser_hf.runs.training_speech import EmbeddingRecord, TrainingSpeech, read_training_speech, write_training_speech
from ser_hf.scoring.recording_check import check_recordings, describe_check
from ser_hf.scoring.recording_findings import compare_distances, compare_properties
from ser_hf.training.training_speech import describe_training_speech


def make_speech(seed, seconds=3.0):
    """Return bursts of noise below 7.8 kHz with pauses between them, as loud and as broad as speech."""
    rng, length = np.random.default_rng(seed), round(16_000 * seconds)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[round(7800 * seconds) :] = 0
    bursts = np.repeat(rng.random(round(4 * seconds) + 1) > 0.4, 4_000)[:length] * 0.1 + 1e-4
    return (bursts * np.fft.irfft(spectrum, length)).astype(np.float32)


def make_music(seed, seconds=3.0):
    """Return chords with harmonics, which never pause."""
    rng, times = np.random.default_rng(seed), np.arange(round(16_000 * seconds)) / 16_000
    notes = 110 * 2 ** (rng.choice(24, 4) / 12)
    tones = [np.sin(2 * np.pi * note * k * times) / k for note in notes for k in range(1, 30) if note * k < 7_800]
    return (0.03 * np.sum(tones, 0)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint whose training speech is `make_speech`."""
    folder = tmp_path_factory.mktemp("model")
    network, extractor = tiny_model("whisper"), feature_extractor("whisper")
    network.save_pretrained(folder)
    extractor.save_pretrained(folder)
    waveforms = [make_speech(seed) for seed in range(12)]
    states = pooled_states(network, extractor, waveforms)
    mean, deviation = states[:8].mean(0), states[:8].std(0)
    distances = np.quantile(measure_distances(states[8:], mean, deviation), [0.5, 0.95, 0.99])
    record = EmbeddingRecord(mean.tolist(), deviation.tolist(), distances.tolist())
    properties = summarize_properties(map(measure_properties, waveforms))
    write_training_speech(folder, TrainingSpeech(["ravdess"], 12, properties, record))
    return folder


@pytest.fixture
def write(tmp_path):
    def write_clips(change):
        files = []
        for i in range(4):
            path = tmp_path / f"{i}.wav"
            soundfile.write(path, change(make_speech(100 + i)), 16_000, subtype="FLOAT")
            files.append((str(path), None, None))
        return files

    return write_clips


CHANGES = {
    "telephone": (
        lambda waveform: transcode(waveform, "mu_law"),
        "Telephone bandwidth (3.9 kHz); the model was trained on 8.0 kHz bandwidth: expect lower scores",
    ),
    "quiet": (lambda waveform: change_gain(waveform, -40), "Quiet: the level of the speech is"),
    "noise": (
        lambda waveform: add_noise(waveform, np.random.default_rng(0).standard_normal(len(waveform)), 5),
        "Noise or music: loud parts are",
    ),
    "short": (lambda waveform: waveform[:8_000], "Short: 0.5 s, in training 3.0 s and more"),
    "music": (lambda waveform: make_music(0, 3.0), "Noise or music: loud parts are"),
    "silence": (lambda waveform: np.pad(waveform, (0, 200_000)), "Little speech:"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_each_difference_has_its_sentence(kind, model, write):
    change, sentence = CHANGES[kind]
    findings = check_recordings(write(change), str(model)).findings
    assert any(text.startswith(sentence) for text in findings), findings


def test_recordings_like_the_training_speech_have_no_finding(model, write, capsys, tmp_path):
    write(lambda waveform: waveform)
    table = tmp_path / "clips.csv"
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    assert main(["data", "check", str(tmp_path), "--model", str(model), "--output", str(table)]) == 0
    text = capsys.readouterr().out
    assert "4 recordings beside 12 utterances of ravdess" in text and "1 recording unreadable (first:" in text
    assert "No difference from the training speech was found" in text
    assert len(table.read_text().splitlines()) == 5


def test_each_bad_segment_of_a_file_counts(model, write):
    files = write(lambda waveform: waveform)
    bad = [(files[0][0], start, start + 1.0) for start in (50.0, 60.0)]  # after the end
    check = check_recordings([*files, *bad], str(model))
    assert [path for path, _ in check.unreadable] == [files[0][0]] * 2
    assert "2 recordings unreadable (first:" in describe_check(check)


def test_the_measured_change_of_the_card_is_quoted():
    usual = {name: [low, middle, high] for name, low, middle, high in (
        ("bandwidth", 3900, 3900, 3950), ("level", -50, -40, -20), ("contrast", 20, 30, 40),
        ("duration", 1, 2, 3), ("speech", 50, 60, 70),
    )}  # fmt: skip
    changes = {"gain_-30": "about -7.0 points of UA"}
    assert list(compare_properties(usual | {"level": [-99] * 3}, usual, changes)) == [
        "Quiet: the level of the speech is -99 dB, in training -50 to -20 dB. Raise it by about 59 dB, or expect about "
        "-7.0 points of UA."
    ]
    (wide,) = compare_properties(usual | {"bandwidth": [7800] * 3}, usual, changes)
    assert wide == "Wide bandwidth (7.8 kHz); the model was trained on 4.0 kHz bandwidth: expect lower scores."
    (long,) = compare_properties(usual | {"duration": [7] * 3}, usual, changes)
    assert long.startswith("Long: 7.0 s, in training 3.0 s and less.")


def test_unexplained_distances_are_another_kind_of_sound():
    (alone,) = compare_distances(np.array([9.0, 8.0, 1.0]), [1.0, 1.4, 1.5], explained=False)
    assert "2 of 3 recordings" in alone and "such as music" in alone
    (explained,) = compare_distances(np.array([9.0]), [1.0, 1.4, 1.5], explained=True)
    assert "music" not in explained
    assert compare_distances(np.array([9.0, 1.0, 1.0]), [1.0, 1.4, 1.5], explained=False) == []


def test_a_checkpoint_without_the_record_ends_in_one_sentence(model, write, tmp_path):
    files = write(lambda waveform: waveform)
    other = tmp_path / "other"
    shutil.copytree(model, other)
    (other / "training_speech.json").write_text(json.dumps({"corpus": "x"}))
    with pytest.raises(ValueError, match=r"training_speech.json': expected the statistics that finetune writes"):
        check_recordings(files, str(other))
    (other / "training_speech.json").unlink()
    with pytest.raises(FileNotFoundError, match="expected training_speech.json, which ser-hf train writes"):
        check_recordings(files, str(other))
    with pytest.raises(ValueError, match="Expected readable recordings, found none of 1: "):
        check_recordings([(str(tmp_path / "none.wav"), None, None)], str(model))


def test_the_table_shows_recordings_beside_the_training_speech(model, write):
    text = describe_check(check_recordings(write(lambda waveform: waveform), str(model)))
    assert read_training_speech(model / "training_speech.json").utterances == 12
    (row,) = (line for line in text.splitlines() if line.startswith("duration (s)"))
    assert row.split() == ["duration", "(s)", *["3.0", "[3.0,", "3.0]"] * 2]


@pytest.mark.slow
def test_real_speech_telephones_low_levels_and_music_are_told_apart(shared, tmp_path):
    """With a real encoder and RAVDESS: each kind has its sentence, and speech of new actors has none."""
    encoder = str(shared / "models" / "whisper-tiny-en-encoder")
    network, extractor = build_model(encoder, outputs=["happy", "sad"], longest=5.0)
    network.save_pretrained(tmp_path / "model")
    extractor.save_pretrained(tmp_path / "model")
    folders = {actor: shared / "data" / "ravdess" / f"Actor_{actor:02d}" for actor in range(1, 11)}
    clips = {actor: sorted(folder.glob("*.flac"))[::6] for actor, folder in folders.items()}
    rows = {}
    for part, actors in (("train", range(1, 6)), ("validation", range(6, 9))):
        paths = [str(path) for actor in actors for path in clips[actor]]
        rows[part] = [{"audio": {"path": path}, "start": None, "end": None} for path in paths]
    dataset = {part: Dataset.from_list(each) for part, each in rows.items()}
    write_training_speech(tmp_path / "model", describe_training_speech(network, extractor, dataset, ["ravdess"]))
    waveforms = [decode_audio(path) for actor in (9, 10) for path in clips[actor]]
    changes = {
        "studio": lambda i, waveform: waveform,
        "telephone": lambda i, waveform: transcode(waveform, "mu_law"),
        "quiet": lambda i, waveform: change_gain(waveform, -40),
        "music": lambda i, waveform: make_music(i, len(waveform) / 16_000),
    }
    found = {}
    for kind, change in changes.items():
        files = []
        for i, waveform in enumerate(waveforms):
            files.append((str(tmp_path / f"{kind}_{i}.wav"), None, None))
            soundfile.write(files[-1][0], change(i, waveform), 16_000, subtype="PCM_16")
        found[kind] = check_recordings(files, str(tmp_path / "model")).findings
    assert found["studio"] == []
    assert found["telephone"][0].startswith("Telephone bandwidth (3.9 kHz); the model was trained on 7.")
    assert found["quiet"][0].startswith("Quiet: the level of the speech is ")
    assert not any(text.startswith(("Telephone", "Noise")) for text in found["quiet"])
    assert any(text.startswith("Noise or music") for text in found["music"])
    assert found["music"][-1].startswith("Far from the training corpus: the embeddings of 20 of 20 recordings")
