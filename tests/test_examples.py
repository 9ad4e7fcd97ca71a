"""The examples run as they are written, at toy size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["lsrtm", "fwi", "lsrtm_preconditioned"])
def test_main_jobs(name, tmp_path):
    toy = ["--shots", "2", "--iterations", "2", "--cells", "61", "41", "--output", str(tmp_path)]
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *toy], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "error" in done.stdout
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
