"""What the card says about licences, limits, and how the model is run."""

import pytest
from huggingface_hub import ModelCard
from publishing.rendered_cards import METRICS, render_card, render_probe_card, text_of

from ser_hf.publishing.card import licence_of


@pytest.mark.parametrize(
    ("corpus", "licence"),
    [
        ("ravdess", "cc-by-nc-sa-4.0"), (["ravdess", "cafe"], "cc-by-nc-sa-4.0"), (["ravdess", "crema_d"], "other"),
        ("iemocap", "other"), ("synthetic", "apache-2.0"), ("emodb", None), (["ravdess", "folder"], None),
    ],
)  # fmt: skip
def test_the_licence_of_a_recipe_is_unknown_as_soon_as_one_corpus_has_none(corpus, licence):
    assert licence_of({"corpus": corpus}) == licence


def test_an_unknown_licence_is_told_and_not_made_up(finished):
    card = render_card(*finished({"corpus": "emodb"}))
    assert "license" not in card.data.to_dict()
    assert "Its licence: none is stated; its paper makes the corpus public." in str(card)
    assert "ser_hf refuses to push them publicly" in str(card)
    assert "are 21 to 35 years old" in str(card)


def test_terms_of_the_owners_own_are_named_and_linked(finished):
    data = render_card(*finished({"corpus": "iemocap"})).data.to_dict()
    assert (data["license"], data["license_name"], data["license_link"]) == (
        "other",
        "iemocap-terms",
        "https://sail.usc.edu/iemocap/",
    )
    data = render_card(*finished({"corpus": ["ravdess", "crema_d"]})).data.to_dict()
    assert (data["license"], data["license_name"]) == ("other", "ravdess-terms-and-crema-d-terms")
    assert "license_link" not in data


@pytest.mark.parametrize(
    ("corpus", "said", "unsaid"),
    [("ravdess", "**Acted speech.**", "**Natural speech.**"), ("urdu", "**Natural speech.**", "**Acted speech.**"),
     ("iemocap", "**Played speech.**", "**Acted speech.**"), ("folder", "**Kind of speech.**", "**Acted speech.**")],
)  # fmt: skip
def test_the_limits_are_those_of_the_corpus(finished, corpus, said, unsaid):
    card = str(render_card(*finished({"corpus": corpus})))
    assert said in card and unsaid not in card
    assert "Article 5(1)(f)" in card


def test_a_synthetic_corpus_means_nothing_about_people(finished):
    card = str(render_card(*finished({"corpus": "synthetic"})))
    assert "say nothing about people" in card and "not trained on human speech" in card


@pytest.mark.parametrize("trim", ["ends", "pauses"])
def test_a_probe_says_that_it_runs_with_ser_hf_which_trims_as_in_training(finished, trim):
    folder, results = finished({"speaker_normalization": False, "trim": trim})
    row = {"features": "classical", "head": "svm_linear", "parameters": {"C": 0.1}, "inner_score": 0.5, "seconds": 4.0}
    scores = {"scores": {name: results["test"][name] for name in METRICS}, "intervals": results["test"]["intervals"]}
    text = text_of(render_probe_card(folder, results | {"candidates": [row | {"chosen": True} | scores]}))
    assert "**Runs with ser_hf only**; the stock `pipeline` cannot run it." in text
    assert f"prepares the audio as in training (trim: {trim})." in text


@pytest.mark.parametrize(
    ("config", "said"), [({"model_type": "wav2vec2", "feat_extract_norm": "group"}, True), ({}, False)]
)
def test_architectures_that_hear_padding_say_so(finished, config, said):
    assert ("Score utterances one at a time" in str(render_card(*finished(config=config)))) is said


def test_a_local_encoder_is_no_hub_model(finished):
    assert render_card(*finished({"model_name_or_path": "../models/encoder"})).data.base_model is None
    assert (
        render_card(*finished({"model_name_or_path": "openai/whisper-tiny.en"})).data.base_model
        == "openai/whisper-tiny.en"
    )


def test_remote_code_is_asked_for_where_the_model_brings_some(finished):
    config = {"model_type": "mel", "auto_map": {"AutoConfig": "configuration_mel.MelConfig"}}
    assert "trust_remote_code=True" in str(render_card(*finished(config=config)))


def test_a_probe_has_the_same_head_and_limits(finished):
    row = {
        "features": "classical",
        "head": "svm_linear",
        "parameters": {"C": 0.1},
        "inner_score": 0.5,
        "seconds": 4.0,
        "chosen": True,
    }
    folder, results = finished({"speaker_normalization": True})
    scores = {"scores": {name: results["test"][name] for name in METRICS}, "intervals": results["test"]["intervals"]}
    card = render_probe_card(folder, results | {"candidates": [row | scores]})
    assert ModelCard(card).data.eval_results[0].metric_value == results["test"]["ua"]
    assert ModelCard(card).data.library_name == "ser_hf"
    for statement in (
        "**svm_linear** on **classical**",
        "**Normalised by speaker.**",
        "CC BY-NC-SA 4.0",
        "Article 5(1)(f)",
        "| C 0.1 |",
    ):
        assert statement in card
