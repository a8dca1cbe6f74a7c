import pytest

from ser_hf.corpora import Utterance, map_labels


def utterances(*emotions):
    return [Utterance(path=f"{i}.wav", corpus="toy", emotion=emotion) for i, emotion in enumerate(emotions)]


def test_all_keeps_everything():
    kept, dropped = map_labels(utterances("happy", "xxx"))
    assert [utterance.emotion for utterance in kept] == ["happy", "xxx"]
    assert not dropped


def test_in_four_classes_excited_joins_happy_and_the_rest_is_counted():
    kept, dropped = map_labels(utterances("excited", "happy", "sad", "disgust", "disgust"), label_set="four")
    assert [utterance.emotion for utterance in kept] == ["happy", "happy", "sad"]
    assert dropped == {"disgust": 2}


def test_a_label_map_renames_and_drops():
    kept, dropped = map_labels(utterances("calm", "neutral", "xxx", "sad"), label_map={"calm": "neutral", "xxx": ""})
    assert [utterance.emotion for utterance in kept] == ["neutral", "neutral", "sad"]
    assert dropped == {"xxx": 1}


def test_a_label_set_that_drops_everything_is_refused():
    with pytest.raises(ValueError, match="keeps none of the 2 utterances.*found.*xxx"):
        map_labels(utterances("xxx", "yyy"), label_set="four")


def test_a_label_map_of_an_unknown_emotion_is_refused():
    with pytest.raises(ValueError, match=r"renames \['exited'\].*\['excited', 'sad'\]"):
        map_labels(utterances("excited", "sad"), label_map={"exited": "happy"})


def test_one_emotion_is_no_task():
    with pytest.raises(ValueError, match=r"at least two emotions, found \['actors'\]"):
        map_labels(utterances("actors", "actors"))
