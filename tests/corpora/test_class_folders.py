import pytest

from ser_hf.corpora import load_corpus


@pytest.fixture
def class_folders(tmp_path, write_audio):
    for name in ("Anger/SM1_F1.wav", "Anger/SF2_F2.mp3", "joy/deeper/SM1_F3.flac"):
        write_audio(tmp_path / name)
    return tmp_path


def test_a_class_folder_gives_the_emotion_and_the_pattern_the_speaker(class_folders):
    utterances = list(load_corpus("folder", class_folders, speaker_pattern=r"(S[MF]\d+)_"))
    assert [(utterance.emotion, utterance.speaker) for utterance in utterances] == [
        ("angry", "SF2"),
        ("angry", "SM1"),
        ("happy", "SM1"),
    ]


def test_a_pattern_without_a_group_takes_its_whole_match(class_folders):
    utterances = load_corpus("folder", class_folders, speaker_pattern=r"^S[MF]\d+")
    assert {utterance.speaker for utterance in utterances} == {"SM1", "SF2"}


def test_without_a_pattern_the_speakers_are_unknown(class_folders):
    assert {utterance.speaker for utterance in load_corpus("folder", class_folders)} == {None}


def test_a_pattern_that_misses_files_is_refused_with_their_number(class_folders):
    with pytest.raises(ValueError, match="does not match 1 of 3 file names.*SF2_F2"):
        list(load_corpus("folder", class_folders, speaker_pattern=r"(SM\d+)"))


def test_a_broken_pattern_is_refused(class_folders):
    with pytest.raises(ValueError, match="not a regular expression"):
        list(load_corpus("folder", class_folders, speaker_pattern="("))


def test_files_outside_class_folders_are_no_corpus(tmp_path, write_audio):
    write_audio(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="expected one per emotion.*found 1 audio files outside of sub-folders"):
        list(load_corpus("folder", tmp_path))


def test_an_unknown_corpus_names_the_nearest():
    with pytest.raises(ValueError, match="Unknown corpus 'ravdes'.*Did you mean 'ravdess'"):
        load_corpus("ravdes", ".")


@pytest.mark.slow
def test_the_real_urdu_corpus_loads_as_a_folder(shared):
    utterances = list(load_corpus("folder", shared / "data" / "urdu", speaker_pattern=r"(S[MF]\d+)_"))
    assert len(utterances) == 400
    assert {utterance.emotion for utterance in utterances} == {"angry", "happy", "neutral", "sad"}


def test_files_beside_the_class_folders_are_counted(class_folders, write_audio, caplog):
    write_audio(class_folders / "b.wav")
    write_audio(class_folders / "a.wav")
    assert len(list(load_corpus("folder", class_folders))) == 3
    assert "Skipped 2 of 5 audio files" in caplog.text
    assert "(first: a.wav)" in caplog.text


def test_linked_class_folders_are_counted_and_alone_are_refused(class_folders, tmp_path, caplog):
    root = tmp_path / "links"
    root.mkdir()
    for name in ("Anger", "joy"):
        (root / name).symlink_to(class_folders / name)
    with pytest.raises(FileNotFoundError, match="Links to folders are not followed"):
        list(load_corpus("folder", root))
    assert "2 links to folders" in caplog.text
