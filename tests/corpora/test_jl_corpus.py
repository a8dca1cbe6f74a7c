import os
from collections import Counter

import pytest

from ser_hf.corpora.jl_corpus import jl_corpus

EMOTIONS = (
    "angry", "anxious", "apologetic", "assertive", "concerned", "encouraging", "excited", "happy", "neutral", "sad",
)  # fmt: skip


def test_every_field_of_the_file_name_is_read(tmp_path, write_audio):
    folder = tmp_path / "Raw JL corpus (unchecked and unannotated)" / "JL(wav+txt)"
    write_audio(folder / "female2_encouraging_10b_2.wav")
    (folder / "female2_encouraging_10b_2.txt").write_text("Carl leaps into a jeep.\n")
    (utterance,) = jl_corpus(tmp_path)
    assert (utterance.corpus, utterance.emotion, utterance.text) == (
        "jl_corpus",
        "encouraging",
        "Carl leaps into a jeep.",
    )
    assert (utterance.speaker, utterance.gender, utterance.language) == ("female2", "female", "en-NZ")
    assert (utterance.session, utterance.repetition) == ("b", 2)


def test_the_whole_grammar_is_read(tmp_path):
    for speaker in ("female1", "female2", "male1", "male2"):
        for emotion in EMOTIONS:
            for sentence in (1, 15):
                for take in ("a_1", "a_2", "b_1", "b_2"):
                    (tmp_path / f"{speaker}_{emotion}_{sentence}{take}.wav").touch()
    utterances = list(jl_corpus(tmp_path))
    codes = [os.path.basename(utterance.path).split("_")[1] for utterance in utterances]
    assert [utterance.emotion for utterance in utterances] == codes
    assert Counter(codes) == dict.fromkeys(EMOTIONS, 32)
    assert Counter((utterance.speaker, utterance.gender) for utterance in utterances) == {
        ("female1", "female"): 80,
        ("female2", "female"): 80,
        ("male1", "male"): 80,
        ("male2", "male"): 80,
    }
    assert {utterance.text for utterance in utterances} == {None}


def test_a_second_copy_of_a_file_is_left_out(tmp_path, write_audio):
    for folder in ("Raw JL corpus", "raw jl corpus (copy)"):
        write_audio(tmp_path / folder / "male1_angry_10a_1.wav")
    assert len(list(jl_corpus(tmp_path))) == 1


def test_an_unknown_emotion_stays(tmp_path, write_audio):
    write_audio(tmp_path / "male1_pensive_1a_1.wav")
    assert [utterance.emotion for utterance in jl_corpus(tmp_path)] == ["pensive"]


def test_a_wrong_root_says_what_was_expected(tmp_path, write_audio):
    write_audio(tmp_path / "male1.wav")
    with pytest.raises(FileNotFoundError, match="No JL-Corpus utterances .* male1_angry_10a_1.wav"):
        list(jl_corpus(tmp_path))
