import pytest
from annotated_corpora import DETAILED, write_msp_tables

from ser_hf.corpora.msp_podcast import msp_podcast

NAME = "MSP-PODCAST_0001_0008"


@pytest.fixture
def write_corpus(tmp_path, write_audio):
    """Write the two tables, each row's audio and one transcript."""

    def write(*rows, detailed=DETAILED, labels="Labels/labels_consensus.csv", audio="Audios", extension=".wav"):
        write_msp_tables(tmp_path, rows, detailed, labels)
        for row in rows:
            write_audio(tmp_path / audio / row.split(",")[0].replace(".wav", extension))
        (tmp_path / "Transcripts").mkdir(exist_ok=True)
        (tmp_path / "Transcripts" / f"{NAME}.txt").write_text("And so it goes.\n")
        return tmp_path

    return write


def row(name=NAME, emotion="N", speaker="127", gender="Male", split="Train"):
    return f"{name}.wav,{emotion},4.5,3.25,5.0,{speaker},{gender},{split}"


def test_every_column_is_read(write_corpus):
    (utterance,) = msp_podcast(write_corpus(row()))
    assert (utterance.emotion, utterance.speaker, utterance.gender) == ("neutral", "127", "male")
    assert (utterance.arousal, utterance.valence, utterance.dominance) == (4.5, 3.25, 5.0)
    assert (utterance.session, utterance.split) == ("MSP-PODCAST_0001", "train")
    assert utterance.text == "And so it goes."
    assert utterance.path.endswith(f"Audios/{NAME}.wav")


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("A", "angry"),
        ("C", "contempt"),
        ("D", "disgust"),
        ("F", "fearful"),
        ("H", "happy"),
        ("N", "neutral"),
        ("O", "other"),
        ("S", "sad"),
        ("U", "surprised"),
        ("X", "no_agreement"),
    ],
)
def test_every_emotion_code_is_read(write_corpus, code, emotion):
    assert [utterance.emotion for utterance in msp_podcast(write_corpus(row(emotion=code)))] == [emotion]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("Development", "validation"),
        ("Validation", "validation"),
        ("Test1", "test"),
        ("Test2", "test2"),
        ("Test3", "test3"),
    ],
)
def test_every_split_is_read(write_corpus, name, split):
    assert [utterance.split for utterance in msp_podcast(write_corpus(row(split=name)))] == [split]


def test_unknown_speakers_and_genders_are_none_and_long_names_keep_their_podcast(write_corpus):
    root = write_corpus(row("MSP-PODCAST_0153_0108_0002", speaker="Unknown", gender="Unknown"))
    (utterance,) = msp_podcast(root)
    assert (utterance.speaker, utterance.gender, utterance.text) == (None, None, None)
    assert utterance.session == "MSP-PODCAST_0153"


@pytest.mark.parametrize(
    "detailed",
    [
        DETAILED
        + f'{NAME}.wav,"WORKER00000001; Happy; Happy,Amused; A:5.0; V:5.0; D:4.0;"\n'
        + f'{NAME}.wav,"WORKER00000002; Other-Curious; ; A:5.0; V:5.0; D:4.0;"\n'
        + f'{NAME}.wav,"WORKER00000003; Happy; Angry; A:5.0; V:5.0; D:4.0;"\n',
        "FileName,Workers,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom\n"
        + f'{NAME}.wav,WORKER00000001,Happy,"Happy,Amused",5,5,4\n'
        + f"{NAME}.wav,WORKER00000002,Other-Curious,,5,5,4\n"
        + f"{NAME}.wav,WORKER00000003,Happy,Angry,5,5,4\n",
    ],
    ids=["one text", "columns"],
)
def test_votes_are_the_primary_emotions_in_both_forms_of_the_table(write_corpus, detailed):
    root = write_corpus(row(), row("MSP-PODCAST_0001_0009"), detailed=detailed)
    assert [utterance.votes for utterance in msp_podcast(root)] == [{"happy": 2, "other": 1}, None]


def test_older_releases_and_converted_audio_are_found(write_corpus):
    root = write_corpus(row(), labels="label/labels_concensus.csv", audio="Audio", extension=".flac")
    (root / "Audios.tar.gz").touch()
    (utterance,) = msp_podcast(root)
    assert utterance.path.endswith(f"Audio/{NAME}.flac")


def test_missing_audio_and_missing_labels_are_counted(write_corpus, write_audio, caplog):
    root = write_corpus(row(), row("MSP-PODCAST_0001_0010"), row("MSP-PODCAST_0001_0009"))
    for number in ("0009", "0010"):
        (root / "Audios" / f"MSP-PODCAST_0001_{number}.wav").unlink()
    write_audio(root / "Audios" / "MSP-PODCAST_0002_0001.wav")
    write_audio(root / "Previous_releases_information" / "MSP-PODCAST_0003_0001.wav")
    assert len(list(msp_podcast(root))) == 1
    assert "Skipped 1 of 3 audio files" in caplog.text
    assert "2 MSP-Podcast utterances without audio (first: MSP-PODCAST_0001_0009)" in caplog.text
    assert "1 MSP-Podcast utterances without label (first: MSP-PODCAST_0002_0001)" in caplog.text


def test_a_missing_table_says_what_was_expected_and_found(write_corpus, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected Labels/labels_consensus.csv, found \[\]"):
        list(msp_podcast(tmp_path))
    root = write_corpus(row())
    (root / "Labels" / "labels_consensus.csv").unlink()
    with pytest.raises(FileNotFoundError, match="No MSP-Podcast labels.*'Labels/labels_detailed.csv'"):
        list(msp_podcast(root))


def test_tables_without_audio_are_no_corpus(write_corpus):
    root = write_corpus(row())
    (root / "Audios" / f"{NAME}.wav").unlink()
    with pytest.raises(FileNotFoundError, match="expected files like Audios/MSP-PODCAST_0001_0008.wav"):
        list(msp_podcast(root))


def test_without_the_table_of_annotations_the_votes_are_unknown(write_corpus):
    root = write_corpus(row())
    (root / "Labels" / "labels_detailed.csv").unlink()
    assert [utterance.votes for utterance in msp_podcast(root)] == [None]


def test_empty_ratings_are_unknown(write_corpus):
    (utterance,) = msp_podcast(write_corpus(row(emotion="anger").replace("4.5,3.25,5.0", ",3.25,NA")))
    assert (utterance.arousal, utterance.valence, utterance.dominance) == (None, 3.25, None)
    assert utterance.emotion == "angry"


def test_a_table_that_lacks_a_column_is_named(write_corpus):
    root = write_corpus(row(), detailed="FileName,Emotion\n")
    with pytest.raises(ValueError, match=r"labels_detailed.csv' lacks \['EmoDetail'\]"):
        list(msp_podcast(root))
    table = root / "Labels" / "labels_consensus.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("SpkrID", "Speaker"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"labels_consensus.csv' lacks \['SpkrID'\]"):
        list(msp_podcast(root))


def test_the_first_of_two_copies_stays_and_the_others_are_counted(write_corpus, write_audio, caplog):
    root = write_corpus(row())
    write_audio(root / "Audios" / "more" / f"{NAME}.wav")
    assert [utterance.path for utterance in msp_podcast(root)] == [str(root / "Audios" / f"{NAME}.wav")]
    assert "Left out 1 MSP-Podcast files as duplicates" in caplog.text
