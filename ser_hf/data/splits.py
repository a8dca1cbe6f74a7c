"""Splits into train, validation and test: speaker-independent by default, and independent of machine and file order."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from sklearn.model_selection import StratifiedKFold

from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize
from ser_hf.corpora.name_forms import find_near_equal
from ser_hf.data.protocols import (
    GENERIC_PROTOCOLS,
    grouping,
    list_folds,
    session_of,
    speaker_of,
    speakers_of,
    stratified_folds,
)
from ser_hf.data.speaker_patterns import describe_proposal

Split = dict[str, list[Utterance]]

logger = logging.getLogger(__name__)


def split_by_speaker(
    utterances: Iterable[Utterance],
    *,
    validation_share: float = 0.2,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Make a speaker-independent split, stratified by emotion and gender.

    Args:
        utterances: All utterances, in any order.
        validation_share: Fraction of the speakers outside test that is held out for validation, in (0, 0.5].
        test_share: Fraction of the speakers that is held out for test, in (0, 0.5].
        seed: The same seed gives the same split.

    Returns:
        Utterances by "train", "validation" and "test".

    Raises:
        ValueError: If a speaker is unknown, there are fewer than three speakers, or an emotion has only one speaker.
    """
    utterances = _sorted(utterances)
    rest, test = _hold_out(utterances, test_share, seed, "test")
    train, validation = _hold_out(rest, validation_share, seed, "validation")
    return check_split({"train": train, "validation": validation, "test": test})


def split_by_protocol(
    utterances: Iterable[Utterance],
    protocol: str,
    fold: int,
    *,
    folds: int = 5,
    validation_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Make the split of one cross-validation fold: its speakers for test, and validation speakers from the others.

    Args:
        utterances: All utterances, in any order.
        protocol: A published protocol of the corpus, such as "emobox" or "luna2021" for RAVDESS, or
            "leave_one_session_out", "leave_one_speaker_out", "group_kfold" (speaker-independent, stratified) or
            "random_kfold" (stratified, not speaker-independent).
        fold: Number of the fold, starting at 1.
        folds: Number of folds of "group_kfold" and "random_kfold".
        validation_share: Fraction of the speakers outside test (of the sessions for "leave_one_session_out", of the
            utterances for "random_kfold") that is held out for validation, in (0, 0.5].
        seed: Random seed for the validation speakers and for the folds of "group_kfold" and "random_kfold".

    Returns:
        Utterances by "train", "validation" and "test".

    Raises:
        ValueError: If the corpus has no such protocol, the protocol has no such fold, or there are too few speakers
            for test or validation.
    """
    utterances = _sorted(utterances)
    group = grouping(protocol)
    if protocol in GENERIC_PROTOCOLS:
        _require_groups(utterances, "test", group)
    held_out = list_folds(utterances, protocol, folds=folds, seed=seed)
    if not 1 <= fold <= len(held_out):
        raise ValueError(f"Protocol '{protocol}' has folds 1 to {len(held_out)}, found fold {fold}.")
    test_groups = held_out[fold - 1]
    if missing := sorted(name for _, name in test_groups - set(map(group, utterances))):
        raise ValueError(
            f"Fold {fold} of '{protocol}' tests on speakers {missing}, who have no utterance in this corpus. Pass the "
            "whole corpus as data_root, or choose folds of the speakers that it has: --protocol leave_one_speaker_out "
            "or group_kfold."
        )
    test = [utterance for utterance in utterances if group(utterance) in test_groups]
    rest = [utterance for utterance in utterances if group(utterance) not in test_groups]
    train, validation = _hold_out(rest, validation_share, seed, "validation", group)
    shared_speakers = protocol == "random_kfold"
    return check_split({"train": train, "validation": validation, "test": test}, shared_speakers=shared_speakers)


def split_as_given(utterances: Iterable[Utterance], *, validation_share: float = 0.2, seed: int = 0) -> Split:
    """Use the partitions assigned by the corpus or by the split column of a table.

    These may share speakers, as in MELD; `is_speaker_independent` checks this. Partitions other than "train",
    "validation" and "test" (such as the additional test sets of MSP-Podcast) are left out with a warning.

    Args:
        utterances: All utterances, in any order.
        validation_share: Fraction of the training speakers (of the training utterances, if a speaker is unknown) that
            is held out if the corpus has no validation partition, in (0, 0.5].
        seed: Random seed for this choice.

    Returns:
        Utterances by "train", "validation" and "test".

    Raises:
        ValueError: If no utterance is assigned to train or to test.
    """
    utterances = _sorted(utterances)
    split = {part: [u for u in utterances if u.split == part] for part in ("train", "validation", "test")}
    others = Counter(str(u.split) for u in utterances if u.split not in split)
    for part in ("train", "test"):
        if not split[part]:
            raise ValueError(
                f"Expected utterances that the corpus assigns to {part}, found none (other partitions: "
                f"{dict(others)}). Choose another --split or --protocol."
            )
    if others:
        logger.warning(
            f"Left out utterances of other partitions than train, validation and test: {dict(sorted(others.items()))}."
        )
    if not split["validation"]:
        if any(utterance.speaker is None for utterance in split["train"]):
            held = _hold_out_randomly(split["train"], validation_share, seed)
        else:
            held = _hold_out(split["train"], validation_share, seed, "validation")
        split["train"], split["validation"] = held
    return check_split(split, shared_speakers=True)


def split_randomly(
    utterances: Iterable[Utterance],
    *,
    validation_share: float = 0.2,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Split utterances regardless of their speakers, stratified by emotion; the scores will be too high.

    Args:
        utterances: All utterances, in any order.
        validation_share: Fraction of the utterances outside test that is held out for validation, in (0, 0.5].
        test_share: Fraction of the utterances that is held out for test, in (0, 0.5].
        seed: The same seed gives the same split.

    Returns:
        Utterances by "train", "validation" and "test".

    Raises:
        ValueError: If an emotion has fewer utterances than the split needs.
    """
    utterances = _sorted(utterances)
    rest, test = _hold_out_randomly(utterances, test_share, seed)
    train, validation = _hold_out_randomly(rest, validation_share, seed)
    return check_split({"train": train, "validation": validation, "test": test}, shared_speakers=True)


def check_split(split: Split, *, shared_speakers: bool = False) -> Split:
    """Check that a split has no leakage and can be scored, and return it unchanged.

    Args:
        split: Utterances by "train", "validation" and "test".
        shared_speakers: Whether a speaker may be in two parts.

    Raises:
        ValueError: If a speaker is in two parts, under one name or two spellings of it, two emotions differ in spelling
            only, train has fewer than two emotions, or an emotion of validation or test is missing in train.
    """
    parts = list(split)
    if not shared_speakers:
        for i, one in enumerate(parts):
            for other in parts[i + 1 :]:
                if shared := speakers_of(split[one]) & speakers_of(split[other]):
                    names = sorted(f"{corpus}/{speaker or 'unknown'}" for corpus, speaker in shared)
                    raise ValueError(
                        f"Speakers {names} are in both {one} and {other}: expected none. Choose a speaker-independent "
                        "protocol, such as leave_one_speaker_out or group_kfold."
                    )
        _refuse_similar(split)
    trained = {utterance.emotion for utterance in split["train"]}
    if len(trained) < 2:
        raise ValueError(
            f"Expected at least two emotions to train on, found {sorted(trained)}. Check that data_root "
            "is the folder of the whole corpus and that the label map keeps at least two emotions."
        )
    emotions = {utterance.emotion for part in parts for utterance in split[part]}
    if similar := find_near_equal(emotions):
        raise ValueError(
            f"Emotions {list(similar[0])} differ in spelling only: expected one spelling. Rename with --label_map "
            f"'{similar[0][1]}={similar[0][0]}'."
        )
    for part in parts:
        if untrained := sorted({utterance.emotion for utterance in split[part]} - trained):
            raise ValueError(
                f"Emotions {untrained} are in {part} but not in train: they have too few speakers. Drop or merge "
                "them with --label_map, or choose another --split_seed."
            )
    return split


def _refuse_similar(split: Split) -> None:
    """Refuse speakers in two parts whose names differ in spelling only."""
    parts = {speaker: part for part in split for speaker in speakers_of(split[part]) if speaker[1]}
    for corpus in {corpus for corpus, _ in parts}:
        for names in find_near_equal(name for other, name in parts if other == corpus and name):
            if len({parts[corpus, name] for name in names}) > 1:
                raise ValueError(
                    f"Speakers {list(names)} of {corpus} are in two parts of the split, and their names differ in "
                    "spelling only: expected one spelling of each speaker. Correct the names of the speakers."
                )


def is_speaker_independent(split: Split) -> bool:
    """Return whether a split is speaker-independent: all speakers are known and none is in two parts."""
    parts = [speakers_of(utterances) for utterances in split.values()]
    return len(set().union(*parts)) == sum(map(len, parts)) and all(name for part in parts for _, name in part)


def _sorted(utterances: Iterable[Utterance]) -> list[Utterance]:
    return sorted(utterances, key=lambda u: (u.corpus, u.path, u.start or 0.0, u.end or 0.0, u.emotion))


def _hold_out(
    utterances: Sequence[Utterance], share: float, seed: int, part: str, group: Callable = speaker_of
) -> tuple[list[Utterance], list[Utterance]]:
    """Return (kept, held out), with about `share` of the groups held out, stratified by emotion and gender."""
    _require_groups(utterances, part, group)
    count = len(set(map(group, utterances)))
    left = 2 if part == "test" else 1  # number of groups that the remaining parts need
    folds = count if count < 4 else min(round(1 / share), count)
    candidates = stratified_folds(utterances, folds, seed, group)
    held = next(held for held in candidates if 0 < len(held) <= count - left)
    return [u for u in utterances if group(u) not in held], [u for u in utterances if group(u) in held]


def _hold_out_randomly(
    utterances: Sequence[Utterance], share: float, seed: int
) -> tuple[list[Utterance], list[Utterance]]:
    folds = StratifiedKFold(round(1 / share), shuffle=True, random_state=seed)
    emotions = [utterance.emotion for utterance in utterances]
    if max(Counter(emotions).values()) < folds.n_splits <= len(emotions):
        emotions = [""] * len(emotions)  # too few utterances to stratify; check_split checks the result
    kept, held = next(folds.split(utterances, emotions))
    return [utterances[i] for i in kept], [utterances[i] for i in held]


def _require_groups(utterances: Sequence[Utterance], part: str, group: Callable) -> None:
    kind = "session" if group is session_of else "speaker"
    groups = defaultdict(set)
    for utterance in utterances:
        groups[utterance.emotion].add(group(utterance))
    everyone = set().union(*groups.values())
    if any(name is None for _, name in everyone):
        found = describe_proposal(utterances) or "For example: --speaker_pattern '^([^_]+)_'."
        speaker_hint = (
            f"Give the pattern of the speaker in the file names. {found} Or accept an inflated, speaker-dependent "
            "score with --split random."
        )
        hint = speaker_hint if kind == "speaker" else "Choose another protocol, such as leave_one_speaker_out."
        raise ValueError(f"The {kind}s of these utterances are unknown, so a split by {kind} is impossible. {hint}")
    if len(everyone) < (3 if part == "test" else 2):
        raise ValueError(
            f"No {kind} is left for {part}: expected at least 3 {kind}s in total (train, validation, test), found "
            f"{pluralize(len(everyone), kind)} when {part} was chosen. Add {kind}s, or accept an inflated score with "
            "--split random."
        )
    if alone := sorted(emotion for emotion, names in groups.items() if len(names) == 1):
        raise ValueError(
            f"Emotions {alone} have one {kind} only, so they cannot be in both {part} and train: expected two or "
            f"more {kind}s for each. Drop them (--label_map 'name=') or merge them (--label_map name=other)."
        )
