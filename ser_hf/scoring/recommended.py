"""Score the test utterances with the recommended preprocessing, and compare with the stock pipeline."""

import logging
from pathlib import Path
from types import ModuleType

from ser_hf.corpora.files import pluralize
from ser_hf.corpora.spelling import unspell
from ser_hf.evaluation import read_predictions
from ser_hf.evaluation.paired import paired_differences
from ser_hf.runs.file_names import PREDICTIONS
from ser_hf.runs.result_records import RecommendedRecord
from ser_hf.serving import EmotionClassifier

logger = logging.getLogger(__name__)


def score_recommended(
    folder: Path, folders: dict[str, Path], preprocessing: dict, task: ModuleType
) -> RecommendedRecord | None:
    """Score the test utterances of a run with the recommended preprocessing, paired with the stock pipeline.

    Returns:
        The record; None if an utterance cannot be scored, which is logged as an error.
    """
    stock = read_predictions(folder / PREDICTIONS).query("split == 'test'")
    classifier = EmotionClassifier.from_pretrained(folder, backend="torch", preprocessing="recommended")
    rows = stock.astype(object).where(stock.notna(), None)
    files = [(str(folders[row.corpus] / unspell(row.path)), row.start, row.end) for row in rows.itertuples()]
    try:
        answers = list(classifier.predict_files(files))
        if refused := [f"{answer.path}: {answer.error}" for answer in answers if answer.error]:
            raise ValueError(f"no score for {pluralize(len(refused), 'test utterance')} (first: {refused[0]})")
    except ValueError as error:
        logger.error(f"The recommended preprocessing was not scored: {error}")
        return None
    outputs = classifier.emotions
    columns = {f"score_{name}": [answer.scores[name] for answer in answers] for name in outputs}  # type: ignore[index]
    table = stock.assign(prediction=[answer.emotion for answer in answers], **columns)
    difference = paired_differences(stock, table, lambda rows: task.make_statistic(rows, outputs))
    return RecommendedRecord(preprocessing, task.summarize(table, outputs), difference)
