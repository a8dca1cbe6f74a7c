import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_hf.corpora import Utterance
from ser_hf.corpora.cells import compile_speaker, match_speaker
from ser_hf.data.protocols import list_folds, session_of, speakers_of
from ser_hf.data.splits import (
    check_split,
    is_speaker_independent,
    split_as_given,
    split_by_protocol,
    split_by_speaker,
    split_randomly,
)

EMOTIONS = ("angry", "happy", "sad")
# Test speakers of each published fold. Source: EmoBox, https://github.com/emo-box/EmoBox, and Luna-Jiménez et al. 2021,
# doi:10.3390/s21227665
FOLDS = {
    ("ravdess", "emobox"): (
        "01 11 20 21", "04 10 12 14", "08 09 19 23", "03 05 07 24", "02 15 16 18", "06 13 17 22",
    ),
    ("ravdess", "luna2021"): (
        "02 05 14 15 16", "03 06 07 13 18", "10 11 12 19 20", "08 17 21 23 24", "01 04 09 22",
    ),
    ("cafe", "emobox"): ("01 07 08 10", "02 04 09 12", "03 05 06 11"),
    ("emovo", "emobox"): ("f2", "m3", "m2", "f3", "f1", "m1"),
    ("esd", "emobox"): (
        "0005 0011 0016 0018", "0012 0014 0015 0019", "0003 0004 0006 0009", "0007 0008 0013 0020",
        "0001 0002 0010 0017",
    ),
    ("iemocap", "emobox"): ("01F 01M", "02F 02M", "03F 03M", "04F 04M", "05F 05M"),
    ("jl_corpus", "emobox"): ("male2", "female1", "male1", "female2"),
    ("savee", "emobox"): ("JE", "KL", "DC", "JK"),
    ("subesco", "emobox"): (
        "F03 M03 M08 M09", "F01 F04 F10 M07", "F06 F08 M05 M06", "F05 F07 F09 M04", "F02 M01 M02 M10",
    ),
}  # fmt: skip


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


def published(corpus_name, protocol):
    speakers = sorted(" ".join(FOLDS[corpus_name, protocol]).split())
    return [
        Utterance(
            path=f"/data/{speaker}/{emotion}.wav", corpus=corpus_name, emotion=emotion, speaker=speaker,
            session=f"Session{number // 2}",
        )
        for number, speaker in enumerate(speakers)
        for emotion in EMOTIONS
    ]  # fmt: skip


@pytest.mark.parametrize(("corpus_name", "protocol"), FOLDS)
def test_every_published_fold_tests_its_speakers(corpus_name, protocol):
    utterances, folds = published(corpus_name, protocol), FOLDS[corpus_name, protocol]
    for fold, speakers in enumerate(folds, 1):
        split = split_by_protocol(utterances, protocol, fold)
        assert speakers_of(split["test"]) == {(corpus_name, speaker) for speaker in speakers.split()}
    with pytest.raises(ValueError, match=f"has folds 1 to {len(folds)}, found fold {len(folds) + 1}"):
        split_by_protocol(utterances, protocol, len(folds) + 1)


@pytest.mark.parametrize(
    ("protocol", "folds"),
    [
        ("leave_one_session_out", ("01 02", "03 04", "05 06")),
        ("leave_one_speaker_out", ("01", "02", "03", "04", "05", "06")),
        ("group_kfold", ("01 06", "03 04", "02 05")),
    ],
)
def test_the_folds_of_any_corpus_are_always_the_same(protocol, folds):
    utterances = [replace(u, session=str((int(u.speaker) + 1) // 2)) for u in corpus(actors(6))]
    for fold, speakers in enumerate(folds, 1):
        split = split_by_protocol(utterances, protocol, fold, folds=len(folds))
        assert speakers_of(split["test"]) == {("toy", speaker) for speaker in speakers.split()}


def test_random_folds_are_always_the_same():
    split = split_by_protocol(corpus(actors(6), per_emotion=1), "random_kfold", 1, folds=3)
    tested = [utterance.path.removeprefix("/data/") for utterance in split["test"]]
    assert tested == ["01/happy0.wav", "02/happy0.wav", "03/sad0.wav", "04/angry0.wav", "04/sad0.wav", "05/angry0.wav"]


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


def test_random_folds_share_speakers_and_test_everyone_once():
    utterances = corpus(actors(6), per_emotion=4)
    splits = [split_by_protocol(utterances, "random_kfold", fold, folds=4) for fold in (1, 2, 3, 4)]
    assert not any(map(is_speaker_independent, splits))
    assert sorted(u.path for split in splits for u in split["test"]) == sorted(u.path for u in utterances)


@pytest.mark.parametrize(
    ("corpus_name", "protocol"),
    [
        *FOLDS,
        ("ravdess", "leave_one_session_out"),
        ("ravdess", "leave_one_speaker_out"),
        ("ravdess", "group_kfold"),
    ],
)
@settings(max_examples=5, deadline=None)
@given(order=st.randoms(), seed=st.integers(0, 99))
def test_every_protocol_tests_everyone_once_shares_no_speaker_and_ignores_file_order(
    corpus_name, protocol, order, seed
):
    utterances = published(corpus_name, protocol if (corpus_name, protocol) in FOLDS else "emobox")
    shuffled = order.sample(utterances, len(utterances))
    tested = []
    for fold in range(1, len(list_folds(utterances, protocol, seed=seed)) + 1):
        split = split_by_protocol(utterances, protocol, fold, seed=seed)
        assert split == split_by_protocol(shuffled, protocol, fold, seed=seed)
        assert all(split.values())
        assert is_speaker_independent(split)
        assert sorted(u.path for part in split.values() for u in part) == sorted(u.path for u in utterances)
        tested += split["test"]
    assert sorted(u.path for u in tested) == sorted(u.path for u in utterances)


def test_a_session_left_out_is_in_no_other_part():
    split = split_by_protocol(published("iemocap", "emobox"), "leave_one_session_out", 2)
    sessions = {part: {session for _, session in map(session_of, rows)} for part, rows in split.items()}
    assert sessions["test"] == {"Session1"}
    assert len(sessions["validation"]) == 1
    assert len(sessions["train"] | sessions["validation"]) == 4


def test_group_kfold_has_as_many_folds_as_asked_for():
    assert len(list_folds(corpus(actors(12)), "group_kfold", folds=4)) == 4


def test_given_partitions_are_taken_and_others_counted(caplog):
    parts = ("train", "train", "validation", "test", "test2")
    rows = [
        Utterance(path=f"{i}{emotion}.wav", corpus="toy", emotion=emotion, speaker=str(i), split=part)
        for i, part in enumerate(parts)
        for emotion in EMOTIONS
    ]
    split = split_as_given(rows)
    assert {part: sorted(u.speaker for u in rows)[::3] for part, rows in split.items()} == {
        "train": ["0", "1"],
        "validation": ["2"],
        "test": ["3"],
    }
    assert "{'test2': 3}" in caplog.text


@settings(max_examples=20, deadline=None)
@given(order=st.randoms(), seed=st.integers(0, 99))
@pytest.mark.parametrize("split", [split_randomly, split_as_given])
def test_other_splits_lose_nothing_and_ignore_file_order_too(split, order, seed):
    utterances = [  # stretches of a few files, some beginning alike
        Utterance(
            path=f"/data/{i // 12}.wav", corpus="toy", emotion=EMOTIONS[i % 3], speaker=str(i // 6), start=i // 2 % 3,
            end=3 + i, split="test" if i > 50 else "train",
        )
        for i in range(72)
    ]  # fmt: skip
    parts = split(utterances, seed=seed)
    assert parts == split(order.sample(utterances, len(utterances)), seed=seed)
    assert all(parts.values())
    assert sorted(u.end for part in parts.values() for u in part) == sorted(u.end for u in utterances)


@pytest.mark.parametrize("known", [True, False])
def test_missing_validation_comes_out_of_the_training_partition(known):
    rows = [
        Utterance(
            path=f"{i}{emotion}.wav", corpus="toy", emotion=emotion, speaker=str(i) if known else None,
            split="test" if i == 9 else "train",
        )
        for i in range(10)
        for emotion in EMOTIONS
    ]  # fmt: skip
    split = split_as_given(rows)
    assert len(split["test"]) == 3
    assert len(split["train"]) > len(split["validation"]) > 0
    assert is_speaker_independent(split) is known


def test_partitions_that_share_speakers_are_taken_as_given_and_known_to():
    rows = [
        Utterance(path=f"{part}{emotion}.wav", corpus="meld", emotion=emotion, speaker="Joey", split=part)
        for part in ("train", "validation", "test")
        for emotion in EMOTIONS
    ]
    assert not is_speaker_independent(split_as_given(rows))


def test_a_corpus_without_partitions_is_refused():
    with pytest.raises(ValueError, match=r"assigns to train, found none.*'None': 18"):
        split_as_given(corpus(actors(3)))


def test_emobox_fold_1_tests_its_published_actors():
    split = split_by_protocol(corpus(actors(24), name="ravdess"), "emobox", 1)
    assert {speaker for _, speaker in speakers_of(split["test"])} == {"01", "11", "20", "21"}
    assert len(speakers_of(split["validation"])) == 4


@pytest.mark.parametrize(
    ("protocol", "fold", "message"),
    [
        ("emobx", 1, "Unknown protocol 'emobx'.*Did you mean 'emobox'"),
        ("emobox", 7, "has folds 1 to 6, found fold 7"),
        ("leave_one_session_out", 1, "sessions of these utterances are unknown.*Choose another protocol"),
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


def test_more_folds_than_speakers_are_refused():
    with pytest.raises(ValueError, match="folds: expected 2 to 6, the number of speakers, found 7"):
        split_by_protocol(corpus(actors(6)), "group_kfold", 1, folds=7)


def test_sessions_that_share_speakers_are_refused_with_a_way_out():
    rows = [
        Utterance(path=f"{i}{emotion}", corpus="toy", emotion=emotion, speaker=str(i % 2), session=str(i))
        for i in range(6)
        for emotion in EMOTIONS
    ]
    with pytest.raises(ValueError, match=r"(?s)toy/[01].*are in both.*leave_one_speaker_out"):
        split_by_protocol(rows, "leave_one_session_out", 1)


def test_one_emotion_is_no_task():
    alone = [utterance for utterance in corpus(actors(6)) if utterance.emotion == "sad"]
    with pytest.raises(ValueError, match=r"at least two emotions to train on, found \['sad'\]"):
        split_by_speaker(alone)


def rename(utterances, names):
    return [replace(utterance, speaker=names.get(utterance.speaker, utterance.speaker)) for utterance in utterances]


@pytest.mark.parametrize("names", [("anna", "Anna"), ("p01", "p-1"), ("S 2", "s_2")])
def test_speakers_of_nearly_one_name_are_refused_where_they_cross_a_split(names):
    rows = rename(corpus(actors(6)), dict(zip(("01", "02"), names, strict=True)))
    fold = sorted({row.speaker for row in rows}).index(names[0]) + 1
    with pytest.raises(ValueError, match="are in two parts of the split, and their names differ in spelling only"):
        split_by_protocol(rows, "leave_one_speaker_out", fold)


def test_speakers_of_nearly_one_name_in_one_part_or_in_two_corpora_are_left_alone():
    rows = rename(corpus(actors(2)), {"01": "anna", "02": "Anna"})
    check_split({"train": rows, "test": corpus(["03"])})
    check_split({"train": rows, "test": rename(corpus(["03"], name="other"), {"03": "ANNA"})})


def test_emotions_of_nearly_one_name_are_refused_with_the_way_out():
    rows = [replace(u, emotion="sad!") if u.path.endswith("sad1.wav") else u for u in corpus(actors(6))]
    with pytest.raises(ValueError, match=r"\['sad', 'sad!'\] differ in spelling only.*--label_map 'sad!=sad'"):
        split_by_speaker(rows)


def test_the_suggested_pattern_finds_speakers_with_spaces():
    pattern = r"^([^_]+)_"
    utterances = [Utterance(path=f"{i}", corpus="folder", emotion="sad") for i in range(9)]
    with pytest.raises(ValueError) as error:
        split_by_speaker(utterances)
    assert f"--speaker_pattern '{pattern}'" in str(error.value)
    assert match_speaker(compile_speaker(pattern), "Frau Müller_020.wav") == "Frau Müller"


def test_numbers_of_speakers_are_grammatical_and_a_part_of_a_corpus_has_a_way_out():
    with pytest.raises(ValueError, match="found 1 speaker when"):
        split_by_speaker(corpus(actors(1)))
    with pytest.raises(ValueError, match="Pass the whole corpus as data_root, or choose folds.*group_kfold"):
        split_by_protocol(corpus(actors(12), name="ravdess"), "emobox", 1)
