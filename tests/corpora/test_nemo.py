import os
from collections import Counter

import pytest

from ser_hf.corpora.nemo import nemo

EMOTIONS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
SPEAKERS = {
    "EB0": ("female", 27),
    "IC0": ("female", 28),
    "KD0": ("female", 28),
    "KS0": ("male", 23),
    "MK0": ("female", 23),
    "MP0": ("male", 24),
    "SM0": ("male", 24),
    "TP0": ("male", 26),
    "WR0": ("male", 23),
}


@pytest.fixture
def corpus(tmp_path, write_audio):
    """Nine actors with two sentences in every emotion."""
    for speaker in SPEAKERS:
        for emotion in EMOTIONS:
            for sentence in (1, 64):
                write_audio(tmp_path / "samples" / f"{speaker}_{emotion}_{sentence}.wav", seconds=0.01)
    return tmp_path


def test_speakers_genders_ages_and_emotions_are_read(corpus):
    utterances = list(nemo(corpus))
    codes = [os.path.basename(utterance.path).split("_")[1] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 18)
    speakers = Counter((utterance.speaker, (utterance.gender, utterance.age)) for utterance in utterances)
    assert speakers == dict.fromkeys(SPEAKERS.items(), 12)
    assert {(utterance.language, utterance.text) for utterance in utterances} == {("pl", None)}


def test_the_text_comes_from_the_table(corpus):
    rows = (
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage",
        'WR0_fear_64.wav\tfear\t"Ucho" wykrywa dźwięki.\tucho wykrywa dźwięki\t        WR0\tmale\t23',
    )
    (corpus / "data.tsv").write_text("\n".join(rows), encoding="utf-8")
    texts = {
        utterance.path.rsplit("_", 1)[1]: utterance.text for utterance in nemo(corpus) if "WR0_fear" in utterance.path
    }
    assert texts == {"1.wav": None, "64.wav": '"Ucho" wykrywa dźwięki.'}


def test_an_unknown_emotion_and_speaker_stay(tmp_path, write_audio):
    write_audio(tmp_path / "XY1_pride_1.wav")
    (utterance,) = nemo(tmp_path)
    assert (utterance.emotion, utterance.speaker, utterance.gender) == ("pride", "XY1", None)


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "interview.wav")
    with pytest.raises(FileNotFoundError, match=r"No nEMO utterances.*samples/WR0_surprised_64\.wav.*interview\.wav"):
        list(nemo(tmp_path))


def test_a_table_from_excel_is_read_and_one_that_lacks_a_column_is_named(corpus):
    (corpus / "data.tsv").write_text("file_id\traw_text\nWR0_fear_64.wav\tUcho\n", encoding="utf-8-sig")
    assert "Ucho" in {utterance.text for utterance in nemo(corpus)}
    (corpus / "data.tsv").write_text("file_id\ttext\nWR0_fear_64.wav\tUcho\n")
    with pytest.raises(ValueError, match=r"data.tsv' lacks \['raw_text'\]"):
        list(nemo(corpus))
