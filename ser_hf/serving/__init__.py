"""Predict emotions of audio files, arrays and streams with a checkpoint."""

from ser_hf.serving.classifier import EmotionClassifier, Prediction

__all__ = ["EmotionClassifier", "Prediction"]
