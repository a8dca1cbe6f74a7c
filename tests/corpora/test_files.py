import os

import pytest

from ser_hf.corpora import load_corpus
from ser_hf.corpora.files import audio_files, read_table

NAME = "03-01-03-01-01-01-01.wav"


@pytest.fixture
def linked_corpus(tmp_path, write_audio):
    """Write a corpus like the Hub's cache, of links to blobs, and return the folder of the links."""
    write_audio(tmp_path / "cache" / "blobs" / "0a1b.wav")
    root = tmp_path / "cache" / "snapshot"
    root.mkdir()
    (root / NAME).symlink_to("../blobs/0a1b.wav")
    return root


@pytest.mark.parametrize("corpus", ["ravdess", "folder", "emodb", "msp_improv", "meld"])
def test_a_linked_file_that_leads_out_of_the_root_is_refused_with_the_way_out(linked_corpus, corpus):
    with pytest.raises(ValueError) as error:
        list(load_corpus(corpus, linked_corpus))
    for part in (f"1 link under '{linked_corpus}'", NAME, "0a1b.wav", "Copy", "data_root", "--allow_outside"):
        assert part in str(error.value)


def test_the_folder_that_holds_links_and_files_is_read(linked_corpus):
    assert len(list(load_corpus("ravdess", linked_corpus.parent))) == 1


def test_a_linked_file_whose_root_only_begins_alike_is_refused(tmp_path, write_audio):
    write_audio(tmp_path / "root2" / "a.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.wav").symlink_to(tmp_path / "root2" / "a.wav")
    with pytest.raises(ValueError, match="to audio files outside it"):
        audio_files(tmp_path / "root")


def test_links_within_the_root_are_read_even_where_the_root_is_a_link(tmp_path, write_audio):
    write_audio(tmp_path / "real" / "a.wav")
    (tmp_path / "real" / "b.wav").symlink_to("a.wav")
    (tmp_path / "real" / "c.wav").symlink_to(".git/annex/missing.wav")  # annexed audio that was not fetched
    (tmp_path / "root").symlink_to("real")
    assert audio_files(tmp_path / "root") == [str(tmp_path / "root" / f"{name}.wav") for name in "abc"]


def test_linked_folders_are_counted_and_not_followed(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "Actor_01" / NAME)
    for name in ("Actor_02", "Actor_03"):
        (tmp_path / name).symlink_to("Actor_01")
    (tmp_path / "loop").symlink_to(".")
    assert audio_files(tmp_path) == [str(tmp_path / "Actor_01" / NAME)]
    assert f"Not read under '{tmp_path}': 3 links to folders (first: 'Actor_02')." in caplog.text


@pytest.mark.parametrize(
    ("corpus", "first", "second"),
    [
        ("ravdess", NAME, f"copy/{NAME}"),
        ("cafe", "CaFE_192k/02-P-1-4.wav", "CaFE_48k/02-P-1-4.wav"),
        ("crema_d", "AudioWAV/1001_IEO_ANG_HI.wav", "AudioMP3/1001_IEO_ANG_HI.mp3"),
        ("crema_d", "a/1001_IEO_ANG_HI.wav", "b/1001_IEO_ANG_HI.wav"),
        ("jl_corpus", "a/male1_angry_10a_1.wav", "b/male1_angry_10a_1.wav"),
        ("tess", "a/OA_bite_neutral.wav", "b/OAF_bite_neutral.wav"),
    ],
)
def test_the_first_of_two_copies_stays_and_the_others_are_counted(tmp_path, write_audio, caplog, corpus, first, second):
    write_audio(tmp_path / first)
    write_audio(tmp_path / second)
    (utterance,) = load_corpus(corpus, tmp_path)
    assert utterance.path == str(tmp_path / first)
    assert "Left out 1 " in caplog.text
    assert f"duplicates by name; their audio was not compared (first: {tmp_path / second})" in caplog.text


@pytest.mark.parametrize(
    ("corpus", "path", "emotion"),
    [
        ("crema_d", "1001_IEO_SUR_XX.wav", "surprised"),
        ("emov_db", "bea_Anger/anger_1-15_0001.wav", "angry"),
        ("emovo", "exc-f2-b1.wav", "excited"),
        ("esd", "0011/Fear/0011_000351.wav", "fearful"),
        ("jl_corpus", "male1_anger_10a_1.wav", "angry"),
        ("nemo", "WR0_disgusted_64.wav", "disgust"),
        ("savee", "DC/anger03.wav", "angry"),
        ("subesco", "F_07_TITHI_S_8_ANGER_1.wav", "angry"),
        ("tess", "OAF_back_PS.wav", "surprised"),
        ("tess", "OAF_back_Anger.wav", "angry"),
        ("turev_db", "Sadness/1984_hl_dugun.wav", "sad"),
    ],
)
def test_another_spelling_of_an_emotion_is_no_class_of_its_own(tmp_path, write_audio, corpus, path, emotion):
    write_audio(tmp_path / path)
    assert [utterance.emotion for utterance in load_corpus(corpus, tmp_path)] == [emotion]


def test_a_table_is_read_with_and_without_a_byte_order_mark(tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "labels.csv").write_text("name,text\na,é\nb\n", encoding=encoding)
        rows = list(read_table(tmp_path / "labels.csv", "name", "text"))
        assert rows == [{"name": "a", "text": "é"}, {"name": "b", "text": ""}]


@pytest.mark.parametrize("text", ["name,Text\na,b\n", ""])
def test_a_table_that_lacks_a_column_is_named(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=r"labels.csv' lacks .*'text'\]: expected .*'name', 'text'\], found"):
        list(read_table(tmp_path / "labels.csv", "name", "text"))


def test_other_files_are_counted_and_named_once(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "a.wav")
    for name in ("b.xyz", "c.xyz", "notes.txt", "d"):
        (tmp_path / name).touch()
    for _ in range(2):
        assert audio_files(tmp_path) == [str(tmp_path / "a.wav")]
    (record,) = caplog.records
    assert record.message == (
        f"Not read under '{tmp_path}': 4 files without an extension of audio (2 .xyz, 1 without any, 1 .txt; first: "
        "'b.xyz')."
    )


@pytest.mark.parametrize(
    "name", ["a.oga", "a.MP2", "a.sph", "a.snd", "a.voc", "a.m4a", "a.3gp", "a.AVI", "a.mka", "a.amr"]
)
def test_recordings_of_every_format_are_taken(tmp_path, name):
    (tmp_path / name).touch()
    assert audio_files(tmp_path) == [str(tmp_path / name)]


def test_a_link_to_itself_a_pipe_and_a_closed_folder_do_not_stop_the_search(tmp_path, write_audio, caplog, monkeypatch):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(folder):
        if str(folder).endswith("closed"):
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert audio_files(tmp_path) == [str(tmp_path / "a.wav"), str(tmp_path / "loop.wav")]
    assert "1 folder that cannot be opened (first: 'closed')" in caplog.text
    assert "1 special file (named pipe, device or socket) (first: 'pipe.wav')" in caplog.text


def test_placeholders_of_icloud_are_named(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "a.wav")
    (tmp_path / ".b.wav.icloud").touch()
    audio_files(tmp_path)
    assert "1 placeholder of iCloud, which 'brctl download FILE' downloads (first: '.b.wav.icloud')" in caplog.text


@pytest.mark.parametrize(
    ("corpus", "first", "second"),
    [
        ("emodb", "one/03a01Fa.wav", "two/03a01Fa.wav"),
        ("savee", "AudioData/DC/sa03.wav", "copy/DC_sa03.wav"),
        ("emov_db", "a/bea_Amused/amused_1-15_0001.wav", "b/bea_Amused/amused_1-15_0001.wav"),
        ("esd", "0011/Angry/0011_000351.wav", "esd/0011/Angry/train/0011_000351.wav"),
        ("shemo", "female/F03S02.wav", "shemo/F03S02.mp3"),
        ("aesdd", "anger/a03 (4).wav", "x/anger/a03 (4).wav"),
        ("nemo", "a/WR0_sadness_64.wav", "b/WR0_sadness_64.ogg"),
        ("urdu", "Angry/SM4_F38_A090.wav", "Urdu/Angry/SM4_F38_A090.wav"),
        ("subesco", "a/F_07_TITHI_S_8_HAPPY_1.wav", "b/F_07_TITHI_S_8_HAPPY_1.wav"),
        ("emovo", "f2/gio-f2-b1.wav", "g/gio-f2-b1.wav"),
        ("turev_db", "Angry/1984_kz_dugun.wav", "copy/Angry/1984_kz_dugun.wav"),
    ],
)
def test_no_corpus_is_read_twice(tmp_path, write_audio, caplog, corpus, first, second):
    write_audio(tmp_path / first)
    write_audio(tmp_path / second)
    assert [utterance.path for utterance in load_corpus(corpus, tmp_path)] == [str(tmp_path / first)]
    assert "Left out 1 " in caplog.text and "duplicates by name" in caplog.text


def test_a_video_of_a_recording_is_no_copy(tmp_path, write_audio, caplog):
    write_audio(tmp_path / "b" / "03a01Fa.wav")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "03a01Fa.mp4").touch()
    assert [utterance.path for utterance in load_corpus("emodb", tmp_path)] == [str(tmp_path / "b" / "03a01Fa.wav")]
    assert "duplicates" not in caplog.text


def test_an_empty_corpus_names_the_files_that_it_has_instead(tmp_path):
    (tmp_path / "03a01Fa.xyz").touch()
    with pytest.raises(FileNotFoundError, match=r"No Emo-DB utterances.*Not read under .*: 1 file .*\(1 .xyz; first"):
        list(load_corpus("emodb", tmp_path))
