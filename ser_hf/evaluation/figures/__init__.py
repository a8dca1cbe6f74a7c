"""Draw the figures of a corpus and of an evaluation, one per file; only this package imports matplotlib.

The figures are drawn with `matplotlib.figure.Figure`, without pyplot and its global state, so that they can be drawn
on a server, in a thread, and next to the user's own figures in a notebook.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
