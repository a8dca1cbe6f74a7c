import pytest

from ser_hf.runs.command_line import parse_recipe
from ser_hf.runs.task_options import complete_arguments


def complete(*argv):
    """Return the training arguments of a recipe with the defaults of its task."""
    data, *others = parse_recipe([
        "--corpus", "synthetic", "--model_type", "mel", "--output_dir", "x", "--use_cpu", "true", *argv
    ])  # fmt: skip
    return complete_arguments(data, others)[1]


@pytest.mark.parametrize(
    ("argv", "weights"),
    [
        ((), "balanced"),
        (("--sampling", "balanced"), "none"),
        (("--logit_adjustment", "1"), "none"),
        (("--sampling", "undersample", "--class_weights", "effective"), "effective"),
        (("--task", "dimensions", "--sampling", "undersample"), "none"),
    ],
)
def test_emotions_are_not_balanced_twice_by_default(argv, weights):
    assert complete(*argv).class_weights == weights


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("--task", "dimensions", "--loss", "focal"), "loss"),
        (("--task", "dimensions", "--class_weights", "effective"), "class_weights"),
        (("--task", "votes", "--logit_adjustment", "1"), "logit_adjustment"),
        (("--task", "votes", "--sampling", "balanced"), "sampling"),
    ],
)
def test_a_way_of_balancing_that_a_task_lacks_is_an_error(argv, name):
    with pytest.raises(ValueError, match=f"{name}: the task '{argv[1]}' has no such option"):
        complete(*argv)


@pytest.mark.parametrize("metric", ["macro_f1", "eval_macro_f1"])
def test_the_metric_of_the_best_epoch_is_stored_without_the_prefix_that_transformers_accepts(metric):
    assert complete("--metric_for_best_model", metric).metric_for_best_model == "macro_f1"
