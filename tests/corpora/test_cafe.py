import os
from collections import Counter

import pytest

from ser_hf.corpora.cafe import cafe

EMOTIONS = {
    "C": "angry",
    "D": "disgust",
    "J": "happy",
    "N": "neutral",
    "P": "fearful",
    "S": "surprised",
    "T": "sad",
}
AGES = {
    "01": 46, "02": 64, "03": 18, "04": 50, "05": 22, "06": 34,
    "07": 15, "08": 25, "09": 42, "10": 20, "11": 35, "12": 37,
}  # fmt: skip
SENTENCES = {
    "1": "Un cheval fou dans mon jardin",
    "2": "Deux ânes aigris au pelage brun",
    "3": "Trois cygnes aveugles au bord du lac",
    "4": "Quatre vieilles truies éléphantesques",
    "5": "Cinq pumas fiers et passionnés",
    "6": "Six ours aimants domestiqués",
}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Twelve actors with one sentence in every emotion, at both intensities where there are two."""
    for actor in range(1, 13):
        for emotion in EMOTIONS:
            for intensity in "1" if emotion == "N" else "12":
                write_audio(tmp_path / "CaFE_48k" / f"{actor:02d}-{emotion}-{intensity}-3.wav", seconds=0.01)
    return tmp_path


def name_of(utterance):
    return os.path.basename(utterance.path)


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "Peur" / "Faible" / "02-P-1-4.aiff")
    (utterance,) = cafe(tmp_path)
    assert (utterance.emotion, utterance.intensity, utterance.speaker) == ("fearful", "faible", "02")
    assert (utterance.gender, utterance.age, utterance.language) == ("female", 64, "fr-CA")
    assert utterance.text == "Quatre vieilles truies éléphantesques"


def test_every_emotion_has_two_intensities_but_neutral_has_none(corpus):
    found = Counter((name_of(utterance)[3:6], utterance.emotion, utterance.intensity) for utterance in cafe(corpus))
    assert found.pop(("N-1", "neutral", None)) == 12
    assert found == {
        (f"{code}-{number}", emotion, intensity): 12
        for code, emotion in EMOTIONS.items()
        for number, intensity in (("1", "faible"), ("2", "fort"))
        if code != "N"
    }


def test_every_actor_has_an_age_and_every_sentence_a_text(tmp_path):
    for actor in AGES:
        for sentence in SENTENCES:
            (tmp_path / f"{actor}-N-1-{sentence}.wav").touch()
    utterances = list(cafe(tmp_path))
    assert {utterance.speaker: utterance.age for utterance in utterances} == AGES
    assert {name_of(utterance)[-5]: utterance.text for utterance in utterances} == SENTENCES


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
