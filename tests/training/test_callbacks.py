from types import SimpleNamespace

import pytest

from ser_hf.training.callbacks import DivergenceCallback


@pytest.mark.parametrize("log", [{"loss": float("nan")}, {"eval_loss": float("inf"), "eval_ua": 0.25}])
def test_a_training_that_diverges_stops_and_names_the_learning_rate(log):
    arguments, state = SimpleNamespace(learning_rate=5.0), SimpleNamespace(epoch=2.0)
    with pytest.raises(ValueError, match=r"diverged: .* in epoch 2\. Lower --learning_rate \(now 5\)"):
        DivergenceCallback().on_log(arguments, state, None, logs=log)


def test_a_norm_of_gradients_that_overflows_does_not_stop_a_training():
    DivergenceCallback().on_log(None, None, None, logs={"loss": 2.0, "grad_norm": float("inf")})
