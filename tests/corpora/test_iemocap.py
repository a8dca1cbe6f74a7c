import pytest
from annotated_corpora import iemocap_block, write_iemocap_labels

from ser_hf.corpora.iemocap import iemocap


@pytest.fixture
def write_turn(tmp_path, write_audio):
    """Write the labels, the transcript and the audio of one turn into the release's folders."""

    def write(name, emotion="neu", *, root=tmp_path, extension=".wav", **options):
        path = write_iemocap_labels(root, name, emotion)
        if extension:
            write_audio(path.with_suffix(extension), **options)

    return write


def test_every_field_of_a_turn_is_read(tmp_path, write_turn):
    write_turn("Ses01F_impro01_M003", "xxx")
    (utterance,) = iemocap(tmp_path)
    assert (utterance.emotion, utterance.speaker, utterance.gender) == ("no_agreement", "01M", "male")
    assert (utterance.session, utterance.style, utterance.split) == ("Session1", "improvised", None)
    assert (utterance.valence, utterance.arousal, utterance.dominance) == (2.5, 3.0, 3.5)
    assert utterance.text == "Excuse me: you."
    assert utterance.path.endswith("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav")


def test_votes_are_the_annotators_and_not_the_actors(tmp_path, write_turn):
    write_turn("Ses01F_impro01_F000")
    (utterance,) = iemocap(tmp_path)
    assert utterance.votes == {"neutral": 2, "happy": 1, "excited": 1}


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("ang", "angry"),
        ("dis", "disgust"),
        ("exc", "excited"),
        ("fea", "fearful"),
        ("fru", "frustrated"),
        ("hap", "happy"),
        ("neu", "neutral"),
        ("oth", "other"),
        ("sad", "sad"),
        ("sur", "surprised"),
        ("xxx", "no_agreement"),
    ],
)
def test_every_emotion_code_is_read(tmp_path, write_turn, code, emotion):
    write_turn("Ses01F_impro01_F000", code)
    assert [utterance.emotion for utterance in iemocap(tmp_path)] == [emotion]


def test_both_recordings_of_a_session_have_the_same_two_speakers(tmp_path, write_turn):
    for name in ("Ses05F_impro01_F000", "Ses05M_script01_1b_F000", "Ses05M_script01_1b_M001", "Ses02F_impro01_F000"):
        write_turn(name)
    found = [(utterance.speaker, utterance.style) for utterance in iemocap(tmp_path)]
    assert found == [("02F", "improvised"), ("05F", "improvised"), ("05F", "scripted"), ("05M", "scripted")]


def test_votes_are_kept_apart_between_the_turns_of_a_dialogue(tmp_path, write_turn):
    write_turn("Ses01F_impro01_F000")
    write_turn("Ses01F_impro01_F001")
    assert [sum(utterance.votes.values()) for utterance in iemocap(tmp_path)] == [4, 4]


def test_converted_audio_is_found(tmp_path, write_turn):
    write_turn("Ses01F_impro01_F000", extension=".opus", format="OGG", subtype="OPUS")
    (utterance,) = iemocap(tmp_path)
    assert utterance.path.endswith("Ses01F_impro01_F000.opus")


def test_the_folder_above_the_release_and_hidden_files_do_no_harm(tmp_path, write_turn, write_audio, caplog):
    release = tmp_path / "IEMOCAP_full_release"
    write_turn("Ses01F_impro01_F000", root=release)
    write_audio(release / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / "._Ses01F_impro01_F000.wav")
    write_audio(release / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav")
    hidden = release / "Session1" / "dialog" / "EmoEvaluation" / "._Ses01F_impro01.txt"
    hidden.write_text(iemocap_block("Ses01F_impro01_F009", "ang"))
    assert len(list(iemocap(tmp_path))) == len(list(iemocap(release))) == 1
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


def test_missing_audio_and_missing_labels_are_counted(tmp_path, write_turn, write_audio, caplog):
    write_turn("Ses01F_impro01_F000")
    write_turn("Ses01F_impro01_F002", extension=None)
    write_turn("Ses01F_impro01_F001", extension=None)
    write_audio(tmp_path / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_MXX0.wav")
    assert len(list(iemocap(tmp_path))) == 1
    assert "2 IEMOCAP utterances without audio (first: Ses01F_impro01_F001)" in caplog.text
    assert "1 IEMOCAP utterances without label (first: Ses01F_impro01_MXX0)" in caplog.text


def test_a_wrong_root_says_what_was_expected(tmp_path, write_turn, write_audio):
    write_turn("Ses01F_impro01_F000", extension=None)
    write_audio(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="expected files like Session1/sentences.*the nearest is 'a.wav'"):
        list(iemocap(tmp_path))
    write_audio(tmp_path / "other" / "Ses01F_impro01_F000.wav")
    with pytest.raises(FileNotFoundError, match=r"EmoEvaluation/Ses01F_impro01.txt, found \['Ses01F_impro01_F000.wav'"):
        list(iemocap(tmp_path / "other"))
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        list(iemocap(tmp_path / "missing"))


def test_votes_stay_with_their_turn_where_its_line_is_odd(tmp_path, write_turn):
    for number in range(3):
        write_turn(f"Ses01F_impro01_F00{number}")
    table = tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    odd = table.read_text().replace("F001\tneu\t[2.5000, 3.0000, 3.5000]", "F001\tneu\t[-1, nan, 2.5]")
    table.write_text("C-E2:\tNeutral;\t()\n" + odd.replace("F002\tneu\t[2.5000, 3.0000, 3.5000]", "F002"))
    first, second = iemocap(tmp_path)
    assert (first.votes, second.votes) == 2 * ({"neutral": 2, "happy": 1, "excited": 1},)
    assert (second.valence, second.arousal, second.dominance) == (-1.0, None, 2.5)


def test_files_of_other_names_and_second_copies_are_counted(tmp_path, write_turn, write_audio, caplog):
    write_turn("Ses01F_impro01_F000")
    write_audio(tmp_path / "Session1" / "sentences" / "wav" / "odd_name.wav")
    write_audio(tmp_path / "Session1" / "Ses01F_impro01_F000.wav")
    (utterance,) = iemocap(tmp_path)
    assert utterance.path == str(tmp_path / "Session1" / "Ses01F_impro01_F000.wav")
    assert "Skipped 1 of 3 audio files" in caplog.text
    assert "Left out 1 IEMOCAP files as duplicates" in caplog.text


def test_another_spelling_of_an_emotion_is_no_class_of_its_own(tmp_path, write_turn):
    write_turn("Ses01F_impro01_F000", "anger")
    assert [utterance.emotion for utterance in iemocap(tmp_path)] == ["angry"]
