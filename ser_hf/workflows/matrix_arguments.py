"""Define the arguments of `cross_corpus`."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class MatrixArguments:
    """Define the training corpora of each model, and which labels are scored.

    Examples:
        >>> MatrixArguments().list_rows(["ravdess", "urdu", "turev_db"])[-1]
        ['ravdess', 'urdu']
    """

    train: list[str] = field(
        default_factory=lambda: ["each", "all_but_one"],
        metadata={
            "help": "Models. each: one per corpus. all_but_one: one for each corpus that is left out, if there are "
            "three. ravdess+urdu: one for these corpora."
        },
    )
    labels: Literal["common", "pairwise"] = field(
        default="common",
        metadata={
            "help": "common: train and test on the labels that all corpora share. pairwise: train on all labels, test "
            "on those that the training corpora and the test corpus share."
        },
    )

    def list_rows(self, corpora: list[str]) -> list[list[str]]:
        """Return the training corpora of each model.

        Raises:
            ValueError: If a corpus is unknown.
        """
        rows = []
        for item in self.train:
            if item == "each":
                rows += [[name] for name in corpora]
            elif item == "all_but_one":
                rows += [[other for other in corpora if other != name] for name in corpora if len(corpora) > 2]
            elif unknown := sorted(set(item.split("+")) - set(corpora)):
                raise ValueError(f"train: expected each, all_but_one, or some of {corpora} with +, found {unknown}.")
            else:
                rows.append([name for name in corpora if name in item.split("+")])
        return [row for number, row in enumerate(rows) if row not in rows[:number]]
