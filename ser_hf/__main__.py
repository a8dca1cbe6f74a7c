"""Run `ser-hf` as ``python -m ser_hf``, for example where the scripts of Python packages are not on the path."""

import sys

from ser_hf.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
