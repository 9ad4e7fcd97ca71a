"""What Python does around a kernel stays little: bounds on the functions that products call, counted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "calls.py"

# The most functions that a warm product calls; the room is for other releases of NumPy and PyLops.
CALLS = {
    "F @ q": 150,
    "F.H @ d": 200,
    "J @ dm, warm": 150,
    "J.H @ d, warm": 200,
    "J.H @ d, cold": 400,
    "F.linearize(q)": 300,
    "Jacobian(F, q)": 100,
    "F.at(m=...)": 60,
}


# One process counts for all.
pytestmark = pytest.mark.xdist_group("calls")


@pytest.fixture(scope="module")
def table():
    """Calls and frames by product, in a process of its own with one thread: nothing looks on but the counter."""
    path = os.pathsep.join(p for p in sys.path if p)
    env = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=env, check=True)
    rows = re.findall(r"^(\S.*\S) +(\d+) +(\d+)$", run.stdout, re.MULTILINE)
    return {name: (int(calls), int(frames)) for name, calls, frames in rows}


@pytest.mark.parametrize("product", CALLS)
def test_a_product_calls_few_functions(table, product):
    assert 0 < table[product][0] <= CALLS[product]


def test_a_kernel_is_few_frames_below_its_product(table):
    marching = [frames for _, frames in table.values() if frames]
    assert len(marching) >= 6
    assert max(marching) <= 12
