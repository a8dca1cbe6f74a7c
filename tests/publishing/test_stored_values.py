"""Whatever a JSON or YAML file contains, its reader returns values in range, or raises ValueError (hypothesis)."""

import copy
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from architectures import feature_extractor, tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ser_hf.data.hearing import Hearing, read_hearing
from ser_hf.heads.head_files import _read_description
from ser_hf.models.checkpoint_loading import load_config, load_stored_feature_extractor
from ser_hf.models.checkpoint_schema import check_config, check_values
from ser_hf.publishing.checks import check_labels
from ser_hf.publishing.record_checks import check_card, read_metadata
from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.pretraining_record import PretrainingRecord, read_pretraining
from ser_hf.runs.recipe import corpora_of, read_recipe
from ser_hf.runs.result_records import Results
from ser_hf.runs.results import read_results
from ser_hf.serving.checkpoint_files import is_outdated
from ser_hf.serving.prediction_table import claim_table

GOLDEN = Path(__file__).parents[1] / "golden" / "ravdess_whisper_tiny_fold_1"
PROBE = Path(__file__).parents[1] / "golden" / "ravdess_probe_whisper_tiny"
MODEL = {
    "model": "m",
    "fingerprint": "f",
    "dtype": "float32",
    "backend": "torch",
    "speech": "energy",
    "channels": "mean",
}
EDGES = [0, -1, 1, 2, 0.5, 10**6, 10**9, 10**400, -0.0, 1e308, "", "x", "os.system", True, None, [], {}, [[]], "\n\x1b"]
SCALARS = (
    st.sampled_from(EDGES) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def mutate(draw, content):
    """Replace, remove or add up to three values at any depth of a JSON object."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                break
            place = inner
        else:
            continue
        if draw(st.booleans()) and isinstance(place, dict):
            del place[key]
        else:
            place[key] = draw(VALUES)
    return content


def mutants(content):
    return st.composite(mutate)(content) | VALUES


def write(folder, name, content):
    path = Path(folder, name)
    path.write_text(json.dumps(content) if name.endswith("json") else yaml.safe_dump(content), encoding="utf-8")
    return path


def value_or_error(read, *arguments):
    """Return what the reader returns, or None after the one error that it may raise, which has a message."""
    try:
        return read(*arguments)
    except ValueError as error:
        assert str(error)
        return None


def speech_config():
    return tiny_model("wav2vec2-layer").config.to_dict()


@FEW
@given(mutants(json.loads(json.dumps(speech_config()))))
def test_config_json_that_passes_is_in_range_and_can_be_loaded(content):
    with TemporaryDirectory() as folder:
        write(folder, "config.json", content)
        value_or_error(check_config, folder)
        config = value_or_error(load_config, folder, False)
        check_labels(Path(folder)) if config else None
    if config is not None:
        assert 0 <= config.num_hidden_layers <= 500 and 1 <= config.num_labels <= 5_000
        assert len(config.id2label) <= 5_000


@FEW
@given(mutants(json.loads(feature_extractor("whisper").to_json_string())))
def test_preprocessor_config_json_that_passes_is_in_range(content):
    with TemporaryDirectory() as folder:
        write(folder, "preprocessor_config.json", content)
        extractor = value_or_error(load_stored_feature_extractor, folder, "whisper", False)
    if extractor is not None:
        assert 1 <= (content.get("n_fft") or 400) <= 16_384 and 0.1 <= (content.get("chunk_length") or 30) <= 600
        assert content.get("feature_extractor_type") in (None, "WhisperFeatureExtractor")


@FEW
@given(mutants(Hearing()._asdict()))
def test_preprocessing_that_passes_cuts_a_bounded_number_of_windows(content):
    hearing = value_or_error(read_hearing, content, "config.json")
    if hearing is not None:
        assert len(hearing.list_windows(600.0)) <= 6_000
        assert hearing.trim in ("none", "ends", "pauses")


@FEW
@given(mutants(yaml.safe_load((GOLDEN / "recipe.yaml").read_text())))
def test_recipe_yaml_names_its_corpora_or_is_refused(content):
    with TemporaryDirectory() as folder:
        path = write(folder, "recipe.yaml", content)
        recipe = value_or_error(read_recipe, folder)
        value_or_error(parse_recipe, [str(path), "--data_root=x", "--output_dir=x", "--use_cpu"])
    if recipe is not None:
        assert corpora_of(recipe) and all(isinstance(name, str) for name in corpora_of(recipe))


@FEW
@given(st.text(max_size=40) | st.sampled_from(["a: &a [*a]", "- a", "!!set {a}", "? [1]\n: 2", "\x00", "a: !!int x"]))
def test_any_text_as_recipe_yaml_or_card_is_read_or_refused(text):
    with TemporaryDirectory() as folder:
        Path(folder, "recipe.yaml").write_text(text, encoding="utf-8", errors="replace")
        Path(folder, "README.md").write_text(f"---\n{text}\n---\n", encoding="utf-8", errors="replace")
        value_or_error(read_recipe, folder)
        value_or_error(read_metadata, Path(folder, "README.md"))
        assert not check_card(Path(folder)).passed


@FEW
@given(mutants(json.loads((GOLDEN / "all_results.json").read_text())))
def test_all_results_json_is_a_record_or_is_refused(content):
    with TemporaryDirectory() as folder:
        write(folder, "all_results.json", content)
        results = value_or_error(read_results, folder)
    assert results is None or isinstance(results, Results)


@FEW
@given(mutants(json.loads((PROBE / "head.json").read_text())) if (PROBE / "head.json").exists() else VALUES)
def test_head_json_is_described_or_refused(content):
    with TemporaryDirectory() as folder:
        description = value_or_error(_read_description, write(folder, "head.json", content))
    if description is not None:
        assert math.isfinite(description["temperature"]) and len(description["emotions"]) > 1


@FEW
@given(mutants({"weights": {"model.safetensors": "0a"}}))
def test_export_json_is_compared_or_refused(content):
    with TemporaryDirectory() as folder:
        Path(folder, "onnx").mkdir()
        write(folder, "onnx/export.json", content)
        assert value_or_error(is_outdated, folder) in (False, None)


@FEW
@given(mutants(MODEL))
def test_the_description_of_a_table_is_compared_or_refused(content):
    with TemporaryDirectory() as folder:
        write(folder, "t.csv.model.json", content)
        Path(folder, "t.csv").touch()
        try:
            claim_table(Path(folder, "t.csv"), MODEL)
        except (ValueError, FileExistsError) as error:
            assert "t.csv" in str(error)


@FEW
@given(mutants({"training": {}, "curve": [], "codes_per_group": 3, "speakers": [], "utterances": {}, "hours": 1.0}))
def test_pretraining_json_is_a_record_or_is_refused(content):
    with TemporaryDirectory() as folder:
        write(folder, "pretraining.json", content)
        assert isinstance(value_or_error(read_pretraining, folder), PretrainingRecord | None)


def test_numbers_at_the_limits_pass_and_those_beyond_are_named():
    check_values({"num_hidden_layers": 500, "sampling_rate": 768_000, "n_fft": 1}, "config.json")
    for values in ({"num_hidden_layers": 501}, {"sampling_rate": 999}, {"n_fft": 0}, {"inner": [{"hidden_size": -1}]}):
        with pytest.raises(ValueError, match="config.json: .*: expected .* to .*, found "):
            check_values(values, "config.json")
