"""Corpora of every kind, end to end through `recipes/finetune.py`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from transformers import pipeline

from ser_hf.evaluation import read_predictions

EMOTIONS = ("angry", "happy", "neutral", "sad")


@pytest.fixture
def toy_urdu(tmp_path, write_audio):
    for speaker in ("SM1", "SM2", "SF3", "SF4", "SM5", "SF6"):
        for i, emotion in enumerate(("Angry", "Happy", "Neutral", "Sad")):
            write_audio(tmp_path / "urdu" / emotion / f"{speaker}_F1_{emotion[0]}01.wav", frequency=200 + 100 * i)
    return tmp_path / "urdu"


@pytest.fixture
def toy_iemocap(tmp_path, write_audio):
    """Two turns of each label by each actor, as .opus."""
    root = tmp_path / "IEMOCAP_full_release"
    codes = ("ang", "hap", "exc", "neu", "sad", "fea", "dis", "xxx")
    for session in range(1, 6):
        dialogue = f"Ses0{session}F_impro01"
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        for gender in "FM":
            for i, code in enumerate(codes * 2):
                name = f"{dialogue}_{gender}{i:03d}"
                lines += [f"[{i}.0000 - {i}.5000]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]", "C-E2:\tAnger;\t()", ""]
                path = root / f"Session{session}" / "sentences" / "wav" / dialogue / f"{name}.opus"
                write_audio(path, frequency=150 + 50 * i, format="OGG", subtype="OPUS")
        labels = root / f"Session{session}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text("\n".join(lines))
    return root


def results_of(out):
    return json.loads((out / "all_results.json").read_text())


@pytest.mark.slow
def test_two_corpora_at_once_keep_their_names_and_speakers_apart(finetune, toy_ravdess, toy_urdu):
    out = finetune("--label_set", "four", corpus="ravdess urdu", data_root=[toy_ravdess, toy_urdu])
    table = read_predictions(out / "predictions.csv")
    assert set(table["corpus"]) == {"ravdess", "urdu"}
    results = results_of(out)
    assert results["outputs"] == ["angry", "happy", "neutral", "sad"]
    parts = [results["split"][part]["speakers"] for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 12 == len(set().union(*parts))
    assert results["split"]["speaker_independent"]
    assert "utterances of ravdess and urdu" in (out / "README.md").read_text()


@pytest.mark.slow
def test_another_target_than_emotion(finetune):
    out = finetune("--target", "gender")
    assert results_of(out)["outputs"] == ["female", "male"]
    assert json.loads((out / "config.json").read_text())["id2label"] == {"0": "female", "1": "male"}
    assert "Recognises 2 genders" in (out / "README.md").read_text()


@pytest.mark.slow
def test_iemocap_as_opus_in_four_classes_counts_what_it_drops(finetune, toy_iemocap):
    out = finetune(
        "--label_set", "four", "--protocol", "leave_one_session_out", "--fold", "5", corpus="iemocap",
        data_root=toy_iemocap,
    )  # fmt: skip
    results = results_of(out)
    assert results["audio"]["dropped_emotions"] == {"disgust": 20, "fearful": 20, "no_agreement": 20}
    assert results["split"]["test"]["speakers"] == ["05F", "05M"]
    assert results["split"]["test"]["emotions"] == {"angry": 4, "happy": 8, "neutral": 4, "sad": 4}


@pytest.mark.slow
def test_a_long_utterance_is_split_into_windows_in_training_only_and_scored_in_one_row(finetune, toy_urdu, write_audio):
    for path in (toy_urdu / "Sad").iterdir():
        write_audio(path, seconds=20)
    out = finetune("--max_duration", "5", "--window_overlap", "0.5", corpus="urdu", data_root=toy_urdu)
    with (out / "audio_problems.csv").open(newline="") as file:
        problems = list(csv.DictReader(file))
    assert {(row["action"], row["reason"]) for row in problems} == {
        ("windowed", "lasts 20.000 s, split into 7 windows of 5 s")
    }
    results, table = results_of(out), read_predictions(out / "predictions.csv")
    trained = results["split"]["train"]["speakers"]
    assert sorted(Path(row["path"]).name.partition("_")[0] for row in problems) == sorted(trained)
    assert len(trained) == 3 and results["audio"]["windowed"] == 3
    assert results["split"]["train"]["utterances"] == 12
    assert table["split"].value_counts().to_dict() == {"test": 8, "validation": 4}
    assert results["context"]["longer"] == {"validation": 1, "test": 2}


@pytest.mark.slow
def test_the_row_of_a_long_utterance_is_the_answer_of_the_pipeline_to_the_whole_file(finetune, toy_urdu):
    glide = np.sin(np.linspace(0, 160, 112_000) ** 2).astype(np.float32)  # 7 s, from 0 to 730 Hz
    for i, path in enumerate(sorted(toy_urdu.rglob("*.wav"))):
        soundfile.write(path, glide * (0.2 + 0.02 * i), 16_000)
    argv = ("--max_duration", "4", "--window_overlap", "0.25")
    out = finetune(*argv, encoder="hubert-group", corpus="urdu", data_root=toy_urdu)
    row = read_predictions(out / "predictions.csv").query("split == 'test'").iloc[0]
    classifier = pipeline("audio-classification", model=str(out), top_k=None)
    waveform, _ = soundfile.read(toy_urdu / row["path"], dtype="float32")
    stored = {name: row[f"score_{name}"] for name in EMOTIONS}
    whole, *windows = classifier([waveform, waveform[:64_000], waveform[48_000:]])
    assert {answer["label"]: answer["score"] for answer in whole} == pytest.approx(stored, abs=1e-5)
    means = {name: np.mean([{i["label"]: i["score"] for i in window}[name] for window in windows]) for name in EMOTIONS}
    assert means != pytest.approx(stored, abs=1e-3)


def test_a_table_with_partitions_of_its_own(finetune, tmp_path, write_audio):
    lines = ["File;Label;Speaker_ID;Partition"]
    for i, part in enumerate(("train", "train", "dev", "test")):
        for emotion in ("Anger", "Joy"):
            write_audio(tmp_path / "data" / f"{i}{emotion}.wav", frequency=200 * (i + 1))
            lines.append(f"{i}{emotion}.wav;{emotion};{i};{part}")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    out = finetune("--split", "given", corpus="table", data_root=tmp_path / "data" / "labels.csv")
    split = results_of(out)["split"]
    assert [split[part]["speakers"] for part in ("train", "validation", "test")] == [["0", "1"], ["2"], ["3"]]
    assert split["name"] == "the partitions given with the corpus"
    assert set(read_predictions(out / "predictions.csv")["path"]) == {
        "2Anger.wav",
        "2Joy.wav",
        "3Anger.wav",
        "3Joy.wav",
    }


@pytest.mark.slow
def test_a_copied_file_in_two_parts_is_told_in_the_log_and_on_the_card(finetune, tmp_path, write_audio, caplog):
    for speaker in range(6):
        for emotion in ("angry", "sad"):  # the same two tones by everybody
            write_audio(tmp_path / "data" / emotion / f"{speaker}_a.wav", frequency={"angry": 300, "sad": 200}[emotion])
    out = finetune("--speaker_pattern", "^(.)_", corpus="folder", data_root=tmp_path / "data")
    assert results_of(out)["audit"]["identical_audio"] > 0
    assert "identical audio: " in caplog.text
    assert "Found in two parts of the split: no speakers, no identical" not in (out / "README.md").read_text()
    leak = next(item for item in json.loads((out / "audit.json").read_text()) if item["severity"] == "leak")
    assert leak["kind"] == "identical audio"
    assert all((tmp_path / "data" / path).exists() for path in leak["utterances"])
