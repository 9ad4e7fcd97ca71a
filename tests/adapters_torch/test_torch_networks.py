"""The examples with PyTorch, as they are written and at toy size; and the derivatives of whole networks."""

import re
import sys

import fwi_torch
import networks_torch
import numpy as np
import pytest
import source_network
import torch
import unrolled_lsrtm
import velocity_analysis

import seisops as so
from seisops.scene import network_survey as operators

NETWORKS = "Networks and inversion"


@pytest.fixture
def run(monkeypatch, capsys):
    """What the main function of an example prints, given its command line."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return run


def slopes(network, inputs, h=1e-5):
    """The derivative of a loss along a random direction of every input and weight, exact and by central differences."""
    leaves = [*(a.requires_grad_() for a in inputs), *network.parameters()]
    directions = [torch.randn_like(a) for a in leaves[len(inputs) :]]
    directions = [*(0.02 * a.detach() * torch.rand_like(a) for a in inputs), *(0.1 * d for d in directions)]

    def loss():
        return (network(*inputs) ** 2).mean()

    gradients = torch.autograd.grad(loss(), leaves)
    assert all(g.abs().max() > 0 for g in gradients)
    values = []
    with torch.no_grad():
        for step in (h, -2 * h):
            for a, d in zip(leaves, directions, strict=True):
                a += step * d
            values.append(loss())
    exact = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    return float(exact), float((values[0] - values[1]) / (2 * h))


# Central differences with a step of 1e-5 leave about 1e-10 of the slope, and rounding about as much again.
@pytest.mark.row(
    NETWORKS, "dense layers around the Jacobian, W3 (J (W1 x + b1) + b2) + b3: x and every weight", "exact"
)
def test_the_network_around_the_jacobian():
    torch.manual_seed(0)
    F, _, q, _ = operators("float64")
    network = networks_torch.AroundJacobian(so.Jacobian(F, q)).double()
    exact, difference = slopes(network, [torch.randn(3, 16, dtype=torch.float64)])
    assert abs(exact - difference) <= 1e-7 * abs(exact)


@pytest.mark.row(NETWORKS, "conv, E, E.H, conv: gradients for x, m and every weight", "exact")
def test_the_extended_source_network():
    torch.manual_seed(0)
    _, E, _, model = operators("float64")
    network = networks_torch.ExtendedSourceNetwork(E).double()
    x = torch.randn(2, 1, *model.shape, dtype=torch.float64)
    exact, difference = slopes(network, [x, torch.from_numpy(model.m.copy())])
    assert abs(exact - difference) <= 1e-7 * abs(exact)


def test_networks(run):
    out = run(networks_torch)
    gradients = [float(g) for g in re.findall(r"\| = (\S+)", out)]
    # x, W1, b1, b2, W3, b3; x, m and two weights and biases.
    assert len(gradients) == 6 + 6
    assert all(0 < g < np.inf for g in gradients)
    misfits = [float(x) for x in re.findall(r"misfit (\S+)", out)]
    assert misfits[-1] < misfits[0]


def table(out):
    """The numbers an example prints of each method."""
    rows = re.findall(r"^  (\S.*?) {2,}(.+)$", out, re.M)
    return {name: [float(x) for x in numbers.split()] for name, numbers in rows}


@pytest.mark.long
@pytest.mark.row(NETWORKS, "loop-unrolled least-squares migration", "trains; a seed gives the same weights")
def test_unrolled_migration(run, tmp_path):
    toy = ["--train", "--models", 9, "--epochs", 2, "--streamed", 4, "--iterations", 2, "--channels", 4, 4, 4]
    made = [tmp_path / f"{i}.npz" for i in (0, 1)]
    for path in made:
        out = run(unrolled_lsrtm, *toy, "--held-out", 1, "--weights", path, "--output", tmp_path)
    assert table(out)["unrolled network"][0] < 1
    assert (tmp_path / "unrolled_lsrtm.png").stat().st_size > 10_000
    with np.load(made[0]) as first, np.load(made[1]) as second:
        assert all(np.abs(first[name] - second[name]).max() <= 1e-4 for name in first.files)
        assert any(np.abs(first[name]).max() > 0 for name in first.files if "convs.8" in name)


@pytest.mark.long
@pytest.mark.row(NETWORKS, "the same with the weights that are shipped, one noisy record", "as the documents say")
def test_the_shipped_weights(run, tmp_path):
    found = table(run(unrolled_lsrtm, "--held-out", 2, "--output", tmp_path))
    error, similarity = found["unrolled network"]
    assert error < min(0.45, 0.65 * found["CGLS, 20 steps"][0])
    assert similarity > 0.8
    assert found["network, 8 CGLS steps"][0] < error
    assert unrolled_lsrtm.WEIGHTS.stat().st_size < 2 * 1024**2


@pytest.mark.row(NETWORKS, "a network around the extended source: records, m and every weight", "exact")
def test_the_source_network_is_differentiated(run):
    torch.manual_seed(0)
    v, start = source_network.earth()
    E = source_network.operator(start, "float64")
    network = source_network.Physics(E, steps=2, channels=4).double()
    d = source_network.records(source_network.operator(v, "float64"), source_network.cracks(1, 0), 1)
    exact, difference = slopes(network, [torch.from_numpy(d)])
    assert abs(exact - difference) <= 1e-7 * abs(exact)


@pytest.mark.long
def test_the_source_network(run, tmp_path):
    out = run(source_network, "--records", 32, "--held-out", 4, "--epochs", 4, "--output", tmp_path)
    found = table(out)
    # Nothing at all has an error of 1, and four epochs of 32 records leave 0.93.
    assert found["network around E"][-1] < 0.97 < found["CGLS in the start"][-1]
    before, after = re.search(r"(\S+) at the start, (\S+) learned", out).groups()
    assert 0 < float(after) < float(before)
    assert (tmp_path / "source_network.png").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.row(NETWORKS, "velocity analysis by the focus of extended images", "descends")
def test_velocity_analysis(run, tmp_path):
    toy = ["--cells", 61, 41, "--shots", 3, "--iterations", 2, "--offsets", 5, "--output", tmp_path]
    start, *found = map(float, re.findall(r"error of the velocity: (\S+) %", run(velocity_analysis, *toy)))
    assert 0 < found[-1] < start / 2
    assert (tmp_path / "velocity_analysis.png").stat().st_size > 10_000


@pytest.mark.row(NETWORKS, "full-waveform inversion by Adam, the example", "descends")
def test_inversion(run, tmp_path):
    toy = ["--shots", 2, "--iterations", 3, "--cells", 61, 41, "--output", tmp_path]
    before, after = re.search(r"(\S+) before, (\S+) after", run(fwi_torch, *toy)).groups()
    assert 0 < float(after) < float(before)
    assert (tmp_path / "fwi_torch.png").stat().st_size > 10_000
