from collections import Counter

import pytest

from ser_hf.corpora.cafe import EMOTIONS, cafe


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Twelve actors with one sentence in every emotion, at both intensities where there are two."""
    for actor in range(1, 13):
        for emotion in EMOTIONS:
            for intensity in "1" if emotion == "N" else "12":
                write_audio(tmp_path / "CaFE_48k" / f"{actor:02d}-{emotion}-{intensity}-3.wav", seconds=0.01)
    return tmp_path


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "Peur" / "Faible" / "02-P-1-4.aiff")
    (utterance,) = cafe(tmp_path)
    assert (utterance.emotion, utterance.intensity, utterance.speaker) == ("fearful", "faible", "02")
    assert (utterance.gender, utterance.age, utterance.language) == ("female", 64, "fr-CA")
    assert utterance.text == "Quatre vieilles truies éléphantesques"


def test_every_emotion_has_two_intensities_but_neutral_has_none(corpus):
    counts = Counter((utterance.emotion, utterance.intensity) for utterance in cafe(corpus))
    assert counts.pop(("neutral", None)) == 12
    emotions = set(EMOTIONS.values()) - {"neutral"}
    assert counts == {(emotion, intensity): 12 for emotion in emotions for intensity in ("faible", "fort")}


def test_half_of_the_actors_are_women(corpus):
    speakers = {(utterance.speaker, utterance.gender) for utterance in cafe(corpus)}
    assert Counter(gender for _, gender in speakers) == {"female": 6, "male": 6}


def test_the_same_utterance_at_another_sampling_rate_is_left_out(corpus, write_audio):
    write_audio(corpus / "CaFE_192k_1" / "02-P-1-3.aiff")
    assert len(list(cafe(corpus))) == 12 * 13


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "01-X-2-1.wav")
    assert [utterance.emotion for utterance in cafe(tmp_path)] == ["x"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No CaFE utterances.*Peur/Faible/02-P-1-4\.wav.*interview\.wav"):
        list(cafe(tmp_path))
