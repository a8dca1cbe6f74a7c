import pytest
import soundfile
from transformers import pipeline
from voices import RATE, say, write_voice_checkpoint

from ser_hf.cli import main
from ser_hf.publishing.gate import run_gate


@pytest.fixture(scope="module")
def voice_checkpoint(tmp_path_factory):
    return write_voice_checkpoint(tmp_path_factory.mktemp("voices") / "whisper", "whisper")


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for i in range(5):
        soundfile.write(tmp_path / f"clips/{i}.wav", say(11, i % 4, i), RATE)
    return tmp_path / "clips"


def test_the_command_writes_a_stock_checkpoint_whose_card_says_what_it_is(voice_checkpoint, clips, tmp_path, capsys):
    output = tmp_path / "voice"
    assert main(["adapt", str(voice_checkpoint), str(clips), "--output", str(output)]) == 0
    assert f"Adapted to 5 clips, 5 s. The checkpoint is in {output}." in capsys.readouterr().out
    card = (output / "README.md").read_text()
    assert "adapted to one voice" in card and "they\ndo not hold for this model" in card
    waveform, _ = soundfile.read(clips / "3.wav", dtype="float32")
    adapted, original = (
        {item["label"]: item["score"] for item in pipeline("audio-classification", str(path), top_k=None)(waveform)}
        for path in (output, voice_checkpoint)
    )
    assert max(abs(adapted[name] - original[name]) for name in original) > 0.05
    assert main(["doctor", str(output)]) == 0
    gate = {check.name: check for check in run_gate(output)}
    assert not gate["results"].passed  # it was not evaluated, so it is not published
    assert gate["weights complete"].passed and gate["files and values"].passed


def test_folders_named_after_emotions_are_labels(voice_checkpoint, clips, tmp_path, capsys):
    (clips / "sad").mkdir()
    (clips / "0.wav").rename(clips / "sad/0.wav")
    output = str(tmp_path / "voice")
    assert main(["adapt", str(voice_checkpoint), str(clips), "--labelled", "--output", output]) == 0
    assert "Adapted to 5 clips, 1 of them labelled, 5 s." in capsys.readouterr().out
    (clips / "sad").rename(clips / "Sadly")
    assert main(["adapt", str(voice_checkpoint), str(clips), "--labelled", "--output", f"{output}2"]) == 2
    assert "labelled: expected folders named after ['angry'" in capsys.readouterr().err


def test_the_times_of_a_table_choose_the_speaker_of_a_recording(voice_checkpoint, clips, tmp_path, capsys):
    talk = [sample for i in range(5) for sample in soundfile.read(clips / f"{i}.wav")[0]]
    soundfile.write(tmp_path / "talk.wav", talk, RATE)
    (tmp_path / "anna.csv").write_text("path,start,end\n" + "".join(f"talk.wav,{i},{i + 1}\n" for i in range(4)))
    output = str(tmp_path / "voice")
    assert main(["adapt", str(voice_checkpoint), str(tmp_path / "anna.csv"), "--output", output]) == 0
    assert "Adapted to 4 clips, 4 s." in capsys.readouterr().out


def test_what_the_command_refuses(voice_checkpoint, clips, tmp_path, capsys):
    assert main(["adapt", str(voice_checkpoint), str(clips), "--output", str(clips)]) == 2
    assert "is not empty: expected a new folder" in capsys.readouterr().err
    assert main(["adapt", str(tmp_path / "none"), str(clips), "--output", str(tmp_path / "voice")]) == 2
    assert main(["adapt", str(voice_checkpoint), str(clips / "1.wav"), "--output", str(tmp_path / "voice")]) == 2
    assert "found 1.0 s in 1 usable clip." in capsys.readouterr().err
    assert not (tmp_path / "voice").exists()
