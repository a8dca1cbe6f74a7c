"""Child processes that end when their parent does, even if it was killed."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """Let this child process end as soon as its parent has ended, and ignore Ctrl+C, which its parent handles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)
