"""The examples run as they are written, at toy size."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seisops as so

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, tmp_path, *options):
    """What an example prints, its pictures going to `tmp_path`."""
    command = [sys.executable, EXAMPLES / f"{name}.py", "--output", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"MPLCONFIGDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    return done.stdout


@pytest.mark.parametrize("name", ["lsrtm", "fwi", "lsrtm_preconditioned", "lsrtm_encoded"])
def test_main_jobs(name, tmp_path):
    assert "error" in run(name, tmp_path, "--shots", "2", "--iterations", "2", "--cells", "61", "41")


def test_image_gathers(tmp_path):
    assert "8 % too fast" in run("image_gathers", tmp_path, "--shots", "2", "--cells", "61", "41")


def test_extended_source(tmp_path):
    out = run("extended_source", tmp_path, "--iterations", "2", "--cells", "61", "41")
    assert "relative error of the weights" in out


def test_frequency_bands(tmp_path):
    toy = ("--shots", "2", "--iterations", "1", "--cells", "61", "41", "--receivers", "20", "--time", "700")
    out = run("fwi_bands", tmp_path, *toy, "--bands", "5", "8", "--variation", "0.02")
    assert "after 8 Hz" in out


def test_field_workflow(tmp_path):
    said = run("field_workflow", tmp_path, "--shots", "2", "--cells", "61", "41")
    assert "Shots(2 shots x 30 points" in said
    image = np.load(tmp_path / "field_image.npy")
    assert image.shape == (61, 41)
    assert np.abs(image).max() > 0
    # From the file, as another's would be.
    np.save(tmp_path / "v.npy", so.models.smooth(so.models.faulted((61, 41)), 3))
    options = ["--data", str(tmp_path / "field.segy"), "--model", str(tmp_path / "v.npy"), "--spacing", "12.5"]
    assert "Shots(2 shots x 30 points" in run("field_workflow", tmp_path, *options, "--receiver-z", "20")
    assert not np.array_equal(np.load(tmp_path / "field_image.npy"), image)
