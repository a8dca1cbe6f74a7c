"""A recording has the same duration in every codec, whether it is predicted, described, audited or trained on."""

import numpy as np
import pandas
import pytest
import soundfile
from architectures import feature_extractor, tiny_model
from encoded_audio import write_with_ffmpeg

from ser_hf.commands.predict import predict_command
from ser_hf.corpora import Utterance
from ser_hf.data.audio import load_audio
from ser_hf.data.dataset import build_dataset, load_row
from ser_hf.data.faults import find_faults
from ser_hf.data.preparation import prepare_audio
from ser_hf.data.summary import read_headers
from ser_hf.serving import EmotionClassifier

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
SPEECH = (0.2 * np.sin(np.arange(48_000) * 0.08) * RNG.uniform(0.5, 1, 48_000)).astype(np.float32)  # 3 s at 16 kHz
SNDFILE = [  # name, sampling rate in Hz, format, subtype
    ("u8.wav", 16_000, "WAV", "PCM_U8"), ("s16.wav", 16_000, "WAV", "PCM_16"), ("s24.wav", 16_000, "WAV", "PCM_24"),
    ("s32.wav", 16_000, "WAVEX", "PCM_32"), ("f32.wav", 16_000, "WAV", "FLOAT"), ("f64.wav", 16_000, "WAV", "DOUBLE"),
    ("ulaw.wav", 8_000, "WAV", "ULAW"), ("alaw.wav", 8_000, "WAV", "ALAW"), ("ima.wav", 8_000, "WAV", "IMA_ADPCM"),
    ("ms.wav", 8_000, "WAV", "MS_ADPCM"), ("gsm.wav", 8_000, "WAV", "GSM610"), ("g721.wav", 8_000, "WAV", "G721_32"),
    ("nms.wav", 8_000, "WAV", "NMS_ADPCM_16"),
    ("s16.rf64", 16_000, "RF64", "PCM_16"), ("s16.w64", 16_000, "W64", "PCM_16"),
    ("s16.flac", 16_000, "FLAC", "PCM_16"),
    ("s24.flac", 16_000, "FLAC", "PCM_24"), ("a.mp3", 16_000, "MP3", "MPEG_LAYER_III"),
    ("vorbis.ogg", 16_000, "OGG", "VORBIS"),
    ("a.opus", 16_000, "OGG", "OPUS"), ("s16.aiff", 16_000, "AIFF", "PCM_16"), ("dwvw.aiff", 16_000, "AIFF", "DWVW_16"),
    ("g723.au", 8_000, "AU", "G723_24"), ("s16.au", 16_000, "AU", "PCM_16"), ("alac.caf", 16_000, "CAF", "ALAC_16"),
    ("s16.voc", 16_000, "VOC", "PCM_16"), ("s16.sph", 16_000, "NIST", "PCM_16"), ("s16.paf", 16_000, "PAF", "PCM_16"),
    ("s16.pvf", 16_000, "PVF", "PCM_16"), ("s16.avr", 16_000, "AVR", "PCM_16"),
    ("s16.ircam", 16_000, "IRCAM", "PCM_16"), ("s16.svx", 16_000, "SVX", "PCM_16"),
]  # fmt: skip
FFMPEG = [  # name, sampling rate in Hz, container, encoder
    ("aac.m4a", 16_000, "ipod", "aac"), ("aac.mp4", 44_100, "mp4", "aac"), ("s16.mov", 16_000, "mov", "pcm_s16le"),
    ("alac.mov", 16_000, "mov", "alac"), ("aac.3gp", 16_000, "3gp", "aac"), ("amr.3gp", 8_000, "3gp", "amr_nb"),
    ("a.amr", 8_000, "amr", "amr_nb"), ("a.aac", 16_000, "adts", "aac"), ("opus.webm", 48_000, "webm", "libopus"),
    ("a.mp2", 16_000, "mp2", "mp2"), ("alac.mka", 16_000, "matroska", "alac"),
    ("mp3.mkv", 16_000, "matroska", "libmp3lame"), ("flac.mkv", 16_000, "matroska", "flac"),
    ("mp2.avi", 16_000, "avi", "mp2"), ("s16.avi", 16_000, "avi", "pcm_s16le"), ("wmav2.wma", 44_100, "asf", "wmav2"),
    ("wmav1.wma", 44_100, "asf", "wmav1"), ("a.ac3", 48_000, "ac3", "ac3"), ("eac3.mkv", 48_000, "matroska", "eac3"),
    ("a.tta", 16_000, "tta", "tta"), ("a.wv", 16_000, "wv", "wavpack"), ("aac.flv", 44_100, "flv", "aac"),
    ("mp2.mpg", 48_000, "mpeg", "mp2"), ("mp2.vob", 48_000, "vob", "mp2"),
    ("mp3.wav", 16_000, "wav", "libmp3lame"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """3 s of speech in every codec that can be written here, in a folder of its name."""
    av, root = pytest.importorskip("av"), tmp_path_factory.mktemp("codecs")
    for name, rate, form, codec in SNDFILE:
        soundfile.write(root / name, SPEECH[: 3 * rate], rate, codec, format=form)
    for name, rate, container, codec in FFMPEG:
        write_with_ffmpeg(av, root / name, SPEECH, codec, container, rate)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model("hubert-group").save_pretrained(folder)
    feature_extractor("hubert-group").save_pretrained(folder)
    return folder


def utterances(folder):
    return [
        Utterance(path=str(path), corpus="table", emotion="sad", speaker=path.name) for path in sorted(folder.iterdir())
    ]


def predicted(folder, model, tmp_path):
    assert predict_command([str(folder), "--model", str(model), "--output", str(tmp_path / "a.jsonl")]) == 0
    rows = pandas.read_json(tmp_path / "a.jsonl", lines=True)
    assert rows["error"].isna().all(), rows["error"].dropna().tolist()
    return dict(zip(rows["path"].str.rsplit("/").str[-1], rows["duration"], strict=True))


def in_a_timeline(folder, model, tmp_path):
    classifier = EmotionClassifier.from_pretrained(model)
    return {path.name: list(classifier.timeline(path))[-1].end for path in folder.iterdir()}


def in_the_summary(folder, model, tmp_path):
    table = read_headers(utterances(folder))
    assert (table["missing"] == 0).all()
    return dict(zip(table["speaker"], table["duration"], strict=True))


def in_training(folder, model, tmp_path):
    split, problems = prepare_audio({"train": utterances(folder)})
    assert not problems
    dataset = build_dataset(split, {"table": folder})["train"]
    waveforms = {row["speaker"]: load_row(row) for row in dataset}
    assert waveforms.keys() == {row.speaker for row in utterances(folder)}
    for name, waveform in waveforms.items():
        assert 0.1 < np.abs(waveform).max() < 0.5, name
        assert np.array_equal(waveform, load_audio(folder / name))
    return {name: len(waveform) / 16_000 for name, waveform in waveforms.items()}


@pytest.mark.parametrize("measure", [predicted, in_a_timeline, in_the_summary, in_training])
def test_a_recording_lasts_as_long_in_every_codec(measure, folder, model, tmp_path):
    seconds = measure(folder, model, tmp_path)
    assert len(seconds) == 57
    assert not {name: found for name, found in seconds.items() if abs(found - 3.0) > allowed(name)}


def allowed(name):
    """Return how much longer a file may be: these two do not tell how many samples their encoder added."""
    return 0.1 if name in ("a.aac", "mp3.wav") else 0.05


def test_an_audit_finds_no_fault_in_any_codec(folder):
    assert not {row.speaker: faults for row in utterances(folder) if (faults := list(find_faults(row)))}
