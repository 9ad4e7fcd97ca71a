"""The examples run as they are written, at toy size."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from zoo import SLOPE

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


TOY = ("--shots", "2", "--iterations", "2", "--cells", "61", "41")


# Every image, and which of two explains more of the data than the other.
@pytest.mark.parametrize(
    "name, images, better, worse",
    [
        ("lsrtm", 3, "CGLS, 2 iterations", "migration (J.H)"),
        pytest.param("lsrtm_preconditioned", 3, "CGLS, preconditioned", "CGLS, plain", marks=pytest.mark.long),
        pytest.param(
            "lsrtm_encoded", 2, "CGLS, 2 shots x 7 iterations", "2 encoded shots x 2 passes", marks=pytest.mark.long
        ),
    ],
)
def test_migrations(name, images, better, worse, tmp_path):
    out = run(name, tmp_path, *TOY)
    found = re.findall(r"^  (\S.*\S) +(\d\.\d+)   relative residual.* (\d\.\d+)$", out, re.MULTILINE)
    errors, residuals = ({key: float(row[i]) for key, *row in found} for i in (0, 1))
    assert len(found) == images
    # An image of zeros has both at one.
    assert all(0 < x < 1 for x in [*errors.values(), *residuals.values()])
    assert residuals[better] < residuals[worse]


@pytest.mark.long
def test_inversion(tmp_path):
    before, after = re.search(r"velocity error: (\S+) before, (\S+) after", run("fwi", tmp_path, *TOY)).groups()
    assert 0 < float(after) < float(before)


@pytest.mark.long
def test_image_gathers(tmp_path):
    out = run("image_gathers", tmp_path, "--shots", "2", "--cells", "61", "41")
    shares = re.findall(r"^  (8 % too slow|right|8 % too fast) +(\d\.\d+)$", out, re.MULTILINE)
    assert [name for name, _ in shares] == ["8 % too slow", "right", "8 % too fast"]
    assert all(0 < float(share) < 1 for _, share in shares)


@pytest.mark.long
def test_extended_source(tmp_path):
    out = run("extended_source", tmp_path, "--iterations", "2", "--cells", "61", "41")
    found = re.search(r"error of the weights: (\S+); what is left of the data: (\S+)\n", out).groups()
    assert all(0 < float(x) < 1 for x in found)


@pytest.mark.long
def test_frequency_bands(tmp_path):
    toy = ("--shots", "2", "--iterations", "1", "--cells", "61", "41", "--receivers", "20", "--time", "700")
    out = run("fwi_bands", tmp_path, *toy, "--bands", "5", "8", "--variation", "0.02")
    after = [float(x) for x in re.findall(r"below the water: (\S+) after [58] Hz", out)]
    before = float(re.search(r"(\S+) before", out).group(1))
    assert len(after) == 2
    assert before > after[0] > after[1] > 0


def figures(said, words):
    """The numbers of the line that begins with some words."""
    line = next(line for line in said.splitlines() if line.strip().startswith(words))
    return [float(x) for x in re.findall(r"\d+\.\d+", line)]


@pytest.mark.long
def test_own_equation(tmp_path):
    said = run("own_equation", tmp_path, "--shots", "4", "--iterations", "3", "--cells", "41", "41")
    assert figures(said, "Taylor test") == pytest.approx([1, 2], abs=SLOPE)
    for name in ("epsilon", "sigma"):
        before, after = figures(said, f"relative error of {name}")
        assert 0 < after < before


@pytest.mark.long
@pytest.mark.parametrize("name", ["elastic_fwi", "elastic_network"])
def test_both_velocities_of_a_solid_get_better(name, tmp_path):
    said = run(name, tmp_path, "--shots", "2", "--iterations", "5", "--cells", "41", "41")
    for parameter in ("vp", "vs"):
        assert 0 < figures(said, f"error of {parameter}")[0] < 100


@pytest.mark.long
def test_second_derivatives_tell_density_from_velocity(tmp_path):
    said = run("density_crosstalk", tmp_path, "--shots", "6", "--iterations", "25", "--cells", "41", "41")
    gradient, newton = (figures(said, name) for name in ("gradient", "Gauss-Newton"))
    # How much of the velocity's spot is in the density, of the density's in the velocity, and the error.
    assert all(0 < after < before for before, after in zip(gradient, newton, strict=True))


@pytest.mark.long
def test_a_migration_in_the_right_medium(tmp_path):
    said = run("vti_rtm", tmp_path, "--shots", "4", "--cells", "101", "61")
    assert 0 < figures(said, "isotropic")[0] < figures(said, "VTI")[0] < 1


@pytest.mark.long
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
    # Networks with weights beside them have their records there too.
    allowed = {"noisy_records"} if path.stem.startswith("unrolled_lsrtm") else set()
    assert {p.stem for p in EXAMPLES.glob("*.py")} & set(imported) <= allowed


@pytest.mark.long
def test_noisy_records(tmp_path):
    said = run("noisy_records", tmp_path, "--iterations", "3")
    errors = {name: list(map(float, re.findall(rf"{name}.* (\S+)  \S+\n", said))) for name in ("RTM", "CGLS")}
    assert all(len(found) == 3 for found in errors.values())
    assert all(b < a < 1 for a, b in zip(*errors.values(), strict=True))
    # What is louder is harder.
    assert errors["CGLS"][0] < errors["CGLS"][2]


def test_what_brings_a_framework_is_asked_for_by_name():
    """An environment with a TensorFlow or a torch of its own keeps it."""
    from configparser import ConfigParser

    settings = ConfigParser()
    settings.read(EXAMPLES.parent / "setup.cfg")
    extras = settings["options.extras_require"]
    assert "tensorflow" not in extras["keras"]
    assert "tensorflow-cpu" in extras["tensorflow"]
    assert not {"torch", "tensorflow", "keras"} & set(re.findall(r"\w+", settings["options"]["install_requires"]))
