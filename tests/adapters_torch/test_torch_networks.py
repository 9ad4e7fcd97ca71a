"""The examples with PyTorch, as they are written and at toy size; and the derivatives of whole networks."""

import re
import sys

import fwi_torch
import networks_torch
import numpy as np
import pytest
import torch
import unrolled_lsrtm

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


@pytest.mark.row(NETWORKS, "loop-unrolled least-squares migration", "trains")
def test_unrolled_migration(run, tmp_path):
    toy = {"--models": 4, "--held-out": 2, "--epochs": 2, "--iterations": 2, "--output": tmp_path}
    out = run(unrolled_lsrtm, *(word for pair in toy.items() for word in pair))
    scores = {name: [float(a), float(b)] for name, a, b in re.findall(r"  (\w[\w ]+\w) +(\d\.\d+) +(\S+)\n", out)}
    assert set(scores) == {"migration", "gradient descent", "unrolled network"}
    # Two short epochs are enough to be closer to the truth than as many steps of descent.
    assert scores["unrolled network"][0] < scores["gradient descent"][0] < 1
    assert (tmp_path / "unrolled_lsrtm.png").stat().st_size > 10_000


@pytest.mark.row(NETWORKS, "full-waveform inversion by Adam, the example", "descends")
def test_inversion(run, tmp_path):
    toy = ["--shots", 2, "--iterations", 3, "--cells", 61, 41, "--output", tmp_path]
    before, after = re.search(r"(\S+) before, (\S+) after", run(fwi_torch, *toy)).groups()
    assert 0 < float(after) < float(before)
    assert (tmp_path / "fwi_torch.png").stat().st_size > 10_000
