from .classifier import EmotionClassifier as EmotionClassifier
from .prediction import Prediction as Prediction
