"""Train, validation and test: by speaker unless told otherwise, the same on every machine and in any file order."""

import difflib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ser_hf.corpora import Utterance

# Test actors of each fold.
# Source: EmoBox, https://github.com/emo-box/EmoBox, and Luna-Jiménez et al. 2021, doi:10.3390/s21227665
PROTOCOLS = {
    ("ravdess", "emobox"): (
        (1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22),
    ),
    ("ravdess", "luna2021"): (
        (2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22),
    ),
}  # fmt: skip

Split = dict[str, list[Utterance]]


def split_by_speaker(
    utterances: Iterable[Utterance],
    *,
    validation_share: float = 0.2,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Hold out whole speakers for test, then for validation, stratified by emotion and gender.

    Args:
        utterances: All of them, in any order.
        validation_share: Share of the training speakers that goes to validation, above 0 and at most 0.5.
        test_share: Share of the speakers that goes to test, above 0 and at most 0.5.
        seed: Same seed, same split.

    Raises:
        ValueError: If speakers are unknown, fewer than three, or an emotion has one speaker only.
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
    validation_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Take the test speakers of a published fold; validation speakers come out of the remaining ones.

    Args:
        utterances: All of one corpus.
        protocol: Such as "emobox" or "luna2021" for RAVDESS.
        fold: Number of the fold, from 1.
        validation_share: Share of the training speakers that goes to validation, above 0 and at most 0.5.
        seed: Chooses the validation speakers.

    Raises:
        ValueError: If the corpus has no such protocol, the protocol no such fold, or test or validation would
            be left without speakers.
    """
    utterances = _sorted(utterances)
    corpora = sorted({utterance.corpus for utterance in utterances})
    known = [name for corpus, name in PROTOCOLS if [corpus] == corpora]
    if protocol not in known:
        near = difflib.get_close_matches(protocol, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"Unknown protocol '{protocol}' for {corpora}: expected one of {known}.{hint}")
    folds = PROTOCOLS[corpora[0], protocol]
    if not 1 <= fold <= len(folds):
        raise ValueError(f"Protocol '{protocol}' has folds 1 to {len(folds)}, found fold {fold}.")
    test_speakers = {f"{actor:02d}" for actor in folds[fold - 1]}
    test = [utterance for utterance in utterances if utterance.speaker in test_speakers]
    rest = [utterance for utterance in utterances if utterance.speaker not in test_speakers]
    if missing := sorted(test_speakers - {utterance.speaker for utterance in test}):
        raise ValueError(f"Fold {fold} of '{protocol}' tests on speakers {missing}, who have no utterance here.")
    train, validation = _hold_out(rest, validation_share, seed, "validation")
    return check_split({"train": train, "validation": validation, "test": test})


def split_randomly(
    utterances: Iterable[Utterance],
    *,
    validation_share: float = 0.2,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Split utterances regardless of their speakers, stratified by emotion: scores come out too high.

    The shares are as in `split_by_speaker`.

    Raises:
        ValueError: If an emotion has fewer utterances than the split needs.
    """
    utterances = _sorted(utterances)

    def hold_out(rows: list[Utterance], share: float) -> tuple[list[Utterance], list[Utterance]]:
        folds = StratifiedKFold(round(1 / share), shuffle=True, random_state=seed)
        kept, held = next(folds.split(rows, [row.emotion for row in rows]))
        return [rows[i] for i in kept], [rows[i] for i in held]

    rest, test = hold_out(utterances, test_share)
    train, validation = hold_out(rest, validation_share)
    return check_split({"train": train, "validation": validation, "test": test}, shared_speakers=True)


def check_split(split: Split, *, shared_speakers: bool = False) -> Split:
    """Return the split, or refuse one that leaks or cannot be scored.

    Args:
        split: Utterances by "train", "validation" and "test".
        shared_speakers: Allow a speaker in two parts.

    Raises:
        ValueError: If a speaker is in two parts, or an emotion of validation or test is not trained on.
    """
    parts = list(split)
    if not shared_speakers:
        for i, one in enumerate(parts):
            for other in parts[i + 1 :]:
                if shared := speakers_of(split[one]) & speakers_of(split[other]):
                    raise ValueError(f"Speakers {sorted(map(str, shared))} are in both {one} and {other}.")
    trained = {utterance.emotion for utterance in split["train"]}
    for part in parts:
        if untrained := sorted({utterance.emotion for utterance in split[part]} - trained):
            raise ValueError(
                f"Emotions {untrained} are in {part} but not in train: they have too few speakers. Drop or merge "
                "them with --label_map, or take another --split_seed."
            )
    return split


def speakers_of(utterances: Iterable[Utterance]) -> set[tuple[str, str | None]]:
    """Return the (corpus, speaker) pairs of some utterances."""
    return {(utterance.corpus, utterance.speaker) for utterance in utterances}


def _sorted(utterances: Iterable[Utterance]) -> list[Utterance]:
    return sorted(utterances, key=lambda u: (u.corpus, u.path, u.start or 0.0))


def _hold_out(
    utterances: Sequence[Utterance], share: float, seed: int, part: str
) -> tuple[list[Utterance], list[Utterance]]:
    """Return (kept, held out); about `share` of the speakers, and of each emotion and gender, is held out."""
    _require_speakers(utterances, part)
    # Ordered by speaker name, not by path, so that the split does not depend on where the files lie.
    rows = sorted(utterances, key=lambda u: (u.corpus, u.speaker, u.emotion, u.gender or ""))
    groups = [f"{row.corpus}/{row.speaker}" for row in rows]
    strata = [f"{row.emotion}/{row.gender}" for row in rows]
    count = len(set(groups))
    left = 2 if part == "test" else 1  # speakers that the parts to come need
    n_splits = count if count < 4 else min(round(1 / share), count)
    folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rare emotions: check_split judges what comes out
        candidates = [speakers_of(rows[i] for i in held) for _, held in folds.split(rows, strata, groups)]
    speakers = next(held for held in candidates if 0 < len(held) <= count - left)
    kept = [u for u in utterances if (u.corpus, u.speaker) not in speakers]
    return kept, [u for u in utterances if (u.corpus, u.speaker) in speakers]


def _require_speakers(utterances: Sequence[Utterance], part: str) -> None:
    if any(utterance.speaker is None for utterance in utterances):
        raise ValueError(
            "The speakers of these utterances are unknown, so a split by speaker is impossible. Say how a file name "
            r"tells its speaker, as in --speaker_pattern '^(\w+?)_', or accept an inflated, speaker-dependent score "
            "with --split random."
        )
    by_emotion = defaultdict(set)
    for utterance in utterances:
        by_emotion[utterance.emotion].add((utterance.corpus, utterance.speaker))
    speakers = speakers_of(utterances)
    if len(speakers) < (3 if part == "test" else 2):
        raise ValueError(
            f"No speaker is left for {part}: expected at least 3 speakers (train, validation, test) in all, found "
            f"{len(speakers)} when {part} was taken. Add speakers, or accept an inflated score with --split random."
        )
    if alone := sorted(emotion for emotion, names in by_emotion.items() if len(names) == 1):
        raise ValueError(
            f"Emotions {alone} have one speaker only, so {part} cannot be split off by speaker: expected at least 3 "
            "speakers for each. Drop them (--label_map 'name=') or merge them (--label_map name=other)."
        )
