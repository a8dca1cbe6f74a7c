"""Read the matrix that `cross_corpus` has written."""

import json
from pathlib import Path

import cattrs

from ser_hf.scoring.matrix import MATRIX, Matrix


def read_matrix(folder: Path) -> Matrix:
    return cattrs.structure(json.loads((folder / MATRIX).read_text(encoding="utf-8")), Matrix)
