import dataclasses
from pathlib import Path

import optuna
import pytest
from filelock import FileLock

from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.recipe import resolve_recipe
from ser_hf.training.search import apply_settings, fail_abandoned, open_study, search_space, suggest, tabulate_trials

CONFIGS = Path(__file__).resolve().parents[2] / "recipes" / "configs" / "ravdess"


@pytest.fixture(params=["whisper_tiny", "mel_crnn"])
def recipe(request):
    return parse_recipe([str(CONFIGS / f"{request.param}.yaml"), "--data_root", "somewhere", "--use_cpu", "true"])


def test_the_first_trial_is_the_recipe_itself(recipe, tmp_path):
    space = search_space(recipe, [])
    trial = open_study(tmp_path / "sweep", recipe, space).ask()
    same = resolve_recipe(*apply_settings(recipe, suggest(trial, space)))
    rates = {"head_learning_rate": recipe[2].head_learning_rate or recipe[2].learning_rate}
    assert same == resolve_recipe(*recipe) | rates


def test_every_draw_is_a_recipe_and_the_choices_are_all_drawn(recipe):
    space = search_space(recipe, [])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask(), space) for _ in range(60)]
    for settings in drawn:
        resolved = resolve_recipe(*apply_settings(recipe, settings))
        assert {name: resolved.get(name, settings[name]) for name in settings} == settings
        assert 0.1 <= settings["learning_rate"] / recipe[2].learning_rate <= 10
        assert settings["per_device_train_batch_size"] <= recipe[2].per_device_train_batch_size
    for name, around in space.items():
        if isinstance(around, list):
            assert {settings[name] for settings in drawn} == set(around), name


def test_only_what_is_named_is_searched_and_random_weights_are_not_probed(recipe):
    assert list(search_space(recipe, ["pitch", "optim"])) == ["pitch", "optim"]
    pretrained = recipe[1].model_name_or_path is not None
    assert ("head_init" in search_space(recipe, [])) is pretrained
    with pytest.raises(ValueError, match="expected some of .* found .'fold'"):
        search_space(recipe, ["fold", "pitch"])


def test_a_trial_is_failed_once_its_process_is_gone_and_not_before(recipe, tmp_path):
    study = open_study(tmp_path / "sweep", recipe, search_space(recipe, ["pitch"]))
    study.ask().set_user_attr("lock", "process_living.lock")
    study.ask().set_user_attr("lock", "process_killed.lock")
    study.ask()  # killed before it could say its name
    with FileLock(tmp_path / "sweep" / "process_living.lock"):
        (tmp_path / "sweep" / "process_killed.lock").touch()
        fail_abandoned(study, tmp_path / "sweep")
        assert [path.name for path in tmp_path.glob("sweep/process_*")] == ["process_living.lock"]
        assert [trial.state.name for trial in study.get_trials()] == ["RUNNING", "FAIL", "FAIL"]
    fail_abandoned(study, tmp_path / "sweep")
    assert {trial.state.name for trial in study.get_trials()} == {"FAIL"}


def test_the_recipe_itself_is_tried_again_where_its_trial_was_killed(recipe, tmp_path):
    space = search_space(recipe, ["pitch", "learning_rate"])
    own = suggest(open_study(tmp_path / "sweep", recipe, space).ask(), space)
    again = open_study(tmp_path / "sweep", recipe, space)
    assert suggest(again.ask(), space) == own
    assert len(again.get_trials()) == 2


def test_the_table_has_a_row_per_finished_trial(recipe, tmp_path):
    space = search_space(recipe, ["learning_rate"])
    study = open_study(tmp_path / "sweep", recipe, space)
    for _ in range(2):
        trial = study.ask()
        trial.set_user_attr("settings", suggest(trial, space))
        study.tell(trial, 0.5)
    study.ask()
    table = tabulate_trials(study)
    assert table.columns.tolist() == ["trial", "ua", "seconds", "recipe", "learning_rate"]
    assert table["recipe"].tolist() == [True, False]


def test_a_search_is_bound_to_its_recipe(recipe, tmp_path):
    space = search_space(recipe, ["pitch"])
    open_study(tmp_path / "sweep", recipe, space)
    data, model_args, training = recipe
    other = data, model_args, dataclasses.replace(training, label_smoothing_factor=0.1)
    with pytest.raises(FileExistsError, match="label_smoothing_factor: 0.0 there, 0.1 here"):
        open_study(tmp_path / "sweep", other, space)
    open_study(tmp_path / "sweep", recipe, space)
