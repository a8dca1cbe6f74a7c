"""Write the scores under degraded conditions into the results and the card of the run that was scored."""

import shutil
from pathlib import Path

from ser_hf.cache import write_text
from ser_hf.evaluation import read_predictions
from ser_hf.evaluation.paired import KEY
from ser_hf.publishing.card import render_card, render_probe_card
from ser_hf.runs.file_names import CARD, CONDITIONS_FIGURE, FIGURES, PREDICTIONS
from ser_hf.runs.results import read_results, write_results


def check_run(model: str) -> None:
    """Check that a model is a finished run with its predictions.

    Raises:
        FileNotFoundError: If it is not.
    """
    folder = Path(model)
    if not (folder / PREDICTIONS).exists() or read_results(folder) is None:
        raise FileNotFoundError(
            f"update_card: expected the output folder of a finished run with {PREDICTIONS}, found '{model}'."
        )


def update_card(model: str, scored: str) -> None:
    """Add the conditions in the output folder of an evaluation to the results and the card of a run.

    Args:
        model: Output folder of the run, the model that was scored.
        scored: Output folder of `evaluate` with conditions.

    Raises:
        ValueError: If the scored utterances are not the test utterances of the run.
    """
    folder, found = Path(model), read_results(scored)
    results = read_results(folder)
    assert results is not None and found is not None and found.conditions is not None
    own, other = (
        read_predictions(folder / PREDICTIONS).query("split == 'test'"),
        read_predictions(Path(scored, PREDICTIONS)),
    )
    keys = [set(table[KEY].astype(str).itertuples(index=False, name=None)) for table in (own, other)]
    if keys[0] != keys[1]:
        raise ValueError(
            f"update_card: expected the {len(keys[0])} test utterances of '{model}', found {len(keys[1])}, of which "
            f"{len(keys[0] & keys[1])} are among them. The card is unchanged; the table is in '{scored}'. Pass the "
            "corpus, the label map and the split of its recipe.yaml."
        )
    results.conditions = found.conditions
    shutil.copyfile(Path(scored, FIGURES, CONDITIONS_FIGURE), folder / FIGURES / CONDITIONS_FIGURE)
    card = render_probe_card(folder, results) if results.candidates else str(render_card(folder, results))
    write_text(folder / CARD, card)
    write_results(folder, results)
