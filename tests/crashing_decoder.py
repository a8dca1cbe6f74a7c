"""A decoder that ends its process at a file that contains "crash"."""

import os
import signal


def decode(path):
    with open(path, "rb") as file:
        if file.read(5) == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
