"""The choices of `EmotionClassifier.from_pretrained`, apart so that ``--help`` names them without torch."""

from typing import Literal, get_args

BackendName = Literal["auto", "torch", "onnx"]
Dtype = Literal["float32", "bfloat16", "int8", "auto"]
Preprocessing = Literal["pipeline", "windows", "recommended"]

BACKENDS: tuple[str, ...] = get_args(BackendName)
DTYPES: tuple[str, ...] = get_args(Dtype)
PREPROCESSINGS: tuple[str, ...] = get_args(Preprocessing)
