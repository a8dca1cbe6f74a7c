import pytest
import yaml
from datasets import Dataset, DatasetDict

from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.folder import check_folder, claim_folder
from ser_hf.runs.recipe import resolve_recipe

ROW = {"split": "train", "path": "a.wav", "start": None, "end": None, "emotion": "sad", "speaker": "1", "label": 0}
DATA = DatasetDict(train=Dataset.from_list([ROW]))
OTHER_DATA = DatasetDict(train=Dataset.from_list([ROW | {"emotion": "happy"}]))


def recipe(output_dir, *argv):
    arguments = ["--corpus", "synthetic", "--model_type", "mel", "--use_cpu", "true", "--output_dir", str(output_dir)]
    return resolve_recipe(*parse_recipe([*arguments, *argv]))


def claim(*arguments):
    """Claim a folder for a run, and end the run."""
    with claim_folder(*arguments):
        pass


def test_the_resolved_recipe_reads_back_as_the_same_recipe(tmp_path):
    first = recipe(tmp_path / "a", "--learning_rate", "0.01", "--mask_time_prob", "0.2", "--max_grad_norm", "3")
    claim(tmp_path / "a", first, DATA)
    argv = [str(tmp_path / "a" / "recipe.yaml"), "--output_dir", str(tmp_path / "b"), "--use_cpu", "true"]
    assert resolve_recipe(*parse_recipe(argv)) == first


def test_places_and_tokens_are_left_out(tmp_path):
    resolved = recipe(tmp_path / "out", "--data_root", "/home/me/data", "--hub_token", "hf_secret")
    assert "/home/me" not in yaml.safe_dump(resolved)
    assert "hf_secret" not in yaml.safe_dump(resolved)
    assert str(tmp_path) not in yaml.safe_dump(resolved)


def test_a_model_folder_is_recorded_by_its_name(tmp_path):
    (tmp_path / "encoder").mkdir()
    arguments = ["--corpus", "synthetic", "--use_cpu", "true", "--output_dir", "x"]
    resolved = resolve_recipe(*parse_recipe([*arguments, "--model_name_or_path", str(tmp_path / "encoder")]))
    assert resolved["model_name_or_path"] == "encoder"


def test_the_header_of_a_recipe_with_a_local_encoder_runs_it_again(tmp_path):
    (tmp_path / "encoder").mkdir()
    arguments = ["--corpus", "synthetic", "--use_cpu", "true", "--output_dir", str(tmp_path / "out")]
    first = resolve_recipe(*parse_recipe([*arguments, "--model_name_or_path", str(tmp_path / "encoder")]))
    claim(tmp_path / "out", first, DATA)
    command = (tmp_path / "out" / "recipe.yaml").read_text().splitlines()[1].removeprefix("# ")
    program, _, argv = command.partition(" recipe.yaml ")
    assert (program, argv) == (
        "ser-hf train",
        "--model_name_or_path FOLDER/encoder --data_root FOLDER --output_dir FOLDER",
    )
    again = [str(tmp_path / "out" / "recipe.yaml"), *argv.replace("FOLDER", str(tmp_path)).split(), "--use_cpu", "true"]
    assert resolve_recipe(*parse_recipe(again)) == first


@pytest.mark.parametrize("model", [["--model_type", "mel"], ["--model_name_or_path", "openai/whisper-tiny.en"]])
def test_the_header_of_other_recipes_needs_no_encoder(tmp_path, model):
    arguments = ["--corpus", "synthetic", "--use_cpu", "true", "--output_dir", str(tmp_path / "out"), *model]
    claim(tmp_path / "out", resolve_recipe(*parse_recipe(arguments)), DATA)
    header = (tmp_path / "out" / "recipe.yaml").read_text().splitlines()[1]
    assert header == "# ser-hf train recipe.yaml --data_root FOLDER --output_dir FOLDER"


def test_a_folder_of_another_recipe_is_refused_and_left_as_it_was(tmp_path):
    claim(tmp_path, recipe(tmp_path), DATA)
    before = (tmp_path / "recipe.yaml").read_text()
    with pytest.raises(FileExistsError, match="run of another recipe .*learning_rate: 3e-05 there, 0.01 here"):
        check_folder(tmp_path, recipe(tmp_path, "--learning_rate", "0.01"))
    assert (tmp_path / "recipe.yaml").read_text() == before


def test_length_and_launch_may_change(tmp_path):
    claim(tmp_path, recipe(tmp_path), DATA)
    changes = ["--num_train_epochs", "99", "--logging_steps", "3", "--dataloader_num_workers", "0", "--run_name", "b"]
    changed = recipe(tmp_path, *changes)
    check_folder(tmp_path, changed)
    claim(tmp_path, changed, DATA)
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["num_train_epochs"] == 99


def test_a_run_without_a_newer_option_goes_on_with_its_default_only(tmp_path):
    older = {key: value for key, value in recipe(tmp_path).items() if key not in ("sampling", "loss", "task", "codec")}
    claim(tmp_path, older, DATA)
    check_folder(tmp_path, recipe(tmp_path))
    with pytest.raises(FileExistsError, match="sampling: all there, balanced here"):
        check_folder(tmp_path, recipe(tmp_path, "--sampling", "balanced"))
    with pytest.raises(FileExistsError, match="codec: False there, True here"):
        check_folder(tmp_path, recipe(tmp_path, "--codec", "true"))


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="contains no run of ser_hf"):
        check_folder(tmp_path, recipe(tmp_path))


def test_other_data_under_the_same_recipe_is_refused(tmp_path):
    claim(tmp_path, recipe(tmp_path), DATA)
    with pytest.raises(FileExistsError, match="a run of this recipe on other data"):
        claim(tmp_path, recipe(tmp_path), OTHER_DATA)


def test_a_folder_that_a_run_is_writing_is_refused_until_that_run_ends_or_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("ser_hf.runs.folder.PATIENCE", 0.1)
    with pytest.raises(RuntimeError, match="the run failed"), claim_folder(tmp_path, recipe(tmp_path), DATA):
        with pytest.raises(FileExistsError, match="Another process is running in"):
            claim(tmp_path, recipe(tmp_path), DATA)
        raise RuntimeError("the run failed")
    claim(tmp_path, recipe(tmp_path), DATA)


@pytest.mark.parametrize("missing", ["data.sha256", "recipe.yaml data.sha256"])
def test_a_claim_that_was_interrupted_is_taken_up_again(tmp_path, missing):
    claim(tmp_path, recipe(tmp_path), DATA)
    for name in missing.split():
        (tmp_path / name).unlink()
    (tmp_path / ".recipe.yaml.0123.partial").write_text("corpus: synth")
    (tmp_path / ".tmpAb12Cd").write_text("weights that safetensors was writing")
    check_folder(tmp_path, recipe(tmp_path))
    claim(tmp_path, recipe(tmp_path), DATA)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "data.sha256", "recipe.yaml"]
