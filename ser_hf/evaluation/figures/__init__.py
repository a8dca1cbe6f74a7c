"""Draw the figures of a corpus and of an evaluation, one per file; only this package imports matplotlib.

The figures are drawn with `matplotlib.figure.Figure`, without pyplot and its global state, so that they can be drawn
on a server, in a thread, and next to the user's own figures in a notebook.
"""

from ser_hf.evaluation.figures.calibration import plot_coverage, plot_reliability
from ser_hf.evaluation.figures.candidates import plot_candidates
from ser_hf.evaluation.figures.confusion import plot_confusion
from ser_hf.evaluation.figures.corpus import plot_corpus
from ser_hf.evaluation.figures.curves import plot_curves
from ser_hf.evaluation.figures.gallery import plot_gallery
from ser_hf.evaluation.figures.runs import plot_runs
from ser_hf.evaluation.figures.speakers import plot_speakers
from ser_hf.evaluation.figures.sweep import plot_sweep
from ser_hf.evaluation.figures.timeline import plot_timeline

__all__ = [
    "plot_candidates",
    "plot_confusion",
    "plot_corpus",
    "plot_coverage",
    "plot_curves",
    "plot_gallery",
    "plot_reliability",
    "plot_runs",
    "plot_speakers",
    "plot_sweep",
    "plot_timeline",
]
