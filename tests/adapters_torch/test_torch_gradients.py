"""Numerical gradients of layers, first and second order, reverse, forward and batched."""

import numpy as np
import pylops
import pytest
import torch
from seisops_torch import Layer
from torch.autograd import gradcheck, gradgradcheck
from zoo import ZOO, operator, random, world

# Central differences with a step of 1e-6 leave about 1e-9 of the value; gradcheck's own bounds are kept.
FIRST = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
SECOND = {"check_fwd_over_rev": True, "check_rev_over_rev": True, "check_batched_grad": True}


def through_windows(layer, x, m=None, inputs=2, outputs=2):
    """The layer between random combinations of few numbers, so that whole Jacobians can be formed."""
    op = layer.op
    scale = 1 / np.linalg.norm(op.matvec(x.numpy().ravel()))
    wx = torch.from_numpy(random((inputs, *op.dims), 1))
    wy = torch.from_numpy(scale * random((outputs, *op.dimsd), 2))
    wm = None if m is None else 0.02 * m * torch.from_numpy(random((inputs, *m.shape), 3))

    def f(a, b=None):
        model = None if b is None else m + torch.tensordot(b, wm, 1)
        y = layer(x + torch.tensordot(a, wx, 1), m=model)
        return torch.tensordot(wy, y, y.ndim)

    return f


def numbers(n=2):
    return torch.zeros(n, dtype=torch.float64, requires_grad=True)


@pytest.mark.row(
    "Derivatives",
    "gradcheck and gradgradcheck in x, reverse, forward and batched, over every operator of the zoo",
    "exact",
)
@pytest.mark.parametrize("name", ZOO)
def test_linear_layers_of_the_zoo(name):
    layer = Layer(operator(name))
    f = through_windows(layer, torch.from_numpy(random(layer.op.dims)))
    assert gradcheck(f, (numbers(),), fast_mode=True, **FIRST)
    assert gradgradcheck(f, (numbers(),), fast_mode=True, **SECOND)


@pytest.mark.row("Derivatives", "gradcheck and gradgradcheck in x and m, reverse, forward and batched", "exact")
@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "(Pr A Pw.H).H", "J of F"])
def test_modelling_layers_in_the_input_and_the_model(name):
    layer = Layer(operator(name))
    m = torch.from_numpy(world("2d").model.m.copy())
    f = through_windows(layer, torch.from_numpy(random(layer.op.dims)), m, inputs=1, outputs=1)
    assert gradcheck(f, (numbers(1), numbers(1)), **FIRST)
    assert gradgradcheck(f, (numbers(1), numbers(1)), **SECOND)


@pytest.mark.row("Derivatives", "gradcheck and gradgradcheck of PyLops' operators, real and complex", "exact")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_operators_of_pylops(dtype):
    matrix = random((3, 4)) + (1j * random((3, 4), 1) if dtype == "complex128" else 0)
    layer = Layer(pylops.MatrixMult(matrix, dtype=dtype))
    x = torch.from_numpy(random((2, 4)).astype(dtype)).requires_grad_()
    assert gradcheck(layer, x, **FIRST)
    assert gradgradcheck(layer, x, **SECOND)
