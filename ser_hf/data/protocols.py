"""Cross-validation protocols: the test speakers of each fold, published for a corpus or derived from any corpus."""

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sklearn.model_selection import StratifiedGroupKFold

from ser_hf.corpora import Utterance

# Test speakers of each fold. The EmoBox folds of CREMA-D, EMO-DB, TESS and others are not speaker-independent; they are
# left out.
# Source: EmoBox, https://github.com/emo-box/EmoBox, and Luna-Jiménez et al. 2021, doi:10.3390/s21227665
PROTOCOLS = {
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
# Protocols for any corpus. "random_kfold" is not speaker-independent: it shows by how much a random split overestimates
# the scores.
GENERIC_PROTOCOLS = ("leave_one_session_out", "leave_one_speaker_out", "group_kfold", "random_kfold")


def speakers_of(utterances: Iterable[Utterance]) -> set[tuple[str, str | None]]:
    """Return the distinct (corpus, speaker) pairs of some utterances."""
    return set(map(speaker_of, utterances))


def speaker_of(utterance: Utterance) -> tuple[str, str | None]:
    """Return corpus and speaker, because the same name in two corpora means two speakers."""
    return utterance.corpus, utterance.speaker


def session_of(utterance: Utterance) -> tuple[str, str | None]:
    """Return corpus and session."""
    return utterance.corpus, utterance.session


def utterance_of(utterance: Utterance) -> tuple[str, str]:
    """Return corpus and an identifier of the utterance that is unique within the corpus."""
    return utterance.corpus, f"{utterance.path} {utterance.start} {utterance.end}"


def grouping(protocol: str) -> Callable[[Utterance], tuple]:
    """Return the function that maps an utterance to its group; a protocol never divides a group between parts."""
    return {"leave_one_session_out": session_of, "random_kfold": utterance_of}.get(protocol, speaker_of)


def list_folds(utterances: Sequence[Utterance], protocol: str, *, folds: int = 5, seed: int = 0) -> list[set[tuple]]:
    """Return the test groups (speakers, sessions or utterances) of each fold of a protocol.

    Args:
        utterances: All utterances, in any order.
        protocol: A published protocol of the corpus, or one of `GENERIC_PROTOCOLS`.
        folds: Number of folds of "group_kfold" and "random_kfold".
        seed: Random seed for the folds of these two protocols.

    Returns:
        One set per fold: (corpus, speaker), (corpus, session) or, for "random_kfold", (corpus, utterance) pairs.

    Raises:
        ValueError: If the corpus has no such protocol, or "group_kfold" has more folds than speakers or fewer than two.
    """
    if protocol == "leave_one_session_out":
        return [{session} for session in sorted(set(map(session_of, utterances)))]
    if protocol == "leave_one_speaker_out":
        return [{speaker} for speaker in sorted(speakers_of(utterances))]
    if protocol == "random_kfold":
        return stratified_folds(utterances, folds, seed, utterance_of)
    if protocol == "group_kfold":
        if not 2 <= folds <= (count := len(speakers_of(utterances))):
            raise ValueError(f"folds: expected 2 to {count}, the number of speakers, found {folds}.")
        return stratified_folds(utterances, folds, seed, speaker_of)
    corpora = sorted({utterance.corpus for utterance in utterances})
    known = [name for corpus, name in PROTOCOLS if [corpus] == corpora] + [*GENERIC_PROTOCOLS]
    if protocol not in known:
        near = difflib.get_close_matches(protocol, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"Unknown protocol '{protocol}' for {corpora}: expected one of {known}.{hint}")
    return [{(corpora[0], speaker) for speaker in speakers.split()} for speakers in PROTOCOLS[corpora[0], protocol]]


def stratified_folds(utterances: Sequence[Utterance], folds: int, seed: int, group: Callable) -> list[set[tuple]]:
    """Return the groups held out in each fold, stratified by emotion and gender.

    Args:
        utterances: All utterances, in any order; the group of each is known.
        folds: Number of folds.
        seed: The same seed gives the same folds.
        group: `speaker_of`, `session_of` or `utterance_of`.
    """
    # Sorted by group name, not by path, so that the folds do not depend on the location of the files.
    rows = sorted(utterances, key=lambda u: (group(u), u.emotion, u.gender or ""))
    strata = choose_strata(rows, folds)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about rare emotions; check_split checks the result
        parts = splitter.split(rows, strata, ["/".join(group(row)) for row in rows])
        return [{group(rows[i]) for i in held} for _, held in parts]


def choose_strata(utterances: Sequence[Utterance], folds: int) -> list[str]:
    """Return the stratum of each utterance: emotion and gender, or a coarser one if no stratum has `folds` members."""
    choices = (
        [f"{utterance.emotion}/{utterance.gender}" for utterance in utterances],
        [utterance.emotion for utterance in utterances],
    )
    enough = (strata for strata in choices if max(Counter(strata).values()) >= folds)
    return next(enough, [""] * len(utterances))
