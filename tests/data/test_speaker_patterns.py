"""Which part of a file name is the speaker."""

import pytest

from ser_hf.corpora import Utterance
from ser_hf.data.single_emotions import describe_single_emotions
from ser_hf.data.speaker_patterns import describe_proposal, propose_pattern


def utterance(emotion, name):
    return Utterance(path=f"/data/{emotion}/{name}", corpus="folder", emotion=emotion)


def rows(form, *, speakers=("anna", "ben"), emotions=("angry", "sad"), times=3):
    return [
        utterance(emotion, form.format(who=who, emotion=emotion, i=i))
        for who in speakers
        for emotion in emotions
        for i in range(times)
    ]


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("{who}_{i}.wav", "^([^_]+)_"),
        ("{who}-{emotion}-{i}.wav", "^([^-]+)-"),
        ("{who} {i}.wav", "^([^ ]+) "),
        ("{who}{i:02}.wav", r"^([A-Za-z]{3,})\d"),
    ],
)
def test_the_speaker_is_found_in_usual_names(form, pattern):
    assert propose_pattern(rows(form)) == (pattern, {"anna": 6, "ben": 6})


@pytest.mark.parametrize(
    "utterances",
    [
        rows("{i:03}_take.wav", speakers=("",)),  # a number: one recording of each emotion
        rows("{emotion}_{i}.wav", speakers=("",)),  # the emotion
        rows("take_{i}.wav", speakers=("",)),  # one value
        rows("{who}_{i}.wav", speakers="abcdefgh", times=1),  # one recording of each emotion
        [*rows("{who}_{i}.wav"), utterance("sad", "noise.wav")],  # not in every name
    ],
    ids=["number", "emotion", "one value", "one recording", "not in every name"],
)
def test_what_cannot_be_the_speaker_is_not_proposed(utterances):
    assert propose_pattern(utterances) is None
    assert describe_proposal(utterances) is None


def test_speakers_with_one_emotion_do_not_hide_the_others():
    single = [row for i, who in enumerate("cdefgh") for row in rows("{who}_{i}.wav", speakers=who)[3 * (i % 2) :][:3]]
    assert propose_pattern(rows("{who}_{i}.wav", speakers="ab") + single) == (
        "^([^_]+)_", {"a": 6, "b": 6, "c": 3, "d": 3, "e": 3, "f": 3, "g": 3, "h": 3},
    )  # fmt: skip


def test_the_proposal_counts_the_utterances_of_each_speaker():
    utterances = rows("{who}_{i}.wav", speakers="abcdefgh")
    assert describe_proposal(utterances) == (
        "--speaker_pattern '^([^_]+)_' finds 8 speakers (utterances): a (6), b (6), c (6), d (6), e (6), f (6), …."
    )


def test_emotion_and_speaker_of_speakers_with_one_emotion_cannot_be_told_apart():
    def say(*pairs):
        return [Utterance(path="a.wav", corpus="folder", emotion=emotion, speaker=who) for who, emotion in pairs]

    both = say(("anna", "sad"), ("anna", "angry"))
    assert describe_single_emotions(both) is None
    assert describe_single_emotions([*both, *say(("ben", "sad"), ("ben", "sad"), (None, "happy"))]) == (
        "1 of 2 speakers has one emotion only (2 utterances): emotion and speaker cannot be told apart for ben."
    )
    assert describe_single_emotions(say(("ben", "sad"), ("chloe", "sad"))) is None  # no other emotion in the corpus
