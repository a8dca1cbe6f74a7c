import os
from collections import Counter

import pytest

from ser_hf.corpora.tess import tess

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}

FOLDERS = {
    "OAF": ("OAF_angry", "OAF_disgust", "OAF_Fear", "OAF_happy", "OAF_neutral", "OAF_Pleasant_surprise", "OAF_Sad"),
    "YAF": ("YAF_angry", "YAF_disgust", "YAF_fear", "YAF_happy", "YAF_neutral", "YAF_pleasant_surprised", "YAF_sad"),
}


def write_corpus(root):
    for speaker, folders in FOLDERS.items():
        for folder, emotion in zip(folders, EMOTIONS, strict=True):
            (root / folder).mkdir(parents=True)
            for word in ("back", "bite", "youth"):
                (root / folder / f"{speaker}_{word}_{emotion}.wav").touch()


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    write_audio(tmp_path / "YAF_pleasant_surprised" / "YAF_back_ps.wav")
    (utterance,) = tess(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.text) == ("tess", "surprised", "Say the word back")
    assert (utterance.speaker, utterance.gender, utterance.age, utterance.language) == ("YAF", "female", 26, "en")


def test_the_whole_grammar_is_read(tmp_path):
    write_corpus(tmp_path)
    utterances = list(tess(tmp_path))
    codes = [os.path.basename(utterance.path).removesuffix(".wav").split("_")[2] for utterance in utterances]
    emotions = Counter((code, utterance.emotion) for code, utterance in zip(codes, utterances, strict=True))
    assert emotions == dict.fromkeys(EMOTIONS.items(), 6)
    assert Counter((u.speaker, u.gender, u.age) for u in utterances) == {
        ("OAF", "female", 64): 21,
        ("YAF", "female", 26): 21,
    }


def test_the_misspelt_file_is_by_the_older_actress(tmp_path, write_audio):
    write_audio(tmp_path / "OAF_neutral" / "OA_bite_neutral.wav")
    (utterance,) = tess(tmp_path)
    assert (utterance.speaker, utterance.age, utterance.emotion) == ("OAF", 64, "neutral")
    assert utterance.text == "Say the word bite"


def test_a_second_copy_of_the_corpus_is_left_out(tmp_path):
    write_corpus(tmp_path)
    write_corpus(tmp_path / "TESS Toronto emotional speech set data")
    (tmp_path / "OAF_neutral" / "OAF_bite_neutral.wav").rename(tmp_path / "OAF_neutral" / "OA_bite_neutral.wav")
    utterances = {(utterance.speaker, utterance.text, utterance.emotion) for utterance in tess(tmp_path)}
    assert len(utterances) == len(list(tess(tmp_path))) == 42


def test_an_unknown_emotion_code_stays(tmp_path, write_audio):
    write_audio(tmp_path / "OAF_back_Pensive.wav")
    assert [utterance.emotion for utterance in tess(tmp_path)] == ["pensive"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "back.wav")
    with pytest.raises(FileNotFoundError, match="No TESS utterances .* OAF_Fear/OAF_back_fear.wav"):
        list(tess(tmp_path))
