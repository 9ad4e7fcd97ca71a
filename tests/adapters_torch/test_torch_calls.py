"""What Python does around a kernel under a layer stays little: a bound on the functions that it calls, counted."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "calls.py"

# The most functions that a warm layer calls, from its own `forward` to the tensor it gives.
CALLS = {"Layer(F)(x)": 220, "Layer(F)(x, m=m)": 320, "Layer(F)(x, m=leaf)": 450}


def test_a_layer_calls_few_functions():
    path = os.pathsep.join(p for p in sys.path if p)
    env = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, str(SCRIPT), "--torch"], capture_output=True, text=True, env=env, check=True)
    table = {name: int(calls) for name, calls in re.findall(r"^(Layer\S.*\S) +(\d+) +\d+$", run.stdout, re.MULTILINE)}
    assert table.keys() == CALLS.keys()
    assert {name: n for name, n in table.items() if not 0 < n <= CALLS[name]} == {}
