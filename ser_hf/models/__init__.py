"""Neural audio classifiers: stock architectures of transformers, adjusted at run time, and the mel model."""

from ser_hf.models.backbone import build_model
from ser_hf.models.configuration_mel import MelConfig
from ser_hf.models.modeling_mel import MelForAudioClassification
from ser_hf.models.padding import make_padding_aware

__all__ = ["MelConfig", "MelForAudioClassification", "build_model", "make_padding_aware"]
