"""Say how recordings differ from the training speech of a model, and what to expect.

Quantiles are those of 5 %, 50 % and 95 % of the utterances, see `summarize_properties`.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ser_hf.corpora.files import pluralize

TELEPHONE = 4_200  # Hz; a telephone has at most 4 kHz
NARROWER = 0.8  # share of the training speech's bandwidth
LOUDER = 6.0  # dB beyond the training speech before a level or a contrast counts as different
SHORTER = 0.5  # share of the training speech's durations, and of its shares of speech
UNKNOWN = "lower scores; `ser-hf evaluate --conditions standard` measures by how much"

Quantiles = Mapping[str, Sequence[float]]
Changes = Mapping[str, str]


def compare_properties(found: Quantiles, trained: Quantiles, changes: Changes) -> Iterator[str]:
    """Yield a sentence for each property whose median differs from the training speech.

    Args:
        found: {property: quantiles} of the recordings.
        trained: {property: quantiles} of the training speech.
        changes: {condition: text with the change of the score}, as measured for the model; may be empty.

    Examples:
        >>> usual = {"bandwidth": [7700, 7800, 7900], "level": [-50, -40, -20], "contrast": [50, 70, 80]}
        >>> usual |= {"duration": [3, 4, 5], "speech": [40, 50, 60]}
        >>> list(compare_properties(usual, usual, {}))
        []
        >>> (sentence,) = compare_properties(usual | {"bandwidth": [3900] * 3}, usual, {"telephone": "-20 points"})
        >>> sentence
        'Telephone bandwidth (3.9 kHz); the model was trained on 7.7 kHz bandwidth: expect -20 points.'
    """
    yield from _compare_bandwidth(found["bandwidth"][1], trained["bandwidth"], changes)
    levels = list(_compare_level(found["level"][1], trained["level"], changes))
    yield from levels
    contrast, (low, _, _) = found["contrast"][1], trained["contrast"]
    if contrast < low - LOUDER:
        loud = f"loud parts are {contrast:.0f} dB above quiet parts, in training {low:.0f} dB and more"
        if levels and levels[0].startswith("Quiet"):
            yield f"Little above the noise of the recording or of 16 bits: {loud}. A higher level raises the noise too."
        else:
            yield f"Noise or music: {loud}: expect {changes.get('white_10', UNKNOWN)}."
    yield from _compare_duration(found["duration"][1], trained["duration"], changes)
    speech, (low, _, _) = found["speech"][1], trained["speech"]
    if speech < SHORTER * low:
        share = f"{speech:.0f} % of the audio, in training {low:.0f} % and more"
        yield f"Little speech: {share}. Trim the silence, or expect {changes.get('silence_1s', UNKNOWN)}."


def _compare_bandwidth(found: float, trained: Sequence[float], changes: Changes) -> Iterator[str]:
    low, _, high = trained
    if found < NARROWER * low:
        kind = f"{'Telephone' if found < TELEPHONE else 'Narrow'} bandwidth ({found / 1000:.1f} kHz)"
        expected = changes.get("telephone", UNKNOWN)
        yield f"{kind}; the model was trained on {low / 1000:.1f} kHz bandwidth: expect {expected}."
    elif NARROWER * found > high:
        kind = f"Wide bandwidth ({found / 1000:.1f} kHz)"
        yield f"{kind}; the model was trained on {high / 1000:.1f} kHz bandwidth: expect lower scores."


def _compare_level(found: float, trained: Sequence[float], changes: Changes) -> Iterator[str]:
    low, middle, high = trained
    levels = f"the level of the speech is {found:.0f} dB, in training {low:.0f} to {high:.0f} dB"
    if found < low - LOUDER:
        expected = changes.get("gain_-30", UNKNOWN)
        yield f"Quiet: {levels}. Raise it by about {middle - found:.0f} dB, or expect {expected}."
    elif found > high + LOUDER:
        expected = changes.get("gain_+12", UNKNOWN)
        yield f"Loud: {levels}. Lower it by about {found - middle:.0f} dB, or expect {expected}."


def _compare_duration(found: float, trained: Sequence[float], changes: Changes) -> Iterator[str]:
    low, _, high = trained
    if found < SHORTER * low:
        lengths = f"{found:.1f} s, in training {low:.1f} s and more"
        yield f"Short: {lengths}: expect {changes.get('cut_1s', UNKNOWN)}."
    elif SHORTER * found > high:
        lengths = f"{found:.1f} s, in training {high:.1f} s and less"
        yield f"Long: {lengths}. Cut them into utterances, or use `ser-hf timeline`."


def compare_distances(distances: np.ndarray, trained: Sequence[float], *, explained: bool) -> list[str]:
    """Return a sentence if the embeddings of most recordings are far from the training speech, else nothing.

    Args:
        distances: ``(N,)``, see `measure_distances`.
        trained: 50 %, 95 % and 99 % quantile of validation utterances.
        explained: Whether a property differs as well.
    """
    usual, _, most = trained
    far = distances > most
    if far.mean() < 0.5:
        return []
    count = f"{far.sum()} of {pluralize(len(far), 'recording')}"
    measured = (
        f"Far from the training corpus: the embeddings of {count} are further away than those of 99 % of the "
        f"validation utterances (median {np.median(distances):.2f}, there {usual:.2f})"
    )
    if explained:
        return [f"{measured}: the model reacts to what is different."]
    return [
        f"{measured}, although level, bandwidth, noise and length agree. Another kind of sound, such as music, or "
        "another language, microphone or room: expect scores far below those of the card."
    ]
