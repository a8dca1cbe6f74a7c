from .classifier import EmotionClassifier as EmotionClassifier
from .classifier import Prediction as Prediction
