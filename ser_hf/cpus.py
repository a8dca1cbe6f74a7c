"""How many CPU cores this process may use, and how it uses memory."""

import ctypes
import os
from contextlib import suppress

LAUNCHED = ("LOCAL_WORLD_SIZE", "ACCELERATE_DYNAMO_BACKEND")  # set by torchrun and accelerate launch


def usable_cpus() -> int:
    """Return the number of CPU cores that this process may use, at least 1.

    This is the smallest of three numbers: the cores that the system grants (affinity and quota of a container), divided
    by the number of processes of the launch on this machine; SLURM_CPUS_PER_TASK; and OMP_NUM_THREADS. A launched
    process ignores OMP_NUM_THREADS=1, because `accelerate launch` and torchrun set it where the user has set nothing.
    """
    import joblib  # takes 0.2 s

    limits = [joblib.cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))]
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # a list has a number per level of nesting
    if any(name in os.environ for name in LAUNCHED) and threads == "1":
        threads = ""
    limits += [int(text) for text in (os.environ.get("SLURM_CPUS_PER_TASK", ""), threads) if text.isdigit()]
    return max(1, min(limits))


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for later arrays, if it is glibc.

    Otherwise, it returns each large array to the system, and the pages of the next one are mapped and cleared anew,
    which takes longer than most operations on it.
    """
    if os.name != "posix" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return
    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    library.mallopt(mmap_max, 0)
    library.mallopt(trim_threshold, 2**31 - 1)


def release_memory() -> None:
    """Return freed memory to the system; glibc keeps what arrays of different sizes leave."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
