import pytest

from ser_hf.corpora.msp_improv import msp_improv

ANNOTATIONS = """R1-p; Angry; Angry,Annoyed; A:1.000000; V:2.000000; D:4.000000; N:4.000000;
R2_p; Other; Curious; I think.; A:2.000000; V:2.000000; D:4.000000; N:3.000000;
R2_p; Other; Curious; I think.; A:2.000000; V:2.000000; D:4.000000; N:3.000000;
R3; Angry; ; A:2.000000; V:2.000000; D:NaN; N:NaN;
"""


@pytest.fixture
def write_turn(tmp_path, write_audio):
    """Add one turn to the label file, and write its audio into its session's folder."""

    def write(
        name, emotion="A", *, means="A:1.500000; V:2.250000; D:3.750000 ; N:3.4;", table="Evalution.txt", audio=True
    ):
        path = tmp_path / table
        before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        text = f"{before}UTD-IMPROV-{name}.avi; {emotion}; {means}\n{ANNOTATIONS}\n"
        path.write_text(text, encoding="utf-8-sig")
        if audio:
            _, scene, speaker, style, _ = f"-{name}".split("-")
            write_audio(tmp_path / "Audio" / f"session{speaker[-1]}" / scene / style / f"MSP-IMPROV-{name}.wav")

    return write


def test_every_field_of_a_turn_is_read(tmp_path, write_turn):
    write_turn("S01H-M06-T-FM01")
    (utterance,) = msp_improv(tmp_path)
    assert utterance.emotion == "angry"  # the scene aims at happy, the annotators heard something else
    assert (utterance.speaker, utterance.gender, utterance.session) == ("M06", "male", "session6")
    assert (utterance.style, utterance.split, utterance.text) == ("target improvised", None, None)
    assert utterance.path.endswith("session6/S01H/T/MSP-IMPROV-S01H-M06-T-FM01.wav")


def test_the_activation_is_turned_round_and_the_other_means_stay(tmp_path, write_turn):
    write_turn("S01A-F01-S-FM01")
    (utterance,) = msp_improv(tmp_path)
    assert (utterance.valence, utterance.arousal, utterance.dominance) == (2.25, 4.5, 3.75)


def test_a_mean_that_is_not_a_number_is_none(tmp_path, write_turn):
    write_turn("S01A-F01-S-FM01", means="A:1.500000; V:2.250000; D:NaN ; N:NaN;")
    (utterance,) = msp_improv(tmp_path)
    assert (utterance.valence, utterance.arousal, utterance.dominance) == (2.25, 4.5, None)


def test_votes_count_every_annotator_once(tmp_path, write_turn):
    write_turn("S01A-F01-S-FM01")
    write_turn("S01A-F01-S-FM02")
    assert [utterance.votes for utterance in msp_improv(tmp_path)] == 2 * [{"angry": 2, "other": 1}]


@pytest.mark.parametrize(
    ("code", "emotion"),
    [("A", "angry"), ("H", "happy"), ("N", "neutral"), ("O", "other"), ("S", "sad"), ("X", "no_agreement")],
)
def test_every_emotion_code_is_read(tmp_path, write_turn, code, emotion):
    write_turn("S01A-F01-P-FM01", code)
    assert [utterance.emotion for utterance in msp_improv(tmp_path)] == [emotion]


@pytest.mark.parametrize(
    ("letter", "style"),
    [("P", "natural interaction"), ("R", "target read"), ("S", "other improvised"), ("T", "target improvised")],
)
def test_every_recording_condition_is_read(tmp_path, write_turn, letter, style):
    write_turn(f"S20N-F02-{letter}-FF01")
    (utterance,) = msp_improv(tmp_path)
    assert (utterance.style, utterance.speaker, utterance.gender) == (style, "F02", "female")


def test_the_mended_file_name_and_transcripts_are_found(tmp_path, write_turn):
    write_turn("S01A-F01-P-FM01", table="Evaluation.txt")
    text = tmp_path / "All_human_transcriptions" / "session1" / "MSP-IMPROV-S01A-F01-P-FM01.txt"
    text.parent.mkdir(parents=True)
    text.write_text("How can I not?\n")
    assert [utterance.text for utterance in msp_improv(tmp_path)] == ["How can I not?"]


def test_missing_audio_and_missing_labels_are_counted(tmp_path, write_turn, write_audio, caplog):
    write_turn("S01A-F01-P-FM01")
    write_turn("S01A-F01-P-FM03", audio=False)
    write_turn("S01A-F01-P-FM02", audio=False)
    write_audio(tmp_path / "session1" / "MSP-IMPROV-S02A-F01-P-FM01.wav")
    assert len(list(msp_improv(tmp_path))) == 1
    assert "2 MSP-IMPROV utterances without audio (first: MSP-IMPROV-S01A-F01-P-FM02)" in caplog.text
    assert "1 MSP-IMPROV utterances without label (first: MSP-IMPROV-S02A-F01-P-FM01)" in caplog.text


def test_a_wrong_root_says_what_was_expected(tmp_path, write_turn, write_audio):
    write_audio(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="expected files like session1/S01A/T/MSP-IMPROV.*nearest is 'a.wav'"):
        list(msp_improv(tmp_path))
    write_audio(tmp_path / "MSP-IMPROV-S01A-F01-P-FM01.wav")
    with pytest.raises(FileNotFoundError, match="expected Evalution.txt.*found .*'a.wav'"):
        list(msp_improv(tmp_path))


def test_files_of_other_names_and_second_copies_are_counted(tmp_path, write_turn, write_audio, caplog):
    write_turn("S01A-F01-P-FM01", "happiness")
    write_audio(tmp_path / "odd_name.wav")
    write_audio(tmp_path / "Zweitkopie" / "MSP-IMPROV-S01A-F01-P-FM01.wav")
    (utterance,) = msp_improv(tmp_path)
    assert (utterance.emotion, "Zweitkopie" in utterance.path) == ("happy", False)
    assert "Skipped 1 of 3 audio files" in caplog.text
    assert "Left out 1 MSP-IMPROV files as duplicates" in caplog.text
