"""The card says what the results hold, all of what a reader must know, and nothing else."""

import copy
import json
import re

import pytest
from huggingface_hub import ModelCard
from publishing.rendered_cards import (
    FINE_TUNED,
    GOLDEN,
    METRICS,
    POOLED,
    render_card,
    render_folds_card,
    stored,
    text_of,
)

from ser_hf.publishing import card as cards
from ser_hf.runs.results import parse_results

HUB = {"ua": "recall", "wa": "accuracy", "macro_f1": "f1"}  # names of the Hub's metrics
CALIBRATION = {
    "temperature": 1.618,
    "fitted_on": "validation",
    "before": {
        "validation": {"ece": 0.181, "brier": 0.5, "nll": 1.25}, "test": {"ece": 0.172, "brier": 0.6, "nll": 1.5},
    },
    "after": {
        "validation": {"ece": 0.051, "brier": 0.4, "nll": 0.75}, "test": {"ece": 0.067, "brier": 0.45, "nll": 0.875},
    },
    "threshold": {
        "score": 0.4375, "rule": "the lowest score at which those that stay err at most half as often as all",
        "validation": {"coverage": 0.71, "accuracy": 0.88}, "test": {"coverage": 0.69, "accuracy": None},
    },
}  # fmt: skip
AGREEMENT = {
    "test": 240, "compared": 200, "agree": 199, "largest_difference": 3.1e-4, "tolerance": 1e-4, "error": None,
    "files": {},
}  # fmt: skip


def percent(share):
    return f"{100 * share:.1f}"


@pytest.mark.parametrize("folder", FINE_TUNED, ids=lambda path: path.name)
def test_the_head_reads_back_with_the_stored_scores(folder, tmp_path):
    render_card(folder, stored(folder), repo_id="someone/model").save(tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    test = stored(folder)["test"]
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        HUB[name]: test[name] for name in METRICS
    }
    intervals = {result.metric_type: result.metric_args["interval_95"] for result in data.eval_results}
    assert intervals == {HUB[name]: test["intervals"][name] for name in METRICS}
    assert data.metrics == ["recall", "accuracy", "f1"]
    assert all(result.dataset_args["split"].startswith("emobox, fold 1") for result in data.eval_results)
    assert (data.license, data.language, data.datasets) == ("cc-by-nc-sa-4.0", ["en"], ["ravdess"])
    assert (data.pipeline_tag, data.library_name, data.model_name) == ("audio-classification", "transformers", "model")


def test_the_first_screen_has_claim_use_and_scores_in_this_order(finished, results):
    ua, (low, high) = percent(results["test"]["ua"]), map(percent, results["test"]["intervals"]["ua"])
    body = str(render_card(*finished(), repo_id="someone/model")).split("---\n", 2)[2]
    places = [
        body.index(text)
        for text in (f"**{ua} %**", "## Use", 'model="someone/model")', "## Scores", f"{ua} [{low}, {high}]")
    ]
    assert places == sorted(places)
    assert body[: places[-1]].count("\n") < 30


def test_the_card_has_every_section_and_no_placeholder(finished):
    card = str(render_card(*finished(changed={"calibration": CALIBRATION})))
    sections = "Use Scores Calibration Data Training Licence|Intended use|Out of scope|Limits|Not evaluated".replace(
        " ", "|", 5
    )
    assert re.findall("(?m)^## (.*)$", card) == sections.split("|")
    assert not re.search(
        r"None|nan|[Tt]odo|TODO|More information|undefined|\{|\}", card.split("---\n", 2)[2].replace("top_k=None", "")
    )
    assert "\n\n\n" not in card and card.endswith("\n")


def test_the_card_says_what_happened_to_the_audio(finished):
    audio = {"hours": 1.5, "skipped": 3, "too_short": 4, "windowed": 2, "padded": 1, "dropped_emotions": {"calm": 7}}
    audit = {"shared_speaker": 0, "identical_audio": 3, "overlapping_audio": 1}
    text = text_of(render_card(*finished(changed={"audio": audio, "audit": audit})))
    for statement in (
        "On 4 speakers not in the training data",
        "95 % interval from 4 speakers only",
        "The model uses the first 6 seconds of an utterance; the pipeline truncates longer utterances.",
        "left out as unreadable: 3, as too short: 4; split into overlapping windows in "
        "training: 2; padded to 0.25 s in training: 1",
        "Found in two parts of the split: no speakers, 3 identical recordings, 1 overlapping passages.",
        "Dropped emotions (utterances): calm (7)",
        "| neutral | 64 | 16 | 16 |",
        "The encoder was not trained: a ridge regression on the activations of its layers",
    ):
        assert statement in text
    assert "Speaker-dependent" not in text
    assert "say nothing about people" not in text


def test_what_the_audit_did_not_look_for_is_not_called_absent(finished, results):
    assert "overlapping_audio" not in results["audit"]
    assert "Overlapping passages were not checked." in text_of(render_card(*finished()))


def test_the_hashes_of_the_recordings_are_shown_if_they_are_stored(finished, results):
    assert "SHA-256 of the recordings" not in text_of(render_card(*finished()))
    for part in ("train", "validation", "test"):
        results["split"][part]["recordings"] = f"hash of {part}"
    text = text_of(render_card(*finished()))
    assert "train `hash of train`, validation `hash of validation`, test `hash of test`" in text
    assert "`ser-hf data audit --recipe recipe.yaml --data_root FOLDER` prints those of your copy" in text


def test_speakers_are_ranked_and_never_named(finished, results):
    secret = {f"Zoe{speaker}": row for speaker, row in results["test"]["per_speaker"].items()}
    results["test"] |= {"per_speaker": secret}
    for part in ("train", "validation", "test"):
        results["split"][part]["speakers"] = [f"Zoe{speaker}" for speaker in results["split"][part]["speakers"]]
    card = str(render_card(*finished()))
    assert "Zoe" not in card
    ranked = sorted((row["ua"] for row in secret.values()), reverse=True)
    rows = [line for line in card.splitlines() if line.startswith("| speaker ")]
    assert [row.split(" | ")[2] for row in rows] == list(map(percent, ranked))


def test_of_many_speakers_five_are_shown(finished, results):
    many = {str(i): {"ua": i / 100, "wa": 0.5, "utterances": 9, "gender": None} for i in range(41)}
    results["test"] |= {"per_speaker": many, "speakers": 41}
    rows = [line for line in str(render_card(*finished())).splitlines() if line.startswith("| speaker ")]
    assert [row.split(" | ")[0].removeprefix("| speaker ") for row in rows] == ["1", "11", "21", "31", "41"]
    assert [row.split(" | ")[2] for row in rows] == ["40.0", "30.0", "20.0", "10.0", "0.0"]


def test_the_folds_card_counts_speakers_and_names_none():
    results = stored(POOLED[0])
    results["folds"] = [fold | {"speakers": ["Zoe", "Ann"]} for fold in results["folds"]]
    card = render_folds_card(results, GOLDEN / "ravdess_whisper_tiny_fold_1")
    assert "Zoe" not in card and "| 1 | 2 | " in card


def test_scores_by_gender_are_shown_where_stored_and_missed_where_not(finished, results):
    assert "- Gender: the results contain no scores by gender." in text_of(render_card(*finished()))
    results["test"] |= {"per_gender": {"female": {"speakers": 1, "utterances": 60, "ua": 0.765625, "wa": 0.75}}}
    text = text_of(render_card(*finished()))
    assert "| female | 1 | 60 | 76.6 | 75.0 |" in text and "- Gender:" not in text
    results["test"] |= {"per_gender": {}}
    assert "- Gender: unknown in the corpus." in text_of(render_card(*finished()))


def test_calibration_is_shown_before_and_after_with_the_threshold(finished):
    text = text_of(render_card(*finished(changed={"calibration": CALIBRATION})))
    assert "A temperature of 1.618, fitted on the validation split" in text
    assert "| test | 0.172 → 0.067 | 0.600 → 0.450 | 1.500 → 0.875 |" in text
    assert "below **0.438**" in text and "err at most half as often" in text
    assert "| validation | 71.0 % | 88.0 % |" in text and "| test | 69.0 % | – |" in text
    assert "Not calibrated" not in text and "hold no figures" not in text


def test_an_uncalibrated_run_says_so_twice(finished):
    text = text_of(render_card(*finished()))
    assert "Not calibrated: this run fitted no temperature." in text
    assert "- Calibration and uncertain predictions: the results contain no figures on them." in text


def test_a_leaking_split_shouts_before_the_claim(finished, results):
    card = str(render_card(*finished(changed={"split": results["split"] | {"speaker_independent": False}})))
    assert card.index("> **Speaker-dependent scores.**") < card.index(f"**{percent(results['test']['ua'])} %**")
    assert "speakers not in the training data" not in card and "No speaker is in two of its parts" not in card
    assert "- New speakers: the split is not speaker-independent." in card
    assert ModelCard(card).data.eval_results[0].dataset_args["speaker_independent"] is False


def test_a_digest_of_the_split_is_shown_where_stored(finished, results):
    assert "This run stored no digest of the split." in text_of(render_card(*finished()))
    results["split"] |= {"digest": "0f3a" * 16}
    assert f"`{'0f3a' * 16}`" in text_of(render_card(*finished()))


def test_only_figures_that_are_there_are_shown(finished):
    folder, results = finished()
    assert "figures/" not in str(render_card(folder, results))
    (folder / "figures").mkdir()
    for name in ("confusion", "reliability", "from_elsewhere"):
        (folder / "figures" / f"{name}.png").touch()
    shown = re.findall(r"!\[(.+)\]\(figures/(\w+)\.png\)", str(render_card(folder, results)))
    assert [name for _, name in shown] == ["confusion", "reliability"]


@pytest.mark.parametrize(
    ("agreement", "said"),
    [
        (None, "**Not the scores of the stock pipeline.** These results are from an older version of ser_hf"),
        (AGREEMENT | {"error": "OSError: no such file"}, "**Not confirmed.** The stock pipeline failed on the test "
         "files: OSError: no such file"),
        (AGREEMENT, "gave the stored scores to 199 of 200 test utterances (drawn from 240); the largest difference of "
         "a score was 0.0003100 (0.0001 is allowed)."),
        (AGREEMENT | {"test": 200}, "gave the stored scores to 199 of 200 test utterances; the largest"),
    ],
    ids=["unknown", "failed", "drawn", "all"],
)  # fmt: skip
def test_the_card_says_whether_the_scores_are_those_of_the_stock_pipeline(finished, agreement, said):
    text = text_of(render_card(*finished(changed={"agreement": agreement})))
    claims = ("Not the scores of the stock pipeline", "Not confirmed", "These are the scores of the stock `pipeline`")
    assert said in text
    assert [claim in text for claim in claims].count(True) == 1


def test_the_card_tells_how_many_test_utterances_the_pipeline_cuts(finished):
    context = {"seconds": 6.0, "longer": {"validation": 3, "test": 12}}
    text = text_of(render_card(*finished(changed={"context": context})))
    assert "Truncated in the test: 12 of 240 utterances (5.0 %)." in text
    none = {"seconds": 6.0, "longer": {"validation": 3, "test": 0}}
    assert "Truncated in the test" not in str(render_card(*finished(changed={"context": none})))


def test_the_scores_with_recommended_preprocessing_stand_beside_the_pipelines_with_their_difference(finished, results):
    difference = {name: {"difference": 0.021, "interval": [-0.004, 0.0472]} for name in METRICS}
    preprocessing = {"trim": "ends", "max_duration": 6.0, "window_overlap": 0.5}
    better = results["test"] | {"ua": 0.987, "intervals": results["test"]["intervals"] | {"ua": [0.91, 0.999]}}
    recommended = {"preprocessing": preprocessing, "test": better, "difference": difference}
    card = str(render_card(*finished(changed={"recommended": recommended}), repo_id="someone/model"))
    for statement in (
        "| test, by ser_hf with recommended preprocessing | 4 | 240 | 98.7 [91.0, 99.9] |",
        '`EmotionClassifier.from_pretrained("someone/model", preprocessing="recommended")` of ser_hf changes the audio '
        "first (trim: ends; windows of 6 s for longer audio).",
        "differs by +2.1 points, paired 95 % interval -0.4 to +4.7.",
    ):
        assert statement in text_of(card)
    assert ModelCard(card).data.eval_results[0].metric_value == results["test"]["ua"]
    assert "recommended" not in str(render_card(*finished()))


def test_an_emotion_without_test_utterances_is_not_tested(finished, results):
    rows = results["test"]["per_emotion"]
    rows["calm"] = {"recall": 0.0, "precision": 0.0, "f1": 0.0, "support": 0}
    text = text_of(render_card(*finished(changed={"test": results["test"]})))
    assert "| calm | - | - | - | not tested |" in text
    assert "| neutral | 64" in text
    assert "UA is the mean of the recalls below (without the emotions that were not tested), WA" in text
    assert "UA and macro-F1 are means over the other emotions" in text


def test_all_emotions_are_tested_as_a_rule(finished):
    text = text_of(render_card(*finished()))
    assert "not tested" not in text and "UA is the mean of the recalls below, WA" in text


def test_untested_emotions_are_on_the_card_of_folds_too():
    results = stored(GOLDEN / "ravdess_probe_classical")
    results["test"]["per_emotion"]["calm"]["support"] = 0
    card = cards.render_folds_card(parse_results(json.dumps(results)), GOLDEN / "ravdess_mel_crnn_fold_1")
    assert "| calm | - | - | - | not tested |" in card and "means over the other emotions" in card


@pytest.mark.parametrize(("errors", "said"), [({"ece": 0.2}, "ECE 0.172 to 0.200."), ({"ece": 0.1724}, None)])
def test_a_temperature_that_made_scores_worse_is_not_called_a_calibration(finished, errors, said):
    calibration = copy.deepcopy(CALIBRATION)
    calibration["after"]["test"] |= errors
    text = text_of(render_card(*finished(changed={"calibration": calibration})))
    assert ("The scores are not calibrated for the test speakers" in text) == bool(said)
    assert ("the scores of `pipeline` are calibrated" in text) == (said is None)
    assert (said or "") in text


def test_one_speaker_is_one_speaker(finished, results):
    test = results["test"] | {"speakers": 1, "utterances": 1}
    text = text_of(render_card(*finished(changed={"test": test})))
    assert "On 1 speaker not in the training data (1 utterance of ravdess), it reaches" in text
