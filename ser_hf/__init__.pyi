from .corpora import load_corpus as load_corpus
from .heads.probe_arguments import ProbeArguments as ProbeArguments
from .publishing.upload import publish as publish
from .runs.data_arguments import DataArguments as DataArguments
from .runs.model_arguments import ModelArguments as ModelArguments
from .runs.pretraining_arguments import PretrainingArguments as PretrainingArguments
from .runs.training_arguments import SerTrainingArguments as SerTrainingArguments
from .scoring.evaluate import evaluate as evaluate
from .scoring.evaluation_arguments import EvaluationArguments as EvaluationArguments
from .serving.audio_list import list_audio as list_audio
from .serving.classifier import EmotionClassifier as EmotionClassifier
from .serving.predict import predict as predict
from .workflows.cross_corpus import cross_corpus as cross_corpus
from .workflows.cross_validate import cross_validate as cross_validate
from .workflows.finetune import finetune as finetune
from .workflows.matrix_arguments import MatrixArguments as MatrixArguments
from .workflows.pretrain import pretrain as pretrain
from .workflows.probe import probe as probe
from .workflows.sweep import sweep as sweep
from .workflows.sweep_arguments import SweepArguments as SweepArguments
from .workflows.train import train as train

__version__: str
