r"""Find the part of the file names that is the speaker, if a corpus does not name its speakers."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize

# What comes before the first _, - or space; letters before a number.
PATTERNS = (r"^([^_]+)_", r"^([^-]+)-", r"^([^ ]+) ", r"^([A-Za-z]{3,})\d")
FEWEST = 2  # utterances of a speaker with one emotion, on average; numbers of recordings have one
LISTED = 6


def propose_pattern(utterances: Sequence[Utterance]) -> tuple[str, Counter[str]] | None:
    r"""Return the first of `PATTERNS` that can be the speaker, and its speakers with their numbers of utterances.

    It is in every file name, and has several utterances per emotion. Two or more of its values have more than one
    emotion, so it is not the emotion.

    Examples:
        >>> rows = [Utterance(path=f"{mood}/{who}_{i}.wav", corpus="folder", emotion=mood)
        ...         for mood in ("sad", "happy") for who in ("anna", "ben") for i in (1, 2)]
        >>> propose_pattern(rows)
        ('^([^_]+)_', Counter({'anna': 4, 'ben': 4}))
    """
    names = [Path(row.path).name for row in utterances]
    for pattern in PATTERNS:
        found = [re.search(pattern, name) for name in names]
        if not all(found):
            continue
        speakers = [match[1] for match in found if match]
        emotions = defaultdict(set)
        for speaker, row in zip(speakers, utterances, strict=True):
            emotions[speaker].add(row.emotion)
        pairs = sum(map(len, emotions.values()))
        mixed = sum(len(own) > 1 for own in emotions.values())
        if len(speakers) >= FEWEST * pairs and mixed > 1:
            return pattern, Counter(speakers)
    return None


def describe_proposal(utterances: Sequence[Utterance]) -> str | None:
    """Return a sentence about the pattern that finds the speakers, and how many there are; None if there is no such."""
    proposal = propose_pattern(utterances)
    if proposal is None:
        return None
    pattern, speakers = proposal
    counts = ", ".join(f"{name} ({count})" for name, count in speakers.most_common(LISTED))
    more = ", …" if len(speakers) > LISTED else ""
    number = pluralize(len(speakers), "speaker")
    return f"--speaker_pattern '{pattern}' finds {number} (utterances): {counts}{more}."
