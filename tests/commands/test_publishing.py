"""`ser-hf doctor`, `publish` and `export`, in this process: their words and exit codes."""

import json
import shutil
from dataclasses import replace
from importlib.metadata import version as find_version

import pandas
import pytest
import yaml
from architectures import feature_extractor, tiny_model
from publishing.conftest import published_folder  # noqa: F401
from transformers import pipeline

from ser_hf.cli import main
from ser_hf.data import decode_audio
from ser_hf.evaluation import write_predictions
from ser_hf.publishing import gate, space, upload
from ser_hf.runs.results import read_results

EMOTIONS = ["angry", "happy", "neutral", "sad"]


@pytest.fixture
def folder(tmp_path):
    """A healthy checkpoint of four emotions."""
    tiny_model("wav2vec2-layer", emotions=EMOTIONS).save_pretrained(tmp_path / "tiny")
    feature_extractor("wav2vec2-layer").save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def sent(monkeypatch, tmp_path):
    """What was handed over for publishing, had anything been sent."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(upload, "publish", lambda *where, **how: calls.append((where, how)) or "https://the.commit")
    return calls


def test_the_doctor_names_each_fault_and_writes_a_sound_copy(folder, tmp_path, capsys):
    assert main(["doctor", str(folder)]) == 0
    assert "FAULT" not in capsys.readouterr().out
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {str(i): f"LABEL_{i}" for i in range(4)}, "label2id": {f"LABEL_{i}": i for i in range(4)}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").unlink()
    assert main(["doctor", str(folder)]) == 1
    text = capsys.readouterr().out
    assert text.count("FAULT") == 2
    assert "Write the emotions into id2label" in text

    assert main(["doctor", str(folder), "--fix", str(tmp_path / "half")]) == 1
    assert "Not repaired: label names" in capsys.readouterr().out
    copy = str(tmp_path / "copy")
    assert main(["doctor", str(folder), "--fix", copy, "--emotions", *EMOTIONS]) == 0
    text = capsys.readouterr().out
    assert "Repaired: label names as given: angry, happy, neutral, sad." in text
    assert f"Wrote the copy: {copy}" in text
    assert main(["doctor", copy]) == 0


def test_what_cannot_be_mended_is_said_and_no_copy_is_claimed(folder, tmp_path, capsys):
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert main(["doctor", str(folder), "--fix", str(tmp_path / "copy")]) == 2
    output = capsys.readouterr()
    assert "FAULT" in output.out
    assert "found 'bert'" in output.err
    assert "the copy" not in output.out


def test_the_gate_alone_says_each_figure_and_fails_a_faulty_run(
    published_folder,  # noqa: F811
    tmp_path,
    capsys,
    monkeypatch,
):
    monkeypatch.setattr(gate, "LOADED", ())  # seconds of questions to the model, which test_gate.py asks
    assert main(["publish", str(published_folder), "--check"]) == 0
    text = capsys.readouterr().out
    assert "on 240 utterances" in text
    assert "FAULT" not in text
    faulty = shutil.copytree(published_folder, tmp_path / "faulty")
    (faulty / "model.safetensors").unlink()
    assert main(["publish", str(faulty), "--check"]) == 1
    assert "no model.safetensors" in capsys.readouterr().out
    assert main(["publish", str(faulty), "me/tiny"]) == 2
    assert "error: Not publishable, 3 of 14 checks failed:\n- weights format" in capsys.readouterr().err


@pytest.mark.parametrize(("agree", "code"), [(8, 0), (7, 1)])
def test_with_the_data_at_hand_the_gate_compares_anew(
    published_folder,  # noqa: F811
    toy_ravdess,
    capsys,
    monkeypatch,
    agree,
    code,
):
    asked = []

    def measure(folder, folders):
        asked.append((folder, folders))
        return replace(read_results(folder).agreement, agree=agree)

    monkeypatch.setattr(gate, "LOADED", ())
    monkeypatch.setattr("ser_hf.publishing.agreement.measure_agreement", measure)
    assert main(["publish", str(published_folder), "--check", "--data_root", str(toy_ravdess)]) == code
    assert f"equal scores for {agree} of 8 test utterances, " in capsys.readouterr().out
    assert asked == [(published_folder, {"ravdess": toy_ravdess})]
    assert main(["publish", str(published_folder), "--check"]) == 0
    assert len(asked) == 1


@pytest.mark.parametrize("spelling", ["--dry-run", "--dry_run"])
def test_what_publish_is_told_arrives_and_the_address_is_printed(spelling, sent, capsys):
    assert main(["publish", "out", "me/tiny"]) == 0
    assert capsys.readouterr().out == "https://the.commit\n"
    main(["publish", "out", "me/tiny", "--public", "--overwrite", spelling, "--examples", "a.wav", "b.wav"])
    plain = {"public": False, "overwrite": False, "dry_run": False, "examples": []}
    asked = {"public": True, "overwrite": True, "dry_run": True, "examples": ["a.wav", "b.wav"]}
    assert sent == [(("out", "me/tiny"), plain), (("out", "me/tiny"), asked)]


def test_the_space_is_written_before_the_upload_and_pushed_after_it(sent, monkeypatch, capsys):
    monkeypatch.setattr(space, "write_space", lambda *where: sent.append(("written", *where)) or "out/space")
    monkeypatch.setattr(
        space, "push_space", lambda *where, **how: sent.append(("pushed", *where)) or "https://the.space"
    )
    assert main(["publish", "out", "me/tiny", "--space"]) == 0
    assert [call[0] for call in sent] == ["written", ("out", "me/tiny"), "pushed"]
    assert capsys.readouterr().out.splitlines() == [
        "Wrote the Space: out/space", "https://the.commit", "https://the.space",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["gradio", "run"])
def test_nothing_is_uploaded_if_the_space_cannot_be_written(sent, published_folder, monkeypatch, capsys, missing):  # noqa: F811
    if missing == "gradio":
        monkeypatch.setattr(space, "version", lambda name: find_version(f"no {name}"))
    folder = "out" if missing == "run" else str(published_folder)
    assert main(["publish", folder, "me/tiny", "--space"]) == 2
    expected = {"gradio": 'A Space needs Gradio: pip install "ser_hf[demo]"', "run": "'out' is not a finished run"}
    assert expected[missing] in capsys.readouterr().err
    assert not sent


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["publish", "out"], "expected the repository USER/NAME, or --check"),
        (["publish", "out", "me/tiny", "--data_root", "x"], "--data_root: expected with --check"),
        (["publish", "out", "--check", "--space"], "--space: expected without --check, which publishes nothing"),
        (["publish", "out", "me/tiny", "--token", "hf_x"], "unrecognized arguments: --token"),
        (["doctor", "out", "--emotions", "sad"], "--emotions: expected with --fix OUTPUT_DIR"),
        (["export", "out", "--output_dir", "onnx", "--data_root", "x"], "leave out --output_dir"),
    ],
)
def test_a_wrong_argument_ends_in_one_sentence_and_exit_code_2(argv, message, sent, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not sent


def test_an_export_is_compared_on_raw_test_utterances_whatever_the_recipe_trims(
    folder, toy_ravdess, capsys, monkeypatch
):
    pytest.importorskip("onnx", reason="the extra [export] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_test_table(folder, toy_ravdess)
    assert main(["export", str(folder), "--data_root", str(toy_ravdess)]) == 0
    text = capsys.readouterr().out
    assert f"{folder}/onnx/model.onnx: 0." in text
    assert "Variable sizes: batch and length. Padding in a batch does not change the scores." in text
    header, torch_row, fp32, int8 = text.splitlines()[-4:]
    assert header.startswith("4 test utterances")
    assert torch_row.split()[:3] == ["torch", "fp32", "100.0"]
    assert fp32.split()[:3] == ["ONNX", "fp32", "100.0"]
    assert int8.startswith("ONNX int8")


def test_an_export_may_go_elsewhere_in_float32_alone(folder, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    assert main(["export", str(folder), "--output_dir", str(tmp_path / "out"), "--no-int8"]) == 0
    assert "model_quantized.onnx" not in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out" / "onnx").iterdir()) == ["export.json", "model.onnx"]


def test_only_a_run_has_test_utterances(folder, tmp_path, capsys):
    assert main(["export", str(folder), "--data_root", str(tmp_path)]) == 2
    assert "has no predictions.csv: expected the output folder of a run" in capsys.readouterr().err
    assert not (folder / "onnx").exists()


def write_test_table(folder, root):
    """Make a checkpoint a run whose model was right about each of four test utterances, one of them a stretch."""
    classifier = pipeline("audio-classification", model=str(folder))
    table = []
    for path, (start, end) in zip(sorted(root.rglob("*.wav"))[::12], [(None, None), (0.05, 0.35)] * 2, strict=True):
        emotion = classifier(decode_audio(path, start=start, end=end), top_k=1)[0]["label"]
        labels = {"corpus": "ravdess", "speaker": "01", "gender": "male", "split": "test"}
        row = {"path": path.relative_to(root).as_posix(), "start": start, "end": end} | labels
        row |= {"target": emotion, "prediction": emotion} | dict.fromkeys([f"score_{name}" for name in EMOTIONS], 0.25)
        table.append(row)
    table.append(table[0] | {"split": "validation", "path": "gone.wav"})
    write_predictions(pandas.DataFrame(table), folder / "predictions.csv")
    in_training = {"trim": "ends", "max_duration": 1.0, "window_overlap": 0.5}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"corpus": "ravdess", **in_training}))
