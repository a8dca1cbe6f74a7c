import os
from collections import Counter

import pytest

from ser_hf.corpora.crema_d import crema_d

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}

DEMOGRAPHICS = """"ActorID","Age","Sex","Race","Ethnicity"
1001,51,"Male","Caucasian","Not Hispanic"
1002,21,"Female","Caucasian","Not Hispanic"
"""
VOTES = """"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"
"100001",2,5,1,3,9,4,"1001_IEO_NEU_XX",24,0.375,"N"
"200001",0,0,0,10,0,0,"1001_IEO_NEU_XX",10,1,"H"
"300001",8,0,0,0,2,0,"1001_IEO_NEU_XX",10,0.8,"A"
"103281",0,2,0,0,0,7,"1040_ITH_SAD_XX",9,0.777777777777778,"S"
"""


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Two actors, every emotion, every intensity, and the owners' tables."""
    for actor in ("1001", "1002"):
        for emotion in EMOTIONS:
            intensities = ("XX",) if emotion == "NEU" else ("LO", "MD", "HI", "XX")
            for intensity in intensities:
                write_audio(tmp_path / "AudioWAV" / f"{actor}_IEO_{emotion}_{intensity}.wav", seconds=0.01)
    (tmp_path / "VideoDemographics.csv").write_text(DEMOGRAPHICS)
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(VOTES)
    return tmp_path


def code_of(utterance, place):
    return os.path.basename(utterance.path).removesuffix(".wav").split("_")[place]


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "1091_WSI_FEA_HI.flac")
    (utterance,) = crema_d(tmp_path)
    assert (utterance.corpus, utterance.speaker, utterance.language) == ("crema_d", "1091", "en")
    assert (utterance.emotion, utterance.intensity) == ("fearful", "high")
    assert utterance.text == "We'll stop in a couple of minutes"


def test_every_sentence_has_its_text(tmp_path):
    for code in SENTENCES:
        (tmp_path / f"1001_{code}_NEU_XX.wav").touch()
    assert {code_of(utterance, 1): utterance.text for utterance in crema_d(tmp_path)} == SENTENCES


def test_every_emotion_and_intensity_is_read(corpus):
    utterances = list(crema_d(corpus))
    emotions = Counter((code_of(utterance, 2), utterance.emotion) for utterance in utterances)
    assert emotions == dict.fromkeys(EMOTIONS.items(), 8) | {("NEU", "neutral"): 2}
    intensities = Counter((code_of(utterance, 3), utterance.intensity) for utterance in utterances)
    assert intensities == {("LO", "low"): 10, ("MD", "medium"): 10, ("HI", "high"): 10, ("XX", None): 12}


def test_genders_and_ages_come_from_the_table(corpus):
    actors = {(utterance.speaker, utterance.gender, utterance.age) for utterance in crema_d(corpus)}
    assert actors == {("1001", "male", 51), ("1002", "female", 21)}


def test_votes_are_those_for_the_voice_alone(corpus):
    votes = {utterance.path.rsplit("/", 1)[1]: utterance.votes for utterance in crema_d(corpus)}
    neutral = votes.pop("1001_IEO_NEU_XX.wav")
    assert neutral == {"angry": 2, "disgust": 5, "fearful": 1, "happy": 3, "neutral": 9, "sad": 4}
    assert set(votes.values()) == {None}


def test_without_the_tables_their_fields_are_unknown(tmp_path, write_audio):
    write_audio(tmp_path / "1001_IEO_NEU_XX.wav")
    (utterance,) = crema_d(tmp_path)
    assert (utterance.gender, utterance.age, utterance.votes) == (None, None, None)


def test_the_misspelt_file_has_its_votes(corpus, write_audio):
    write_audio(corpus / "AudioWAV" / "1040_ITH_SAD_X.wav")
    (utterance,) = (utterance for utterance in crema_d(corpus) if utterance.speaker == "1040")
    assert (utterance.emotion, utterance.intensity) == ("sad", None)
    assert (utterance.votes["sad"], utterance.votes["disgust"]) == (7, 2)


def test_of_two_copies_the_processed_one_is_kept(tmp_path, write_audio):
    write_audio(tmp_path / "AudioMP3" / "1001_IEO_NEU_XX.mp3")
    write_audio(tmp_path / "AudioWAV" / "1001_IEO_NEU_XX.wav")
    assert [utterance.path[-23:] for utterance in crema_d(tmp_path)] == ["WAV/1001_IEO_NEU_XX.wav"]


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "1001_IEO_XYZ_XX.wav")
    assert [utterance.emotion for utterance in crema_d(tmp_path)] == ["xyz"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "03-01-06-02-01-02-12.wav")
    with pytest.raises(FileNotFoundError, match="No CREMA-D utterances .* AudioWAV/1001_IEO_ANG_HI.wav"):
        list(crema_d(tmp_path))


def test_tables_that_excel_wrote_are_read(corpus):
    for name in ("VideoDemographics.csv", "processedResults/tabulatedVotes.csv"):
        (corpus / name).write_text((corpus / name).read_text(), encoding="utf-8-sig")
    test_genders_and_ages_come_from_the_table(corpus)
    test_votes_are_those_for_the_voice_alone(corpus)


def test_an_empty_age_is_unknown_and_a_missing_column_is_named(corpus):
    table = corpus / "VideoDemographics.csv"
    table.write_text(DEMOGRAPHICS.replace("1002,21", "1002,"))
    assert {utterance.age for utterance in crema_d(corpus)} == {51, None}
    table.write_text(DEMOGRAPHICS.replace("Sex", "Gender"))
    with pytest.raises(ValueError, match=r"VideoDemographics.csv' lacks \['Sex'\]"):
        list(crema_d(corpus))
