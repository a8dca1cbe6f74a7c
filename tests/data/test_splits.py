import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_hf.corpora import Utterance
from ser_hf.data.splits import PROTOCOLS, speakers_of, split_by_protocol, split_by_speaker, split_randomly

EMOTIONS = ("angry", "happy", "sad")


def corpus(speakers, per_emotion=2, root="/data", name="toy"):
    return [
        Utterance(
            path=f"{root}/{speaker}/{emotion}{i}.wav", corpus=name, emotion=emotion, speaker=speaker,
            gender="female" if int(speaker) % 2 else "male",
        )
        for speaker in speakers
        for emotion in EMOTIONS
        for i in range(per_emotion)
    ]  # fmt: skip


def actors(count):
    return [f"{number:02d}" for number in range(1, count + 1)]


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 30), st.integers(0, 99), st.floats(0.1, 0.5), st.floats(0.1, 0.5))
def test_no_speaker_is_in_two_splits_and_nothing_is_lost(speakers, seed, validation_share, test_share):
    utterances = corpus(actors(speakers))
    split = split_by_speaker(utterances, validation_share=validation_share, test_share=test_share, seed=seed)
    assert all(split.values())
    assert sorted(u.path for part in split.values() for u in part) == sorted(u.path for u in utterances)
    assert sum(len(speakers_of(part)) for part in split.values()) == speakers


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_the_split_depends_on_the_seed_only_not_on_file_order_or_place(seed):
    utterances = corpus(actors(10))
    shuffled = random.Random(seed).sample(corpus(actors(10), root="/elsewhere"), len(utterances))
    one, other = split_by_speaker(utterances, seed=seed), split_by_speaker(shuffled, seed=seed)
    for part in one:
        assert speakers_of(one[part]) == speakers_of(other[part])
        assert [u.path.split("/", 2)[2] for u in one[part]] == [u.path.split("/", 2)[2] for u in other[part]]


def test_seeds_differ():
    splits = {frozenset(speakers_of(split_by_speaker(corpus(actors(20)), seed=seed)["test"])) for seed in range(5)}
    assert len(splits) > 1


def test_both_genders_are_held_out():
    split = split_by_speaker(corpus(actors(20)))
    for part in split.values():
        assert {utterance.gender for utterance in part} == {"female", "male"}


@pytest.mark.parametrize(("corpus_name", "protocol"), PROTOCOLS)
def test_the_folds_of_a_protocol_test_every_speaker_once(corpus_name, protocol):
    tested = []
    for fold in range(1, len(PROTOCOLS[corpus_name, protocol]) + 1):
        split = split_by_protocol(corpus(actors(24), name=corpus_name), protocol, fold)
        parts = [speakers_of(part) for part in split.values()]
        assert not parts[0] & parts[1] and not parts[1] & parts[2] and not parts[0] & parts[2]
        tested += [speaker for _, speaker in speakers_of(split["test"])]
    assert sorted(tested) == actors(24)


def test_emobox_fold_1_tests_its_published_actors():
    split = split_by_protocol(corpus(actors(24), name="ravdess"), "emobox", 1)
    assert {speaker for _, speaker in speakers_of(split["test"])} == {"01", "11", "20", "21"}
    assert len(speakers_of(split["validation"])) == 4


@pytest.mark.parametrize(
    ("protocol", "fold", "message"),
    [
        ("emobx", 1, "Unknown protocol 'emobx'.*Did you mean 'emobox'"),
        ("emobox", 7, "has folds 1 to 6, found fold 7"),
    ],
)
def test_an_unknown_fold_is_refused(protocol, fold, message):
    with pytest.raises(ValueError, match=message):
        split_by_protocol(corpus(actors(24), name="ravdess"), protocol, fold)


def test_a_fold_without_its_test_speakers_is_refused():
    with pytest.raises(ValueError, match=r"tests on speakers \['20', '21'\]"):
        split_by_protocol(corpus(actors(12), name="ravdess"), "emobox", 1)


def test_a_random_split_shares_speakers_and_loses_nothing():
    split = split_randomly(corpus(actors(4), per_emotion=10))
    assert speakers_of(split["train"]) & speakers_of(split["test"])
    assert sum(map(len, split.values())) == 120


def test_unknown_speakers_are_refused_with_both_ways_out():
    utterances = [Utterance(path=f"{i}", corpus="folder", emotion="sad") for i in range(9)]
    with pytest.raises(ValueError, match=r"(?s)--speaker_pattern.*--split random"):
        split_by_speaker(utterances)


@pytest.mark.parametrize("speakers", [1, 2])
def test_too_few_speakers_are_refused(speakers):
    with pytest.raises(ValueError, match="expected at least 3 speakers"):
        split_by_speaker(corpus(actors(speakers)))


def test_an_emotion_of_one_speaker_is_refused():
    alone = Utterance(path="x", corpus="toy", emotion="bored", speaker="01")
    with pytest.raises(ValueError, match=r"Emotions \['bored'\] have one speaker only"):
        split_by_speaker([*corpus(actors(6)), alone])
