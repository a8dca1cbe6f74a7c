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
    utterances: Iterable[Utterance], *, label_set: str = "all", label_map: dict[str, str] | None = None
) -> tuple[list[Utterance], Counter]:
    """Rename emotions by `label_map`, then keep those of `label_set`.

    Args:
        utterances: What a corpus yields.
        label_set: "all", "four" (excited joins happy) or "big6".
        label_map: Canonical emotion -> new name; an empty new name drops the emotion.

    Returns:
        The kept utterances, and the dropped emotions with their counts.

    Raises:
        ValueError: If fewer than two emotions are kept, or `label_map` renames an emotion that the corpus lacks.
    """
    utterances = list(utterances)
    found = Counter(utterance.emotion for utterance in utterances)
    label_map = label_map or {}
    if unknown := sorted(set(label_map) - set(found)):
        raise ValueError(f"label_map renames {unknown}: expected emotions of the corpus, {sorted(found)}.")
    keep = LABEL_SETS[label_set]
    kept, dropped = [], Counter()
    for utterance in utterances:
        emotion = label_map.get(utterance.emotion, utterance.emotion)
        emotion = emotion if keep is None else keep.get(emotion)
        if emotion:
            kept.append(replace(utterance, emotion=emotion))
        else:
            dropped[utterance.emotion] += 1
    if not kept:
        raise ValueError(
            f"Label set '{label_set}' keeps none of the {len(utterances)} utterances: expected some of "
            f"{sorted(keep or [])}, found {dict(found)}. Rename with --label_map old=new, or use --label_set all."
        )
    if len(emotions := {utterance.emotion for utterance in kept}) < 2:
        raise ValueError(
            f"Expected at least two emotions, found {sorted(emotions)}. Is data_root the folder that holds the "
            "emotions, and does the label map leave two?"
        )
    return kept, dropped
