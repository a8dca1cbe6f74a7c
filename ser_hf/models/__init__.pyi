from .backbone import build_model as build_model
from .configuration_mel import MelConfig as MelConfig
from .modeling_mel import MelForAudioClassification as MelForAudioClassification
from .padding import make_padding_aware as make_padding_aware
