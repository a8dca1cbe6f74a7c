from collections import Counter

import pytest

from ser_hf.corpora.emodb import EMOTIONS, SENTENCES, SPEAKERS, emodb


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "wav" / "14b10Tc.wav")
    (utterance,) = emodb(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.repetition) == ("emodb", "sad", 3)
    assert (utterance.speaker, utterance.gender, utterance.age, utterance.language) == ("14", "female", 35, "de")
    assert utterance.text == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."


def test_the_whole_grammar_is_read(tmp_path):
    (tmp_path / "wav").mkdir()
    for speaker in SPEAKERS:
        for sentence in SENTENCES:
            for emotion in "WLEAFTN":
                (tmp_path / "wav" / f"{speaker}{sentence}{emotion}a.wav").touch()
    utterances = list(emodb(tmp_path))
    emotions = ["angry", "bored", "disgust", "fearful", "happy", "sad", "neutral"]
    assert list(EMOTIONS.values()) == emotions
    assert Counter(utterance.emotion for utterance in utterances) == dict.fromkeys(emotions, 100)
    assert Counter(utterance.gender for utterance in utterances) == {"female": 350, "male": 350}
    assert len({utterance.speaker for utterance in utterances}) == 10
    assert len({utterance.text for utterance in utterances}) == 10


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "03a01Xa.wav")
    assert [utterance.emotion for utterance in emodb(tmp_path)] == ["x"]


def test_a_speaker_beyond_the_table_is_kept(tmp_path, write_audio):
    write_audio(tmp_path / "17a01Fa.wav")
    (utterance,) = emodb(tmp_path)
    assert (utterance.speaker, utterance.gender, utterance.age) == ("17", None, None)


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "angry" / "1.wav")
    with pytest.raises(FileNotFoundError, match="No Emo-DB utterances .* wav/03a01Fa.wav"):
        list(emodb(tmp_path))
