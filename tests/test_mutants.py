import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks a process for each mutant")
def test_the_script_kills_every_swapped_pair_of_a_small_corpus():
    script = Path(__file__).with_name("mutants.py")
    run = subprocess.run([sys.executable, script, "urdu"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "6 mutants: 6 killed, 0 survived" in run.stdout
