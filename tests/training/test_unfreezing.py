from types import SimpleNamespace

import pytest
from architectures import tiny_model

from ser_hf.models.backbone import freeze_parameters
from ser_hf.training.unfreezing import GradualUnfreezing


def trained_parts(model):
    """Return head, "outside" and the numbers of the layers with trained parameters."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    layers = {name.split("layers.")[1][0] for name in names if ".encoder.layers." in name}
    heads = {"head" for name in names if name.startswith(("classifier.", "projector."))}
    outside = {"outside" for name in names if "feature_projection" in name}
    return layers | heads | outside


@pytest.mark.parametrize(
    ("epoch", "trained"),
    [
        (0.0, {"head"}),
        (1.0, {"head", "1"}),
        (2.25, {"head", "1", "0"}),
        (3.0, {"head", "1", "0", "outside"}),
        (9.0, {"head", "1", "0", "outside"}),
    ],
)
def test_each_epoch_trains_one_layer_more_from_the_top(epoch, trained):
    model = tiny_model("wav2vec2-layer")
    callback = GradualUnfreezing(model)
    callback.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None, model=model)
    assert trained_parts(model) == trained
    callback.on_train_end(None, None, None, model=model)
    assert trained_parts(model) == {"head", "1", "0", "outside"}


def test_frozen_layers_stay_frozen_and_without_layers_it_is_an_error():
    model = tiny_model("wav2vec2-layer")
    freeze_parameters(model, "1")
    callback = GradualUnfreezing(model)
    callback.on_epoch_begin(None, SimpleNamespace(epoch=9.0), None, model=model)
    assert trained_parts(model) == {"head", "1"}
    freeze_parameters(model, "encoder")
    with pytest.raises(ValueError, match="gradual_unfreezing: expected trained transformer layers, found none"):
        GradualUnfreezing(model)
