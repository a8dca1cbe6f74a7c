import json
import logging
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ser_hf.publishing import publishable_files, render_card
from ser_hf.publishing.upload import check_licence, collect_files, publish
from ser_hf.runs.results import read_results

RUN = ("README.md", "all_results.json", "answers.json", "recipe.yaml", "figures/confusion.png")
MODEL = ("config.json", "preprocessor_config.json", "model.safetensors")
PROBE = ("head.json", "head.skops")
AT_HOME = (
    "predictions.csv", "training_args.bin", "audio_problems.csv", "data.sha256", "optimizer.pt", "notes.txt",
    "checkpoint-9/optimizer.pt", "checkpoint-9/model.safetensors", "runs/events.out.tfevents.1", ".env",
)  # fmt: skip
RESULTS = Path(__file__).resolve().parents[1] / "golden" / "ravdess_whisper_tiny_fold_1" / "all_results.json"


@pytest.fixture
def finished(tmp_path):
    def write(*names):
        for name in (*RUN, *AT_HOME, *names):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text('{"features": {}}' if name.endswith(".json") else name)
        for path in (RESULTS, RESULTS.with_name("recipe.yaml")):
            shutil.copy(path, tmp_path)
        return tmp_path

    return write


@pytest.mark.parametrize("model", [MODEL, PROBE])
def test_only_the_allowlist_leaves_the_machine(finished, model):
    files = collect_files(finished(*model), "someone/tiny")
    assert set(files) == {*RUN, *model}


def test_the_results_leave_without_the_names_of_their_speakers(finished):
    results = json.loads(collect_files(finished(*MODEL), "someone/tiny")["all_results.json"])
    assert list(results["test"]["per_speaker"]) == ["speaker 1", "speaker 2", "speaker 3", "speaker 4"]
    assert results["test"]["ua"] == json.loads(RESULTS.read_text(encoding="utf-8"))["test"]["ua"]


def test_an_unfinished_folder_is_refused(finished):
    folder = finished(*MODEL)
    (folder / "all_results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"not a finished run: \['all_results.json'\] are missing"):
        publishable_files(folder)


def test_examples_go_along_and_the_uploaded_card_offers_them(finished, tmp_path, write_audio):
    folder = finished(*MODEL)
    (folder / "README.md").write_text("---\ntags: [ser_hf]\n---\n# A model\n")
    write_audio(tmp_path / "elsewhere" / "happy.wav")
    files = collect_files(folder, "someone/tiny", [tmp_path / "elsewhere" / "happy.wav"])
    assert files["examples/happy.wav"] == tmp_path / "elsewhere" / "happy.wav"
    card = ModelCard(files["README.md"].decode())
    assert card.data.widget == [{"example_title": "happy", "src": "examples/happy.wav"}]
    assert card.data.tags == ["ser_hf"]
    assert "widget" not in (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_names_the_repository_and_keeps_what_was_written_into_it(published_folder, tmp_path):
    folder = shutil.copytree(published_folder, tmp_path / "tiny")
    before = (folder / "README.md").read_text(encoding="utf-8")
    results = read_results(folder)
    card = collect_files(folder, "me/other")["README.md"].decode()
    assert card == str(render_card(folder, results, repo_id="me/other"))
    own = 'My own words, beside pipeline(model="superb/wav2vec2-base-superb-er").'
    (folder / "README.md").write_text(before.replace("## Use", f"{own}\n\n## Use"), encoding="utf-8")
    card = collect_files(folder, "me/other")["README.md"].decode()
    assert own in card
    assert 'model="me/other"' in card
    assert "someone/tiny" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("predictions.csv", ValueError, "as .wav or .flac files"), ("missing.wav", FileNotFoundError, "does not exist")],
)
def test_what_is_no_audio_is_no_example(finished, name, error, message):
    folder = finished(*MODEL)
    with pytest.raises(error, match=message):
        collect_files(folder, "someone/tiny", [folder / name])


@pytest.mark.parametrize(
    "head",
    [
        "",
        "license: other\n",
        "license: cc-by-nc-nd-4.0\n",
        "license: ''\n",
        "license: OTHER\n",
        "license: [mit, other]\n",
        "license: unknown\n",
    ],
)
def test_a_card_without_an_open_licence_is_not_for_the_public(tmp_path, head):
    (tmp_path / "README.md").write_text(f"---\n{head}tags: []\n---\n# A model\n")
    with pytest.raises(ValueError, match="Expected an open licence for a public repository.*A private repository"):
        check_licence(tmp_path)


def test_a_card_with_one_is(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# A model\n")
    check_licence(tmp_path)


def test_a_public_push_asks_for_the_licence(published_folder, tmp_path):
    folder = shutil.copytree(published_folder, tmp_path / "tiny")
    card = ModelCard.load(folder / "README.md")
    card.data.license = "other"
    card.save(folder / "README.md")
    publish(folder, "someone/tiny", dry_run=True)
    with pytest.raises(ValueError, match="Expected an open licence for a public repository"):
        publish(folder, "someone/tiny", public=True, dry_run=True)


@pytest.mark.parametrize("repo_id", ["tiny", "some one/tiny", "a/b/c", "someone/tiny.git"])
def test_an_id_that_the_hub_would_not_take_is_refused_at_once(tmp_path, repo_id):
    with pytest.raises(ValueError, match="user/name|[Rr]epo"):
        publish(tmp_path / "missing", repo_id)


def test_a_link_to_elsewhere_does_not_go(finished, tmp_path_factory):
    folder, secret = finished(*MODEL), tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(b"secret")
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "secret.png").symlink_to(secret)
    with pytest.raises(ValueError, match="secret.png. is a link to .*, outside of its folder"):
        collect_files(folder, "someone/tiny")


def test_examples_are_audio_of_different_names(finished, tmp_path, write_audio):
    folder = finished(*MODEL)
    (folder / "README.md").write_text(
        "---\ntags: [ser_hf]\nwidget:\n- src: https://example.org/a.wav\n  example_title: mine\n---\n# A model\n"
    )
    for name in ("one/happy.wav", "two/happy.wav", "UP.WAV"):
        write_audio(tmp_path / name)
    files = collect_files(folder, "someone/tiny", [tmp_path / "UP.WAV"])
    titles = [example["example_title"] for example in ModelCard(files["README.md"].decode()).data.widget]
    assert titles == ["mine", "UP"]
    with pytest.raises(ValueError, match="found 'examples/happy.wav' twice"):
        collect_files(folder, "someone/tiny", [tmp_path / "one/happy.wav", tmp_path / "two/happy.wav"])
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(ValueError, match="text.wav"):
        collect_files(folder, "someone/tiny", [tmp_path / "text.wav"])


def test_a_dry_run_lists_what_would_go_and_asks_no_hub(published_folder, caplog):
    caplog.set_level(logging.INFO, "ser_hf")
    listing = publish(published_folder, "someone/tiny", dry_run=True)  # HF_HUB_OFFLINE would end any request
    assert "3 waveforms, largest difference of a score" in caplog.text
    title, *lines = listing.splitlines()
    assert title == "Nothing was uploaded. The files would be (bytes):"
    rows = dict(line.split()[::-1] for line in lines)
    kept = {path.relative_to(published_folder).as_posix() for path in publishable_files(published_folder)}
    assert set(rows) == kept
    assert rows["model.safetensors"] == f"{(published_folder / 'model.safetensors').stat().st_size:,}"


def test_what_the_gate_refuses_is_not_published(finished):
    with pytest.raises(ValueError, match="Not publishable"):
        publish(finished(*MODEL), "someone/tiny")


def test_a_repository_without_a_user_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="Expected a repository 'user/name', found 'tiny'"):
        publish(tmp_path, "tiny")
