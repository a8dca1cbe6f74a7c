"""A plugin, ``PYTHONPATH=tests pytest -p spawned_processes``: processes are started as on Windows and macOS."""

import multiprocessing

multiprocessing.set_start_method("spawn", force=True)
