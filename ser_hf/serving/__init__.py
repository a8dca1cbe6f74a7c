"""Checkpoints -> answers about anybody's audio."""

from ser_hf.serving.classifier import EmotionClassifier, Prediction

__all__ = ["EmotionClassifier", "Prediction"]
