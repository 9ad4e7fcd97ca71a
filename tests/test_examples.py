"""The examples run as they are written, at toy size."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seisops as so

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, tmp_path, *options):
    """What an example prints that was copied alone, its pictures going to `tmp_path`."""
    alone = shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
    command = [sys.executable, alone, "--output", str(tmp_path), *options]
    path = os.pathsep.join(p for p in sys.path if p)
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_needs_no_other(path):
    imported = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.M)
    assert not {p.stem for p in EXAMPLES.glob("*.py")} & set(imported)


def test_what_brings_a_framework_is_asked_for_by_name():
    """An environment with a TensorFlow or a torch of its own keeps it."""
    from configparser import ConfigParser

    settings = ConfigParser()
    settings.read(EXAMPLES.parent / "setup.cfg")
    extras = settings["options.extras_require"]
    assert "tensorflow" not in extras["keras"]
    assert "tensorflow-cpu" in extras["tensorflow"]
    assert not {"torch", "tensorflow", "keras"} & set(re.findall(r"\w+", settings["options"]["install_requires"]))
