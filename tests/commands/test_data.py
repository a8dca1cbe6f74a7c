"""`ser-hf data …`, in this process."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas
import pytest
import soundfile

from ser_hf.cli import main
from ser_hf.runs.data_arguments import DataArguments
from ser_hf.runs.speech_data import load_speech


@pytest.fixture
def copied(synthetic_corpus, tmp_path):
    """Class folders of three sentences by six speakers, in two emotions."""
    for path in synthetic_corpus.rglob("sp0[1-6]-*-0[1-3].wav"):
        _, emotion, _ = path.stem.split("-")
        if emotion in ("angry", "sad"):
            (tmp_path / "data" / emotion).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "data" / emotion)
    return tmp_path / "data"


def folder(root):
    return ["--corpus", "folder", "--data_root", str(root), "--speaker_pattern", r"(sp\d+)"]


def test_a_clean_corpus_passes_the_audit(copied, capsys):
    assert main(["data", "audit", *folder(copied)]) == 0
    assert main(["data", "audit", *folder(copied), "--split", "speaker"]) == 0


def test_the_audit_prints_the_hashes_of_recordings_that_the_results_have(copied, capsys):
    data = DataArguments(corpus=["folder"], data_root=[str(copied)], speaker_pattern=r"(sp\d+)")
    split = load_speech(data).split
    assert main(["data", "audit", *folder(copied), "--split", "speaker"]) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "SHA-256 of the recordings, to compare copies of the corpus:",
        f"  train       {split.train.recordings}",
        f"  validation  {split.validation.recordings}",
        f"  test        {split.test.recordings}",
    ]


def test_a_copy_under_another_speaker_fails_the_audit_and_both_files_are_named(copied, tmp_path, capsys):
    shutil.copy(copied / "sad" / "sp01-sad-01.wav", copied / "sad" / "sp02-sad-99.wav")
    shutil.copy(copied / "sad" / "sp01-sad-01.wav", copied / "loose.wav")
    assert main(["data", "audit", *folder(copied), "--output", str(tmp_path / "audit.json")]) == 1
    text = capsys.readouterr().out
    assert "sad/sp01-sad-01.wav, sad/sp02-sad-99.wav" in text
    assert "wrongly named: 1 note" in text
    (finding,) = (item for item in json.loads((tmp_path / "audit.json").read_text()) if item["severity"] == "fault")
    assert (finding["kind"], finding["utterances"]) == (
        "identical audio", ["sad/sp01-sad-01.wav", "sad/sp02-sad-99.wav"],
    )  # fmt: skip


def test_a_softer_copy_in_another_part_is_a_leak(copied, capsys):
    for speaker in range(2, 7):  # everybody has it, so it is in all parts whoever is tested
        waveform, rate = soundfile.read(copied / "sad" / "sp01-sad-01.wav")
        soundfile.write(copied / "sad" / f"sp0{speaker}-sad-99.wav", waveform * 0.5**speaker, rate)
    assert main(["data", "audit", *folder(copied), "--split", "speaker"]) == 1
    assert "near-identical audio" in capsys.readouterr().out


@pytest.mark.parametrize("spelling", [["--split", "random"], ["--split=random"]])
def test_an_option_is_audited_however_it_is_spelled(copied, capsys, spelling):
    assert main(["data", "audit", *folder(copied), *spelling]) == 1
    assert "split: random" in capsys.readouterr().out


def test_stretches_of_a_file_that_overlap_across_parts_are_a_leak(copied, tmp_path, capsys):
    rows = ["path,emotion,speaker,start,end,split"]
    for i, path in enumerate(sorted(copied.rglob("*.wav"))):
        rows.append(f"{path.relative_to(copied)},{path.parent.name},{i},0,0.5,{'train' if i % 4 else 'validation'}")
        rows.append(f"{path.relative_to(copied)},{path.parent.name},x{i},{0.2 if i == 5 else 0.5},0.8,test")
    (copied / "table.csv").write_text("\n".join(rows))
    assert main(["data", "audit", "--corpus", "table", "--data_root", str(copied), "--split", "given"]) == 1
    assert "segments of one file overlap for 0.30 s" in capsys.readouterr().out


def test_a_corpus_without_any_readable_file_ends_in_one_sentence(tmp_path, capsys):
    (tmp_path / "table.csv").write_text("path,emotion\na.wav,sad\nb.wav,happy\n")
    assert main(["data", "audit", "--corpus", "table", "--data_root", str(tmp_path)]) == 2
    assert "Expected readable audio, found none of 2: " in capsys.readouterr().err


def test_a_table_is_not_written_over_itself(toy_ravdess, tmp_path, capsys):
    path = tmp_path / "table.csv"
    main(["data", "table", "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output", str(path)])
    before = path.read_text()
    assert main(["data", "table", "--corpus", "table", "--data_root", str(path), "--output", str(path)]) == 2
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("option", [["--recipe"], []])
def test_the_split_of_a_recipe_is_audited(copied, tmp_path, capsys, option):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("corpus: folder\nsplit: random\nmodel_type: mel\noutput_dir: out\nspeaker_pattern: (sp\\d+)\n")
    assert main(["data", "audit", *option, str(recipe), "--data_root", str(copied)]) == 1
    assert "shared speaker" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_table_holds_every_utterance_with_its_labels(toy_ravdess, tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    assert main(["data", "table", "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output", str(path)]) == 0
    table = pandas.read_csv(path, dtype={"speaker": str}) if suffix == "csv" else pandas.read_parquet(path)
    assert len(table) == 48
    assert table["emotion"].value_counts().to_dict() == dict.fromkeys(("angry", "happy", "neutral", "sad"), 12)
    assert sorted(table["speaker"].unique()) == [f"{actor:02d}" for actor in range(1, 7)]


def test_a_written_table_reads_back_as_a_corpus(toy_ravdess, tmp_path):
    first, second = tmp_path / "one.csv", tmp_path / "two.csv"
    main(["data", "table", "--corpus", "ravdess", "--data_root", str(toy_ravdess), "--output", str(first)])
    again = ["--corpus", "table", "--data_root", str(first), "--audio_root", str(toy_ravdess)]
    assert main(["data", "table", *again, "--output", str(second)]) == 0
    columns = ["path", "emotion", "speaker", "gender", "text"]
    pandas.testing.assert_frame_equal(pandas.read_csv(first)[columns], pandas.read_csv(second)[columns])


def test_the_summary_and_the_gallery_show_every_emotion(toy_ravdess, tmp_path, capsys):
    corpus = ["--corpus", "ravdess", "--data_root", str(toy_ravdess)]
    assert main(["data", "summary", *corpus, "--output", str(tmp_path / "summary.png")]) == 0
    text = capsys.readouterr().out
    assert all(emotion in text for emotion in ("angry", "happy", "neutral", "sad", "16000 Hz (48)"))
    assert main(["data", "gallery", *corpus, "--output", str(tmp_path / "gallery.png")]) == 0
    assert "Drew 4 utterances" in capsys.readouterr().out
    assert (tmp_path / "summary.png").stat().st_size > 10_000 < (tmp_path / "gallery.png").stat().st_size


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["data", "table", "--corpus", "ravdess", "--data_root", "nowhere", "--output", "a.csv"], "is not a folder"),
        (["data", "table", "--corpus", "synthetic", "--output", "a.xlsx"], "expected a file .csv or .parquet"),
        (["data", "summary", "--corpus", "synthetic", "--corpsu", "x"], "Did you mean 'corpus'"),
        (["data", "summary", "--corpus", "synthetic", "--output", "no/a.png"], "expected a file in an existing folder"),
        (["data", "audit", "--recipe"], "recipe: expected a YAML file"),
    ],
)
def test_a_wrong_command_ends_in_one_sentence_and_exit_code_2(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    output = capsys.readouterr()
    assert message in output.out + output.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_million_rows_become_parquet_in_flat_memory(tmp_path):
    (tmp_path / "big.csv").write_text(
        "path,emotion,speaker\n" + "".join(f"a/{i}.wav,sad,{i % 500}\n" for i in range(1_000_000))
    )
    script = (
        "import sys; from ser_hf.cli import main\n"
        f"code = main(['data', 'table', '--corpus', 'table', '--data_root', {str(tmp_path)!r}, '--output', "
        f"{str(tmp_path / 'big.parquet')!r}])\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))\nsys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "1000000 utterances" in run.stdout
    assert int(run.stdout.split("VmHWM:")[1].split()[0]) < 1024**2, run.stdout  # kB
    assert np.all(pandas.read_parquet(tmp_path / "big.parquet", columns=["emotion"])["emotion"] == "sad")
