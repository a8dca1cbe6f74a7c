import os
import sys
import unicodedata

import pytest

from ser_hf.corpora.table import table

UNICODE_NAMES = pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="file names are ASCII here")


def test_a_folder_may_hold_one_table(write_table, tmp_path, read_one):
    write_table("path,emotion\na.wav,sad\n")
    write_table("rubbish", "._labels.csv")
    write_table("read me", "notes.txt")
    assert read_one(tmp_path).path == str(tmp_path / "a.wav")
    write_table("path,emotion\na.wav,sad\n", "Other.TSV")
    with pytest.raises(ValueError, match=r"Expected one table .*\['Other.TSV', 'labels.csv'\]"):
        list(table(tmp_path))


def test_a_wrong_root_says_what_was_expected(write_table, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list(table(tmp_path / "missing"))
    notes = write_table("read me", "notes.txt")
    with pytest.raises(FileNotFoundError, match=r"No table in .*\.csv, \.tsv, \.jsonl, \.parquet, \.xlsx"):
        list(table(tmp_path))
    with pytest.raises(ValueError, match=r"Expected a table among .*found .*notes.txt"):
        list(table(notes))


def test_windows_paths_are_read(write_table, tmp_path, read_one):
    assert read_one(write_table("path,emotion\n.\\a\\b.wav,sad\n")).path == str(tmp_path / "a" / "b.wav")


@pytest.mark.skipif(os.name == "nt", reason="there it is a path like others")
@pytest.mark.parametrize("allow_outside", [True, False])
def test_a_windows_drive_is_refused(write_table, allow_outside):
    with pytest.raises(ValueError, match="Windows drive"):
        list(table(write_table("path,emotion\nC:\\a\\b.wav,sad\n"), allow_outside=allow_outside))


def test_paths_are_relative_to_audio_root(write_table, tmp_path, read_one):
    (tmp_path / "wavs").mkdir()
    path = write_table("path,emotion\na/b.wav,sad\n")
    assert read_one(path, audio_root=tmp_path / "wavs").path == str(tmp_path / "wavs" / "a" / "b.wav")
    with pytest.raises(FileNotFoundError, match="audio_root .* is not a folder"):
        list(table(path, audio_root=tmp_path / "missing"))


def test_absolute_paths_stay_inside_the_root(write_table, tmp_path, read_one):
    (tmp_path / "inside").mkdir()
    path = write_table(f"path,emotion\n{tmp_path}/inside/a.wav,sad\n")
    assert read_one(path).path == str(tmp_path / "inside" / "a.wav")
    (tmp_path / "insi").mkdir()  # its name begins like that of the other folder
    with pytest.raises(ValueError, match="Row 2 .*is outside"):
        list(table(path, audio_root=tmp_path / "insi"))


@pytest.mark.parametrize(
    "cell", ["../a.wav", "in/../../a.wav", "..\\a.wav", "/a.wav", "//host/a.wav", "out/a.wav", "link.wav"]
)
def test_a_path_that_leads_out_is_refused_unless_allowed(tmp_path, cell):
    root, out = tmp_path / "root", tmp_path / "out"
    for folder in (root, root / "in", out):
        folder.mkdir()
    (out / "a.wav").touch()
    (root / "out").symlink_to(out)
    (root / "link.wav").symlink_to(out / "a.wav")
    (root / "labels.csv").write_text(f"path,emotion\nb.wav,sad\n{cell},happy\n")
    with pytest.raises(ValueError) as error:
        list(table(root))
    for part in ("Row 3", f"'{cell}'", "allow_outside"):
        assert part in str(error.value)
    assert len(list(table(root, allow_outside=True))) == 2


def test_links_within_the_root_are_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.wav").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "two.wav").symlink_to(tmp_path / "a" / "one.wav")
    (tmp_path / "labels.csv").write_text("path,emotion\nb/one.wav,sad\ntwo.wav,sad\na/../b/one.wav,sad\n")
    assert len(list(table(tmp_path))) == 3


def test_the_root_itself_may_be_a_link(tmp_path, read_one):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "labels.csv").write_text("path,emotion\na.wav,sad\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_one(tmp_path / "link").path == str(tmp_path / "link" / "a.wav")


@pytest.mark.parametrize("cell", ["", ".", "a/..", "a/"])
def test_a_path_of_no_file_is_refused(write_table, cell):
    with pytest.raises(ValueError, match="Row 2 .*expected an audio file"):
        list(table(write_table(f"path,emotion\n{cell},sad\n")))


def test_the_pattern_gives_the_speaker(write_table):
    path = write_table("path,emotion,speaker\nx_1/s01_1.wav,sad,Ann\nx_1/s02_1.wav,sad,Ben\n")
    assert [utterance.speaker for utterance in table(path, speaker_pattern=r"(s\d+)_")] == ["s01", "s02"]
    assert [utterance.speaker for utterance in table(path, speaker_pattern=r"s\d+")] == ["s01", "s02"]
    with pytest.raises(ValueError, match="Row 3 .*finds no speaker in 's02_1.wav'"):
        list(table(path, speaker_pattern="(s01)"))
    with pytest.raises(ValueError, match="not a regular expression"):
        list(table(path, speaker_pattern="("))


@UNICODE_NAMES
@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_in_the_other_unicode_form_is_found(tmp_path, written, stored, read_one):
    folder, name = (unicodedata.normalize(stored, text) for text in ("Gefühl", "Ärger.wav"))
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).touch()
    cell = unicodedata.normalize(written, "Gefühl\\Ärger.wav")
    (tmp_path / "labels.csv").write_text(f"path,emotion\n{cell},sad\n", encoding="utf-8")
    assert read_one(tmp_path).path == str(tmp_path / folder / name)


@UNICODE_NAMES
def test_a_folder_in_the_other_unicode_form_does_not_lead_out(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").touch()
    (tmp_path / "root" / unicodedata.normalize("NFD", "ü")).symlink_to(tmp_path / "out")
    (tmp_path / "root" / "labels.csv").write_text("path,emotion\nü/a.wav,sad\n", encoding="utf-8")
    with pytest.raises(ValueError, match="is outside"):
        list(table(tmp_path / "root"))
