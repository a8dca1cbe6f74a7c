"""What the folders above and below those of the emotions stand for."""

import shutil

import pytest
import soundfile

from ser_hf.corpora import load_corpus
from ser_hf.corpora.layout import language_of, partition_of

PARTITIONS = {
    "train": "train", "TRAINING": "train", "train_wav": "train", "01-Trainset": "train", "dev": "validation",
    "Valid": "validation", "val_data": "validation", "test": "test", "Testing Set": "test", "evaluation": "test",
}  # fmt: skip


@pytest.mark.parametrize(("name", "part"), PARTITIONS.items())
def test_the_usual_names_of_partitions_are_recognised(name, part):
    assert partition_of(name) == part


@pytest.mark.parametrize("name", ["test_train", "data", "tested", "train angry", "", "01"])
def test_other_names_are_no_partitions(name):
    assert partition_of(name) is None


CODES = {
    "arabic": "ar", "bengali": "bn", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "estonian": "et", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "spanish": "es", "swedish": "sv", "tamil": "ta", "turkish": "tr", "ukrainian": "uk", "urdu": "ur",
    "vietnamese": "vi",
}  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_languages_get_their_codes(name, code):
    assert language_of(name.title()) == language_of(code) == code


@pytest.fixture
def lay_out(tmp_path):
    """Write a recording of its own at each path, and return the folder."""

    def write(*paths):
        for number, path in enumerate(paths):
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, [0.1, 0.001 * number, -0.1], 8_000)
        return tmp_path

    return write


def read(root, **options):
    rows = load_corpus("folder", root, **options)
    return sorted({(row.emotion, row.speaker, row.language, row.split) for row in rows}, key=str)


def test_partitions_are_no_emotions(lay_out, caplog):
    caplog.set_level("INFO")
    root = lay_out("Training Set/Anger/a.wav", "Training Set/joy/b.wav", "dev/joy/c.wav", "eval/Anger/d.wav")
    assert read(root) == [
        ("angry", None, None, "test"),
        ("angry", None, None, "train"),
        ("happy", None, None, "train"),
        ("happy", None, None, "validation"),
    ]
    assert "2 emotions in 3 partitions (--layout partition/emotion). --split given uses the partitions." in caplog.text


def test_partitions_may_be_below_the_emotions(lay_out):
    root = lay_out("sad/train/a.wav", "sad/test/b.wav", "bored/train/c.wav", "bored/test/d.wav")
    assert read(root) == [
        ("bored", None, None, "test"),
        ("bored", None, None, "train"),
        ("sad", None, None, "test"),
        ("sad", None, None, "train"),
    ]


@pytest.mark.parametrize("names", [("Actor_01", "Actor_02"), ("F03", "M12"), ("spk-A", "spk-B"), ("p1", "p2")])
def test_folders_named_as_speakers_are_speakers(lay_out, names, caplog):
    caplog.set_level("INFO")
    root = lay_out(*(f"{name}/{emotion}/a.wav" for name in names for emotion in ("angry", "sad")))
    assert read(root) == [(emotion, name, None, None) for emotion in ("angry", "sad") for name in names]
    assert "2 emotions of 2 speakers (--layout speaker/emotion)" in caplog.text


def test_languages_are_no_emotions(lay_out):
    root = lay_out("German/angry/a.wav", "German/sad/b.wav", "en-GB/angry/c.wav")
    assert read(root) == [("angry", None, "de", None), ("angry", None, "en-GB", None), ("sad", None, "de", None)]


def test_partitions_languages_and_speakers_may_be_nested(lay_out):
    root = lay_out("train/Italian/f1/joy/a.wav", "train/Italian/m1/sad/b.wav", "test/fr/f2/joy/c.wav")
    assert read(root) == [
        ("happy", "f1", "it", "train"),
        ("happy", "f2", "fr", "test"),
        ("sad", "m1", "it", "train"),
    ]


def test_folders_around_the_whole_corpus_are_passed(lay_out):
    assert read(lay_out("corpus/wav/angry/a.wav", "corpus/wav/sad/b.wav")) == [
        ("angry", None, None, None),
        ("sad", None, None, None),
    ]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("Anna/angry/a.wav", "Ben/angry/b.wav"), r"contain folders of the same names, \['angry'\].*--layout"),
        (("1/angry/a.wav", "2/sad/b.wav"), r"contain folders of emotions, \['angry', 'sad'\].*--layout"),
        (("Wut/x/a.wav", "Freude/x/b.wav"), "contain folders of the same names"),
        (("data/sad/a.wav", "data (1)/sad/b.wav"), "if one is a copy, pass the folder of the other"),
        (("train/sad/a.wav", "sad/b.wav", "angry/c.wav"), "partitions and other folders side by side"),
        (("train/a.wav", "test/b.wav"), "partitions without folders of emotions"),
        (("sad/a.wav", "happy/b.wav", "happy/old/sad/c.wav"), "several depths.*again in 'happy/old/sad'"),
        (("sad/a.wav", "sad/sad/b.wav", "happy/b.wav"), "several depths.*again in 'sad/sad'"),
        (("sad/a.wav", "happy/b.wav", "backup/sad/c.wav"), "several depths.*again in 'backup/sad'"),
    ],
)
def test_what_can_be_understood_in_two_ways_is_refused(lay_out, paths, message):
    with pytest.raises(ValueError, match=message):
        read(lay_out(*paths))


def test_an_emotion_unpacked_into_a_folder_of_its_own_name_is_read(lay_out):
    assert read(lay_out("sad/sad/a.wav", "happy/b.wav")) == [("happy", None, None, None), ("sad", None, None, None)]


@pytest.mark.parametrize(
    ("layout", "rows"),
    [
        ("speaker/emotion", [("happy", "Anna", None, None), ("wut", "Anna", None, None), ("wut", "Ben", None, None)]),
        ("emotion/speaker", [("anna", "Joy", None, None), ("anna", "Wut", None, None), ("ben", "Wut", None, None)]),
        ("*/emotion", [("happy", None, None, None), ("wut", None, None, None)]),
        ("partition/emotion", [("happy", None, None, "Anna"), ("wut", None, None, "Anna"), ("wut", None, None, "Ben")]),
    ],
)  # fmt: skip
def test_the_option_layout_says_it(lay_out, layout, rows):
    root = lay_out("Anna/Wut/a.wav", "Anna/Joy/b.wav", "Ben/Wut/c.wav")
    assert read(root, layout=layout) == rows


@pytest.mark.parametrize("layout", ["speaker", "emotion/emotion", "actor/emotion"])
def test_an_unknown_layout_is_refused(lay_out, layout):
    with pytest.raises(ValueError, match="layout: expected the levels of folders among partition, .*found"):
        read(lay_out("Anna/Wut/a.wav"), layout=layout)


def test_one_recording_under_two_emotions_is_refused(lay_out):
    root = lay_out("sad/a.wav", "happy/b.wav")
    shutil.copy(root / "sad" / "a.wav", root / "happy" / "renamed.wav")
    with pytest.raises(ValueError, match=r"1 recording under two emotions .*renamed.wav' and .*sad/a.wav'"):
        read(root)


def test_copies_under_one_emotion_and_pages_named_audio_are_left_to_later_checks(lay_out):
    root = lay_out("sad/a.wav", "happy/b.wav")
    shutil.copy(root / "sad" / "a.wav", root / "sad" / "c.wav")
    for emotion in ("sad", "happy"):
        (root / emotion / "page.wav").write_text("<html>Sign in</html>")
    assert len(list(load_corpus("folder", root))) == 5


@pytest.mark.parametrize("name", ["x.xyz", "take", "y.realaudio"])
def test_an_emotion_without_readable_files_is_refused_unless_allowed(lay_out, name):
    root = lay_out("sad/a.wav", "happy/b.wav")
    (root / "fear").mkdir()
    (root / "fear" / name).write_bytes(b"\x00\x01")
    with pytest.raises(ValueError, match=r"None of the files of \['fearful'\] is read.*1 file.*--allow_missing"):
        read(root)
    assert len(read(root, allow_missing=True)) == 2


def test_texts_and_litter_are_no_emotions(lay_out, caplog):
    caplog.set_level("INFO")
    root = lay_out("sad/a.wav", "happy/b.wav", "__MACOSX/sad/a.wav", "@eaDir/happy/b.wav")
    (root / "labels").mkdir()
    for name in ("labels/a.TextGrid", "labels/b.csv", "Thumbs.db", "sad/desktop.ini", "sad/.DS_Store", "~$labels.csv"):
        (root / name).touch()
    assert len(read(root)) == 2
    assert "2 files without an extension" in caplog.text and "1 .textgrid, 1 .csv" in caplog.text
