from types import SimpleNamespace

import torch
from architectures import tiny_model

from ser_hf.training.averaging import WeightAverage


def test_the_average_is_held_between_epochs_and_the_trained_weights_within(tmp_path):
    model = tiny_model("wav2vec2-layer")
    average = WeightAverage(0.75)
    args = SimpleNamespace(output_dir=tmp_path)
    state = SimpleNamespace(global_step=0, is_world_process_zero=True)
    control = SimpleNamespace(should_save=False)
    weight = model.classifier.weight
    with torch.no_grad():
        weight.fill_(1.0)
        average.on_train_begin(args, state, control, model)
        for value in (2.0, 4.0):
            weight.fill_(value)
            average.on_step_end(args, state, control, model)
        average.on_epoch_end(args, state, control, model)
        assert weight.unique().item() == 0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 4
        average.on_epoch_begin(args, state, control, model)
        assert weight.unique().item() == 4.0
