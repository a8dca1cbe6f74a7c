"""Write the test scores of a run as the Hub reads them from the folder `.eval_results` of a model.

Source: https://huggingface.co/docs/hub/eval-results and `EvalResultEntry` of huggingface_hub.
"""

import yaml
from huggingface_hub import EvalResultEntry, constants, eval_result_entries_to_yaml

from ser_hf.corpora.facts import CORPUS_FACTS
from ser_hf.corpora.files import pluralize
from ser_hf.runs.recipe import corpora_of
from ser_hf.runs.result_records import Results
from ser_hf.tasks import load_task


def render_eval_results(results: Results, recipe: dict, repo_id: str) -> dict[str, bytes]:
    """Return the file of the test scores by its path in the repository.

    Scores of several corpora together, and of corpora that are not public, belong to no data set: they have no file.

    Args:
        results: Results of the run.
        recipe: Content of recipe.yaml.
        repo_id: "user/name" of the model.
    """
    corpora = corpora_of(recipe)
    if len(corpora) > 1 or CORPUS_FACTS[corpora[0]].url is None:
        return {}
    run = results.training or results.evaluation
    entries = [
        EvalResultEntry(
            dataset_id=corpora[0],
            task_id=name,
            value=getattr(results.test, name),
            date=None if run is None else run.date,
            source_url=f"https://huggingface.co/{repo_id}",
            source_name="Model card",
            notes=f"{metric.title}; {_describe_test(results, name)}",
        )
        for name, metric in load_task(results.task).METRICS.items()
    ]
    text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True)
    return {f"{constants.EVAL_RESULTS_FOLDER}/{corpora[0]}.yaml": text.encode()}


def _describe_test(results: Results, metric: str) -> str:
    assert results.split is not None
    low, high = results.test.intervals[metric]
    independent = "speaker-independent" if results.split.speaker_independent else "not speaker-independent"
    return (
        f"95 % interval {low:.4f} to {high:.4f}; {pluralize(results.test.utterances, 'test utterance')} of the split "
        f"'{results.split.name}', {independent}"
    )
