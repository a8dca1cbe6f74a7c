import json
from pathlib import Path

from ser_hf.publishing.anonymity import hide_speakers
from ser_hf.runs.results import parse_results, print_results

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ravdess_whisper_tiny_fold_1" / "all_results.json"


def test_no_name_is_left_and_no_score_is_lost():
    results = json.loads(GOLDEN.read_text())
    renamed = {"01": "Ada Lovelace", "11": "Grace Hopper", "20": "Alan Turing", "21": "Kurt Goedel"}
    results["split"]["test"]["speakers"] = list(renamed.values())
    others = ["Emmy Noether", "Sofia Kovalevskaya"]
    for part, name in zip(("train", "validation"), others, strict=True):
        results["split"][part]["speakers"][0] = name
    heard = results["validation"]["per_speaker"]
    results["validation"]["per_speaker"] = {others[1]: heard.pop(next(iter(heard))), **heard}
    results["test"]["per_speaker"] = {renamed[name]: scores for name, scores in results["test"]["per_speaker"].items()}
    text = print_results(hide_speakers(parse_results(json.dumps(results))))
    hidden = json.loads(text)
    assert not [name for name in (*renamed.values(), *others) if name in text]
    scores = list(hidden["test"]["per_speaker"].values())
    assert scores == sorted(results["test"]["per_speaker"].values(), key=lambda scores: -scores["ua"])
    assert list(hidden["test"]["per_speaker"]) == ["speaker 1", "speaker 2", "speaker 3", "speaker 4"]
    assert hidden["test"]["ua"] == results["test"]["ua"]
    assert len(hidden["split"]["train"]["speakers"]) == len(results["split"]["train"]["speakers"])
