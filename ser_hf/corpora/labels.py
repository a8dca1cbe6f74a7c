"""Define canonical emotion names and label sets, and map the labels of a corpus as a recipe requires."""

import difflib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ser_hf.corpora.name_forms import clean_text
from ser_hf.corpora.utterance import Utterance

logger = logging.getLogger(__name__)

# The canonical names are those of RAVDESS; the others are spellings found in folder names and tables.
SYNONYMS = {
    "amused": ("amusement",),
    "angry": ("anger", "ang"),
    "anxious": ("anx",),
    "bored": ("boredom",),
    "calm": ("calmness",),
    "contempt": ("contemptuous",),
    "disgust": ("disgusted", "dis"),
    "excited": ("excitement", "exc"),
    "fearful": ("fear", "fea", "afraid", "anxiety"),
    "frustrated": ("frustration", "fru"),
    "happy": ("happiness", "hap", "joy", "joyful"),
    "neutral": ("neu",),
    "sad": ("sadness",),
    "sleepy": ("sleepiness",),
    "surprised": ("surprise", "sur", "pleasant_surprise"),
    "other": ("oth",),
    "no_agreement": ("xxx",),  # no emotion has most of the annotators' votes: a label, but not an emotion
}
NO_AGREEMENT = "no_agreement"
CANONICAL = {alias: name for name, aliases in SYNONYMS.items() for alias in (name, *aliases)}

LABEL_SETS = {
    "all": None,
    # The four-class IEMOCAP convention. Source: Yang et al. 2021, SUPERB, https://arxiv.org/abs/2105.01051
    "four": {"angry": "angry", "happy": "happy", "excited": "happy", "neutral": "neutral", "sad": "sad"},
    # Ekman's six. Source: Ekman 1992, An argument for basic emotions, doi:10.1080/02699939208411068
    "big6": {name: name for name in ("angry", "disgust", "fearful", "happy", "sad", "surprised")},
}


def canonical_emotion(name: str) -> str:
    """Return the canonical spelling of an emotion; an unknown name is returned in lower case.

    Examples:
        >>> canonical_emotion("Anger"), canonical_emotion(" Pride ")
        ('angry', 'pride')
    """
    key = clean_text(name).lower().replace(" ", "_").replace("-", "_")
    return CANONICAL.get(key, key)


def map_labels(
    utterances: Iterable[Utterance],
    *,
    label_set: str = "all",
    label_map: dict[str, str] | None = None,
    min_utterances: int = 1,
    rare_emotion: str | None = None,
    target: str = "emotion",
    keep_no_agreement: bool = False,
) -> tuple[list[Utterance], Counter]:
    """Rename emotions by `label_map`, keep those of `label_set`, then drop or merge the rare ones.

    Votes are renamed and merged like emotions; votes for emotions that are dropped keep their name.

    Args:
        utterances: Utterances of a corpus.
        label_set: "all", "four" (with excited as happy) or "big6". "all" excludes "no_agreement" if the target includes
            the emotion.
        label_map: New name of each emotion to rename; an empty new name drops the emotion.
        min_utterances: Emotions with fewer utterances are rare.
        rare_emotion: Name into which rare emotions are merged; None drops them.
        target: What is recognised: "emotion", "gender", "emotion_gender" or "intensity". It replaces the emotion in the
            returned utterances.
        keep_no_agreement: Whether to keep the utterances with the label "no_agreement".

    Returns:
        The kept utterances, and the number of dropped utterances by emotion and reason.

    Raises:
        ValueError: If no utterance is kept, or `label_map` renames an emotion that the corpus does not have, neither as
            a label nor in a vote.

    Examples:
        >>> names = ("excited", "happy", "calm")
        >>> utterances = [Utterance(path="a.wav", corpus="x", emotion=name) for name in names]
        >>> kept, dropped = map_labels(utterances, label_set="four")
        >>> [utterance.emotion for utterance in kept], dropped
        (['happy', 'happy'], Counter({'calm': 1}))
    """
    utterances = list(utterances)
    found = Counter(utterance.emotion for utterance in utterances)
    found.update(dict.fromkeys((name for row in utterances for name in row.votes or ()), 0))
    label_map = {canonical_emotion(old): canonical_emotion(new) for old, new in (label_map or {}).items()}
    names = _rename(found, label_set, label_map, target)
    if keep_no_agreement and NO_AGREEMENT in names:
        names[NO_AGREEMENT] = NO_AGREEMENT
    names, rare = _without_rare(found, names, min_utterances, rare_emotion)
    kept = []
    dropped: Counter[str] = Counter()
    for utterance in utterances:
        emotion = utterance.emotion
        label = _target(utterance, names[emotion], target)
        if label is None:
            reason = " (rare)" if emotion in rare else f" (no {target})" if names[emotion] else ""
            dropped[emotion + reason] += 1
        else:
            votes = utterance.votes and _rename_votes(utterance.votes, names)
            changed = (label, votes) != (emotion, utterance.votes)
            kept.append(replace(utterance, emotion=label, votes=votes) if changed else utterance)
    if not kept:
        raise ValueError(
            f"Label set '{label_set}' and target '{target}' keep none of the {len(utterances)} utterances: expected "
            f"{sorted(LABEL_SETS[label_set] or ['an emotion'])}, left out {dict(dropped)}. Rename with --label_map "
            "old=new, or choose another --label_set or --target."
        )
    return kept, dropped


def _rename(found: Counter, label_set: str, label_map: dict[str, str], target: str) -> dict[str, str | None]:
    """Return the new name of each emotion; None drops it."""
    if unknown := sorted(set(label_map) - set(found)):
        near = difflib.get_close_matches(unknown[0], found, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"label_map renames {unknown}: expected emotions of the corpus, {sorted(found)}.{hint}")
    names = {emotion: _rename_emotion(emotion, label_set, label_map) for emotion in found}
    if target.startswith("emotion") and names.get(NO_AGREEMENT) == NO_AGREEMENT:
        names[NO_AGREEMENT] = None
    return names


def _rename_emotion(emotion: str, label_set: str, label_map: dict[str, str]) -> str | None:
    keep, name = LABEL_SETS[label_set], label_map.get(emotion, emotion) or None
    return name if keep is None else name and keep.get(name)


def _rename_votes(votes: dict[str, float], names: dict[str, str | None]) -> dict[str, float]:
    """Return the votes by new name; a dropped emotion keeps its name."""
    renamed: dict[str, float] = {}
    for emotion, count in votes.items():
        name = names[emotion] or emotion
        renamed[name] = renamed.get(name, 0) + count
    return renamed


def _without_rare(
    found: Counter, names: dict[str, str | None], least: int, rare_emotion: str | None
) -> tuple[dict[str, str | None], set[str]]:
    """Merge or drop the rare names; return the names and the emotions that were dropped."""
    counts: Counter[str | None] = Counter()
    for emotion, name in names.items():
        counts[name] += found[emotion]
    rare = {emotion for emotion, name in names.items() if name and counts[name] < least}
    if rare and rare_emotion:
        logger.info(f"Merged into '{rare_emotion}': { {emotion: found[emotion] for emotion in sorted(rare)} }.")
    names = names | dict.fromkeys(rare, rare_emotion)
    return names, set() if rare_emotion else rare


def _target(utterance: Utterance, emotion: str | None, target: str) -> str | None:
    """Return the label of an utterance with the renamed emotion `emotion`; None if the corpus does not provide it."""
    if emotion is None or target == "emotion":
        return emotion
    if target == "emotion_gender":
        return utterance.gender and f"{emotion}_{utterance.gender}"
    return getattr(utterance, target)
