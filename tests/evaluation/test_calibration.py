import matplotlib.image
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from ser_hf.evaluation.calibration import (
    calibration_errors,
    choose_threshold,
    coverage_at,
    coverage_curve,
    fit_temperature,
    reliability,
)
from ser_hf.evaluation.figures import plot_coverage, plot_reliability

# best score and whether it is right, from the surest utterance down: 4 of 10 are wrong
SURE = [(0.95, 1), (0.9, 1), (0.85, 1), (0.8, 0), (0.75, 1), (0.7, 1), (0.65, 0), (0.6, 1), (0.55, 0), (0.5, 0)]


def make_calibrated(utterances=4000, emotions=6, seed=0):
    """Return logits whose scores are true, as the labels are drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (utterances, emotions))
    return logits, np.array([generator.choice(emotions, p=scores) for scores in softmax(logits, axis=1)])


def spell(judged):
    """Return scores of ten emotions, of which the first is the best, and the labels that make them right or wrong."""
    best = np.array([score for score, _ in judged])
    others = np.repeat((1 - best)[:, None] / 9, 9, axis=1)
    return np.column_stack([best, others]), np.array([1 - right for _, right in judged])


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_is_the_factor_by_which_true_logits_were_scaled(factor):
    logits, labels = make_calibrated()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.04)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_temperature_lowers_nll_and_moves_no_prediction(dtype):
    logits, labels = make_calibrated(300)
    logits = (2.5 * logits).astype(dtype)
    temperature = fit_temperature(logits, labels)
    before, after = softmax(logits, axis=1), softmax(logits / temperature, axis=1)
    for name, error in calibration_errors(after, labels).items():
        assert error < calibration_errors(before, labels)[name], name
    assert np.array_equal(before.argmax(1), after.argmax(1))
    for other in (0.9 * temperature, 1.1 * temperature):  # the prior moves it by less than that
        assert log_loss(labels, after) < log_loss(labels, softmax(logits / other, axis=1))


@pytest.mark.parametrize("spread", [0.001, 1.0, 1000.0])
@pytest.mark.parametrize("utterances", [1, 3, 240])
def test_the_temperature_stays_within_reason_where_all_are_right_or_all_are_wrong(utterances, spread):
    logits = spread * np.eye(4)[np.arange(utterances) % 4]
    right, wrong = logits.argmax(1), (logits.argmax(1) + 1) % 4
    for labels in (right, wrong):
        temperature = fit_temperature(logits, labels)
        assert 0.05 <= temperature <= 20
        before, after = (calibration_errors(softmax(logits / t, axis=1), labels)["nll"] for t in (1, temperature))
        assert after <= before + 1e-6
    assert fit_temperature(logits, right) < 1.001 and fit_temperature(logits, wrong) > 0.999


def test_a_few_utterances_that_are_all_right_do_not_make_the_model_sure():
    logits = 2.0 * np.eye(4)
    assert softmax(logits / fit_temperature(logits, np.arange(4)), axis=1).max() < 0.98  # 0.71 as trained


def test_logits_that_tell_nothing_keep_their_temperature():
    assert fit_temperature(np.full((50, 4), 3.0), np.arange(50) % 4) == pytest.approx(1, abs=1e-3)


def test_errors_are_those_computed_by_hand():
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.45, 0.55]])
    errors = calibration_errors(scores, np.array([0, 1, 1, 1]))
    # bins: 0.9 twice, one of them right; 0.55 and 0.6, which closes that bin, both right
    assert errors["ece"] == pytest.approx((2 * abs(0.5 - 0.9) + 2 * abs(1 - 0.575)) / 4)
    assert errors["brier"] == pytest.approx(2 * (0.1**2 + 0.9**2 + 0.4**2 + 0.45**2) / 4)
    assert errors["nll"] == pytest.approx(-np.log([0.9, 0.1, 0.6, 0.55]).mean())


def test_perfect_scores_have_no_error_and_scores_for_the_wrong_emotion_the_greatest():
    labels = np.array([0, 2, 1])
    assert max(calibration_errors(np.eye(3)[labels], labels).values()) < 1e-9
    errors = calibration_errors(np.eye(3)[[1, 0, 2]], labels)
    assert (errors["ece"], errors["brier"]) == (1, 2)
    assert 30 < errors["nll"] < 40  # finite


@pytest.mark.parametrize("scores", [[2.0, 1.0], [np.nan, 0.5]])
def test_logits_are_not_taken_for_scores(scores):
    with pytest.raises(ValueError, match="Expected scores that sum to 1: found .* Are they logits"):
        calibration_errors(np.array([[0.5, 0.5], scores]), np.array([0, 1]))


def test_reliability_has_a_row_per_bin_that_holds_an_utterance():
    scores = np.array([[0.99, 0.01, 0, 0], [0.95, 0.05, 0, 0], [0.4, 0.3, 0.2, 0.1], [0.41, 0.39, 0.2, 0]])
    bins = reliability(scores, np.array([0, 1, 0, 3]))
    assert bins["low"].tolist() == pytest.approx([5 / 15, 6 / 15, 14 / 15])  # 0.4 = 6 / 15 closes its bin
    assert bins["score"].tolist() == pytest.approx([0.4, 0.41, 0.97])
    assert bins["accuracy"].tolist() == [1, 0, 0.5]
    assert bins["count"].tolist() == [1, 1, 2]


def test_the_coverage_curve_says_what_each_threshold_keeps():
    scores, labels = spell(SURE)
    curve = coverage_curve(scores, labels)
    assert curve["threshold"].tolist() == sorted(score for score, _ in SURE)
    assert curve["coverage"].tolist() == pytest.approx(np.arange(10, 0, -1) / 10)
    assert curve["accuracy"][[0, 4, 9]].tolist() == pytest.approx([0.6, 5 / 6, 1])
    for row in curve.itertuples():
        at = coverage_at(scores, labels, row.threshold)
        assert (at["coverage"], at["accuracy"]) == pytest.approx((row.coverage, row.accuracy))


def test_the_threshold_is_the_lowest_that_halves_the_errors():
    scores, labels = spell(SURE)
    threshold = choose_threshold(scores, labels)
    # all: 4 of 10 wrong. From 0.6 up: 2 of 8, too many; from 0.65: 2 of 7; from 0.7: 1 of 6, at most 2 of 10
    assert threshold == pytest.approx((0.65 + 0.7) / 2)
    assert coverage_at(scores, labels, threshold) == {"coverage": 0.6, "accuracy": pytest.approx(5 / 6)}


def test_exactly_half_of_the_errors_is_enough():
    judged = zip(np.linspace(0.9, 0.25, 14), [1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1], strict=True)
    scores, labels = spell([*judged])  # 4 of 14 wrong, of the first seven 1; rounding must not matter
    assert coverage_at(scores, labels, choose_threshold(scores, labels))["coverage"] == 0.5


def test_without_errors_nothing_is_uncertain():
    assert choose_threshold(*spell([(0.9, 1), (0.4, 1)])) == 0.0


def test_scores_that_tell_nothing_make_nothing_uncertain():
    assert choose_threshold(*spell([(0.5, 1), (0.5, 0), (0.5, 1)])) == 0.0


def test_where_no_threshold_halves_the_errors_the_fewest_are_left():
    judged = [(0.9, 0), (0.8, 1), (0.7, 1), (0.6, 0), (0.5, 0)]  # 3 of 5 wrong, at best 1 of 3
    assert choose_threshold(*spell(judged)) == pytest.approx(0.65)
    assert choose_threshold(*spell([(0.9, 0), (0.5, 0)])) == 0.0  # all wrong: no threshold helps


def test_nothing_is_covered_above_the_best_score():
    assert coverage_at(*spell(SURE), 0.96) == {"coverage": 0.0, "accuracy": None}


def test_reliability_is_drawn_with_its_error_and_its_counts(drawn):
    logits, labels = make_calibrated(300)
    before, after = (reliability(softmax(factor * logits, axis=1), labels) for factor in (3, 1))
    plot_reliability(before, after, "unused.png")
    above, below = drawn[0].axes[:2], drawn[0].axes[2:]
    for bins, accuracy, counts, factor in zip((before, after), above, below, (3, 1), strict=True):
        error = calibration_errors(softmax(factor * logits, axis=1), labels)["ece"]
        assert accuracy.get_title(loc="right") == f"calibration error {error:.3f}"
        assert [bar.get_height() for bar in accuracy.patches] == pytest.approx(100 * bins["accuracy"])
        assert [text.get_text() for text in counts.texts] == [str(count) for count in bins["count"]]
        assert sum(bins["count"]) == 300


def test_coverage_is_drawn_with_what_the_threshold_keeps(drawn):
    scores, labels = spell(SURE)
    plot_coverage(coverage_curve(scores, labels), coverage_curve(scores[:2], labels[:2]), 0.93, "unused.png")
    validation, test = drawn[0].axes[0].lines
    assert validation.get_label() == "validation: accuracy 60.0 % on all utterances, 100.0 % on the accepted 10 %"
    assert validation.get_xydata()[validation.get_markevery()].tolist() == [pytest.approx([10, 100])]
    assert test.get_label() == "test: accuracy 100.0 % on all utterances, 100.0 % on the accepted 50 %"
    plot_coverage(coverage_curve(scores, labels), coverage_curve(scores, labels), 0.96, "unused.png")
    assert drawn[1].axes[0].lines[0].get_label().endswith("on all utterances, none accepted")
    assert (validation.get_linestyle(), test.get_linestyle()) == ("--", "-")  # told apart in grey


@pytest.mark.parametrize("utterances", [1, 300])
def test_both_figures_of_any_number_of_utterances_are_pictures(tmp_path, utterances):
    logits, labels = make_calibrated(utterances)
    scores = softmax(logits, axis=1)
    plot_reliability(reliability(scores, labels), reliability(scores, labels), tmp_path / "reliability.png")
    plot_coverage(coverage_curve(scores, labels), coverage_curve(scores, labels), 0.5, tmp_path / "coverage.png")
    for name in ("reliability.png", "coverage.png"):
        pixels = matplotlib.image.imread(tmp_path / name)[..., :3]
        assert 900 < pixels.shape[1] < 1300
        assert 0.01 < np.mean(np.any(pixels < 0.9, axis=-1)) < 0.5
