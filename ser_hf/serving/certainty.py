"""Say what the scores of a model are worth."""

from ser_hf.serving.classifier import EmotionClassifier


def describe_certainty(classifier: EmotionClassifier) -> str:
    """Return a sentence about the scale of ratings, or about the predictions that are marked as uncertain."""
    if classifier.rating_scale is not None:
        low, high = classifier.rating_scale
        return f"It predicts how people would rate the voice, from {low:g} to {high:g}."
    if classifier.uncertainty_threshold is None:
        return "It is not calibrated, so no prediction is marked as uncertain: do not rely on any of them."
    return f"Predictions below {100 * classifier.uncertainty_threshold:.1f} % are marked as uncertain."
