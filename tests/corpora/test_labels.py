import pytest

from ser_hf.corpora import Utterance, canonical_emotion, map_labels

SPELLINGS = {
    "amused": ("amused", "amusement"),
    "angry": ("angry", "anger", "ang"),
    "anxious": ("anxious", "anx"),
    "bored": ("bored", "boredom"),
    "calm": ("calm", "calmness"),
    "contempt": ("contempt", "contemptuous"),
    "disgust": ("disgust", "disgusted", "dis"),
    "excited": ("excited", "excitement", "exc"),
    "fearful": ("fearful", "fear", "fea", "afraid", "anxiety"),
    "frustrated": ("frustrated", "frustration", "fru"),
    "happy": ("happy", "happiness", "hap", "joy", "joyful"),
    "neutral": ("neutral", "neu"),
    "sad": ("sad", "sadness"),
    "sleepy": ("sleepy", "sleepiness"),
    "surprised": ("surprised", "surprise", "sur", "pleasant_surprise"),
    "other": ("other", "oth"),
    "no_agreement": ("no_agreement", "xxx"),
}


def utterances(*emotions):
    return [Utterance(path=f"{i}.wav", corpus="toy", emotion=emotion) for i, emotion in enumerate(emotions)]


def test_every_usual_spelling_has_its_canonical_name():
    for emotion, spellings in SPELLINGS.items():
        assert {spelling: canonical_emotion(spelling) for spelling in spellings} == dict.fromkeys(spellings, emotion)


@pytest.mark.parametrize(
    ("label_set", "kept"),
    [
        ("all", {emotion: emotion for emotion in SPELLINGS if emotion != "no_agreement"}),
        ("four", {"angry": "angry", "excited": "happy", "happy": "happy", "neutral": "neutral", "sad": "sad"}),
        (
            "big6",
            {
                "angry": "angry",
                "disgust": "disgust",
                "fearful": "fearful",
                "happy": "happy",
                "sad": "sad",
                "surprised": "surprised",
            },
        ),
    ],
)
def test_each_label_set_keeps_its_emotions(label_set, kept):
    emotions = [*SPELLINGS]
    found, _ = map_labels(utterances(*emotions), label_set=label_set)
    assert {emotions[int(utterance.path.removesuffix(".wav"))]: utterance.emotion for utterance in found} == kept


def test_all_keeps_every_emotion_but_what_the_annotators_disagree_on():
    kept, dropped = map_labels(utterances("happy", "pride", "no_agreement"))
    assert [utterance.emotion for utterance in kept] == ["happy", "pride"]
    assert dropped == {"no_agreement": 1}


def test_rare_emotions_are_dropped_or_merged_and_counted_after_renaming():
    rows = utterances("happy", "amused", "sad", "sad", "pride", "envy")
    options = {"label_map": {"amused": "joy"}, "min_utterances": 2}
    kept, dropped = map_labels(rows, **options)
    assert [utterance.emotion for utterance in kept] == ["happy", "happy", "sad", "sad"]
    assert dropped == {"pride (rare)": 1, "envy (rare)": 1}
    kept, dropped = map_labels(rows, **options, rare_emotion="other")
    assert [utterance.emotion for utterance in kept] == ["happy", "happy", "sad", "sad", "other", "other"]
    assert not dropped


def test_another_target_takes_the_emotions_place():
    rows = [
        Utterance(path="1.wav", corpus="toy", emotion="sad", gender="female", intensity="strong"),
        Utterance(path="2.wav", corpus="toy", emotion="sad", gender="male", intensity="normal"),
        Utterance(path="3.wav", corpus="toy", emotion="sad"),
    ]
    for target, expected in {
        "gender": ["female", "male"],
        "emotion_gender": ["sad_female", "sad_male"],
        "intensity": ["strong", "normal"],
    }.items():
        kept, dropped = map_labels(rows, target=target)
        assert [utterance.emotion for utterance in kept] == expected
        assert dropped == {f"sad (no {target})": 1}


def test_in_four_classes_excited_joins_happy_and_the_rest_is_counted():
    kept, dropped = map_labels(utterances("excited", "happy", "sad", "disgust", "disgust"), label_set="four")
    assert [utterance.emotion for utterance in kept] == ["happy", "happy", "sad"]
    assert dropped == {"disgust": 2}


def test_a_label_map_renames_and_drops():
    kept, dropped = map_labels(utterances("calm", "neutral", "pride", "sad"), label_map={"Calm": "Neu", "pride": ""})
    assert [utterance.emotion for utterance in kept] == ["neutral", "neutral", "sad"]
    assert dropped == {"pride": 1}


def test_a_label_set_that_drops_everything_is_refused():
    with pytest.raises(ValueError, match="keep none of the 2 utterances.*left out.*xxx"):
        map_labels(utterances("xxx", "yyy"), label_set="four")


def test_a_label_map_of_an_unknown_emotion_is_refused():
    with pytest.raises(ValueError, match=r"renames \['exited'\].*\['excited', 'sad'\].*Did you mean 'excited'"):
        map_labels(utterances("excited", "sad"), label_map={"exited": "happy"})


def test_annotators_need_not_agree_where_the_emotion_is_not_recognised():
    rows = [Utterance(path="1.wav", corpus="toy", emotion="no_agreement", gender="female")]
    kept, dropped = map_labels(rows, target="gender")
    assert [utterance.emotion for utterance in kept] == ["female"]
    assert not dropped
