"""Find the speakers of whom a corpus has one emotion only."""

from collections import defaultdict
from collections.abc import Iterable

from ser_hf.corpora import Utterance
from ser_hf.corpora.files import pluralize

LISTED = 6


def describe_single_emotions(utterances: Iterable[Utterance]) -> str | None:
    """Return a sentence about the speakers with one emotion only; None if there are none, or one emotion in all.

    Utterances of unknown speakers are not counted.

    Examples:
        >>> rows = [("anna", "sad"), ("anna", "happy"), ("ben", "sad"), ("chloe", "sad"), ("chloe", "sad")]
        >>> describe_single_emotions(
        ...     Utterance(path="a.wav", corpus="folder", emotion=mood, speaker=who) for who, mood in rows
        ... )
        '2 of 3 speakers have one emotion only (3 utterances): emotion and speaker cannot be told apart for chloe, ben.'
    """
    emotions = defaultdict(list)
    for row in utterances:
        if row.speaker:
            emotions[row.corpus, row.speaker].append(row.emotion)
    single = {speaker: len(own) for speaker, own in emotions.items() if len(set(own)) == 1}
    if not single or len({emotion for own in emotions.values() for emotion in own}) == 1:
        return None
    names = [name for _, name in sorted(single, key=lambda speaker: -single[speaker])]
    more = ", …" if len(names) > LISTED else ""
    verb, affected = "has" if len(names) == 1 else "have", pluralize(sum(single.values()), "utterance")
    return (
        f"{len(names)} of {pluralize(len(emotions), 'speaker')} {verb} one emotion only ({affected}): emotion and "
        f"speaker cannot be told apart for {', '.join(names[:LISTED])}{more}."
    )
