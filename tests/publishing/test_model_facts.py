"""What the page says about a model: from stored results and the card only, and nothing that a card could load."""

import json

import pytest

from ser_hf.publishing.model_facts import describe_model, read_card

RESULTS = {
    "outputs": ["angry", "happy", "sad"],
    "test": {
        "utterances": 200, "speakers": 4, "wa": 0.7, "ua": 0.65, "macro_f1": 0.64,
        "intervals": {"ua": [0.6, 0.7], "wa": [0.66, 0.74], "macro_f1": [0.6, 0.7]}, "interval_unit": "speaker",
        "warning": None,
        "per_emotion": {
            "angry": {"precision": 0.7, "recall": 0.9, "f1": 0.7, "support": 100},
            "happy": {"precision": 0.7, "recall": 0.6, "f1": 0.7, "support": 100},
            "sad": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
        },
        "confusion": {}, "per_speaker": {}, "per_gender": None,
    },
    "schema": 3,
    "split": {
        "name": "by speaker", "speaker_independent": True,
        "test": {"speakers": ["a"], "utterances": 200, "emotions": {"angry": 100}},
    },
    "training": {"hardware": "CPU", "date": "2026-01-01"},
    "calibration": {
        "temperature": 1.2, "fitted_on": "validation", "before": {}, "after": {},
        "threshold": {"score": 0.6, "rule": "", "test": {"coverage": 0.5, "accuracy": 0.9}},
    },
}  # fmt: skip
CARD = """---
license: mit
---
# Mine
![tracker](https://evil.example/pixel.png) <img src="https://evil.example/x.png">

## Intended use

Research
only.

## Limits

None known.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "all_results.json").write_text(json.dumps(RESULTS))
    (tmp_path / "recipe.yaml").write_text("corpus: ravdess\n")
    (tmp_path / "README.md").write_text(CARD)
    return tmp_path


def test_facts_are_score_corpus_weakest_emotions_what_uncertain_means_and_use(folder):
    assert describe_model(str(folder)).splitlines() == [
        "- **Test score:** 65.0 % unweighted average recall (95 % interval 60.0 to 70.0 %), on 200 utterances of 4 "
        "speakers who were not in the training data.",
        "- **Trained on:** RAVDESS (24 professional actors, North American English, acted).",
        "- **Weakest emotions:** happy 60 % (share of their test utterances that were recognised).",
        '- **"Uncertain" means:** do not rely on this answer; of 10 such answers in the test, about 5 were wrong, and '
        "of 10 other answers about 1.",
        "- **Intended use:** Research only.",
    ]


def test_a_model_that_recognises_all_emotions_equally_well_has_no_weakest_ones(folder):
    test = json.loads(json.dumps(RESULTS["test"]))
    test["ua"] = test["per_emotion"]["angry"]["recall"] = test["per_emotion"]["happy"]["recall"] = 1.0
    (folder / "all_results.json").write_text(json.dumps(RESULTS | {"test": test}))
    assert "100.0 % unweighted average recall" in describe_model(str(folder))
    assert "Weakest" not in describe_model(str(folder))


@pytest.mark.parametrize("content", ["{}", '{"train_loss": 0.5}', "[", "null"])
def test_results_of_other_programs_are_unknown_scores(folder, content):
    (folder / "all_results.json").write_text(content)
    assert describe_model(str(folder)).startswith("- **Test score:** unknown")


def test_a_damaged_recipe_names_no_corpus(folder):
    (folder / "recipe.yaml").write_text("corpus: [")
    assert "Trained on" not in describe_model(str(folder))


def test_a_card_on_the_page_has_no_metadata_pictures_or_html(folder):
    text = read_card(str(folder))
    assert text.startswith("# Mine") and "None known." in text
    assert "license" not in text and "![" not in text and "<img" not in text
    assert read_card(str(folder / "figures")) == ""
