"""The scores of a run as text for a terminal."""

from ser_hf.evaluation.predictions import Scores
from ser_hf.runs.result_records import Results
from ser_hf.runs.score_table import describe_results


def scores(ua, recalls, *, speakers=2, warning=None):
    return Scores(
        utterances=20, speakers=speakers, wa=0.5, ua=ua, macro_f1=0.4,
        intervals={"wa": [0.3, 0.7], "ua": [0.25, 0.75], "macro_f1": [0.2, 0.6]}, interval_unit="speaker",
        warning=warning, per_emotion={name: {"recall": recall} for name, recall in recalls.items()}, confusion=[],
        per_speaker={},
    )  # fmt: skip


def test_the_table_has_both_parts_and_the_weakest_emotion_first():
    validation = scores(0.6, {"angry": 0.8, "sad": 0.4}, speakers=1)
    test = scores(0.5, {"angry": 0.75, "sad": 0.25}, warning="Only two speakers.")
    assert describe_results(Results(["angry", "sad"], test=test, validation=validation)).splitlines() == [
        "                validation            test",
        "UA              0.600 [0.250, 0.750]  0.500 [0.250, 0.750]",
        "WA              0.500 [0.300, 0.700]  0.500 [0.300, 0.700]",
        "macro-F1        0.400 [0.200, 0.600]  0.400 [0.200, 0.600]",
        "UA of guessing  0.500                 0.500",
        "recall, sad     0.400                 0.250",
        "recall, angry   0.800                 0.750",
        "utterances      20                    20",
        "speakers        1                     2",
        "Only two speakers.",
    ]


def test_without_speakers_and_with_many_emotions_the_twelve_weakest_are_listed():
    test = scores(0.5, {f"emotion {number}": number / 20 for number in range(20)}, speakers=0)
    lines = describe_results(Results([], test=test)).splitlines()
    assert lines[-1].split() == ["speakers", "unknown"]
    assert [line.split()[2] for line in lines if line.startswith("recall")] == [str(number) for number in range(12)]
