"""Canonical emotion names, label sets, and the mapping that a recipe applies to a corpus' labels."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from ser_hf.corpora.utterance import Utterance

# RAVDESS' own names are the canonical ones; the other spellings are those met in class folders and tables.
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
    "no_agreement": ("xxx",),  # the annotators' votes name no winner: a label, but no emotion
}
CANONICAL = {alias: name for name, aliases in SYNONYMS.items() for alias in (name, *aliases)}

LABEL_SETS = {
    "all": None,
    # The four-class IEMOCAP convention. Source: Yang et al. 2021, SUPERB, https://arxiv.org/abs/2105.01051
    "four": {"angry": "angry", "happy": "happy", "excited": "happy", "neutral": "neutral", "sad": "sad"},
    # Ekman's six. Source: Ekman 1992, An argument for basic emotions, doi:10.1080/02699939208411068
    "big6": {name: name for name in ("angry", "disgust", "fearful", "happy", "sad", "surprised")},
}


def canonical_emotion(name: str) -> str:
    """Return the canonical spelling of an emotion; an unknown name stays, in lower case.

    >>> canonical_emotion("Anger"), canonical_emotion(" Pride ")
    ('angry', 'pride')
    """
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    return CANONICAL.get(key, key)


def map_labels(
    utterances: Iterable[Utterance],
    *,
    label_set: str = "all",
    label_map: dict[str, str] | None = None,
    min_utterances: int = 1,
    rare_emotion: str | None = None,
    target: str = "emotion",
) -> tuple[list[Utterance], Counter]:
    """Rename emotions by `label_map`, keep those of `label_set`, then drop or merge the rare ones.

    Utterances whose annotators did not agree ("no_agreement") are always left out.

    Args:
        utterances: What a corpus yields.
        label_set: "all", "four" (excited joins happy) or "big6".
        label_map: Canonical emotion -> new name; an empty new name drops the emotion.
        min_utterances: Emotions with fewer utterances are rare.
        rare_emotion: Name that rare emotions are merged into; None drops them.
        target: What is recognised: "emotion", "gender", "emotion_gender" or "intensity". It takes the emotion's place
            in the utterances that are kept.

    Returns:
        The kept utterances, and the dropped emotions with their counts.

    Raises:
        ValueError: If fewer than two labels are kept, or `label_map` renames an emotion that the corpus lacks.
    """
    utterances = list(utterances)
    found = Counter(utterance.emotion for utterance in utterances)
    renamed = _names(found, label_set, label_map or {})
    counts = Counter()
    for emotion, new in renamed.items():
        counts[new] += found[emotion]
    rare = {new for new, count in counts.items() if new and count < min_utterances}
    renamed = {emotion: rare_emotion if new in rare else new for emotion, new in renamed.items()}
    kept, dropped = [], Counter()
    for utterance in utterances:
        label = _target(utterance, renamed[utterance.emotion], target)
        if label is None:
            dropped[utterance.emotion] += 1
        else:
            kept.append(replace(utterance, emotion=label))
    if not kept:
        raise ValueError(
            f"Label set '{label_set}' and target '{target}' keep none of the {len(utterances)} utterances: expected "
            f"some of {sorted(LABEL_SETS[label_set] or [])}, found {dict(found)}. Rename with --label_map old=new, or "
            "use --label_set all."
        )
    if len(labels := {utterance.emotion for utterance in kept}) < 2:
        raise ValueError(
            f"Expected at least two emotions, found {sorted(labels)}. Is data_root the folder that holds the "
            "emotions, and does the label map leave two?"
        )
    return kept, dropped


def _names(found: Counter, label_set: str, label_map: dict[str, str]) -> dict[str, str | None]:
    """Return what each emotion found is called from now on; None drops it."""
    if unknown := sorted(set(label_map) - set(found)):
        raise ValueError(f"label_map renames {unknown}: expected emotions of the corpus, {sorted(found)}.")
    keep = LABEL_SETS[label_set]
    names = {emotion: label_map.get(emotion, emotion) for emotion in found}
    if keep is None:
        return {emotion: name if name not in ("", "no_agreement") else None for emotion, name in names.items()}
    return {emotion: keep.get(name) for emotion, name in names.items()}


def _target(utterance: Utterance, emotion: str | None, target: str) -> str | None:
    """Return the label of an utterance whose emotion is called `emotion` now; None where the corpus does not tell."""
    if emotion is None or target == "emotion":
        return emotion
    if target == "emotion_gender":
        return utterance.gender and f"{emotion}_{utterance.gender}"
    return getattr(utterance, target)
