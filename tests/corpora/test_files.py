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
    for part in (f"1 audio files under '{linked_corpus}'", NAME, "0a1b.wav", "Copy", "data_root", "--allow_outside"):
        assert part in str(error.value)


def test_the_folder_that_holds_links_and_files_is_read(linked_corpus):
    assert len(list(load_corpus("ravdess", linked_corpus.parent))) == 1


def test_a_linked_file_whose_root_only_begins_alike_is_refused(tmp_path, write_audio):
    write_audio(tmp_path / "root2" / "a.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.wav").symlink_to(tmp_path / "root2" / "a.wav")
    with pytest.raises(ValueError, match="links to files outside it"):
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
    assert f"Skipped 3 links to folders under '{tmp_path}' (first: {tmp_path / 'Actor_02'})" in caplog.text


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
