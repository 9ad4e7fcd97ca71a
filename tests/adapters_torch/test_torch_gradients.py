"""Numerical gradients of layers, first and second order, reverse, forward and batched."""

import numpy as np
import pylops
import pytest
import torch
import torch.fx.experimental.proxy_tensor
from seisops_torch import Layer, VelocityModel
from torch.autograd import gradcheck, gradgradcheck
from zoo import PRODUCTS, ZOO, error, operator, random, shortened, world

# Central differences with a step of 1e-6 leave about 1e-9 of the value; gradcheck's own bounds are kept.
FIRST = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
ROUNDING = 1e-12
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
@pytest.mark.parametrize("name", shortened(ZOO, PRODUCTS))
def test_linear_layers_of_the_zoo(name):
    layer = Layer(operator(name))
    f = through_windows(layer, torch.from_numpy(random(layer.op.dims)))
    assert gradcheck(f, (numbers(),), fast_mode=True, **FIRST)
    assert gradgradcheck(f, (numbers(),), fast_mode=True, **SECOND)


@pytest.mark.row("Derivatives", "gradcheck and gradgradcheck in x and m, reverse, forward and batched", "exact")
@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "(Pr A Pw.H).H", "J of F", "E D"])
def test_modelling_layers_in_the_input_and_the_model(name):
    layer = Layer(operator(name))
    m = torch.from_numpy(world("2d").model.m.copy())
    f = through_windows(layer, torch.from_numpy(random(layer.op.dims)), m, inputs=1, outputs=1)
    assert gradcheck(f, (numbers(1), numbers(1)), **FIRST)
    assert gradgradcheck(f, (numbers(1), numbers(1)), **SECOND)


@pytest.mark.row("Derivatives", "the model by its velocity, `layer(x, v=v)`: first and second order in v", "exact")
def test_the_velocity_instead_of_the_squared_slowness():
    layer, v = Layer(operator("Pr A Ps.H")), torch.from_numpy(world("2d").model.v.copy())
    q = torch.from_numpy(random(layer.op.dims))
    w, dv = (torch.from_numpy(random(shape, i)) for i, shape in enumerate((layer.op.dimsd, v.shape)))
    at = v.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((w * layer(q, v=at)).sum(), at, create_graph=True)
    (second,) = torch.autograd.grad((gradient * dv).sum(), at)
    # By the chain rule through m = 1/v².
    op = layer.op.at(m=v.numpy() ** -2)
    J = op.jacobian(q.numpy())
    migration = J.H @ w.numpy()
    assert error(layer(q, v=v), op @ q.numpy()) <= ROUNDING
    assert error(gradient.detach(), -2 * v.numpy() ** -3 * migration) <= ROUNDING
    bent = J.jacobian(-2 * v.numpy() ** -3 * dv.numpy()).H @ w.numpy()
    assert error(second, -2 * v.numpy() ** -3 * bent + 6 * v.numpy() ** -4 * dv.numpy() * migration) <= ROUNDING
    along = torch.func.jvp(lambda b: layer(q, v=b), (v,), (dv,))[1]
    assert error(along, J @ (-2 * v.numpy() ** -3 * dv.numpy())) <= ROUNDING
    compiled = torch.compile(lambda b: layer(q, v=b), fullgraph=True, backend="aot_eager")
    assert error(compiled(v), op @ q.numpy()) <= ROUNDING


@pytest.mark.row("Messages", "a parameter that the medium does not have, or that is given twice", "raises")
def test_parameters_are_refused_by_name():
    layer, v = Layer(operator("Pr A Ps.H")), torch.from_numpy(world("2d").model.v.copy())
    q = torch.from_numpy(random(layer.op.dims))
    with pytest.raises(TypeError, match="no parameter 'rho'"):
        layer(q, rho=v)
    with pytest.raises(TypeError, match="once more"):
        layer(q, m=v**-2, v=v)
    with pytest.raises(ValueError, match="The model v must end with"):
        layer(q, v=v[1:])


@pytest.mark.row("Derivatives", "gradcheck and gradgradcheck of PyLops' operators, real and complex", "exact")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_operators_of_pylops(dtype):
    matrix = random((3, 4)) + (1j * random((3, 4), 1) if dtype == "complex128" else 0)
    layer = Layer(pylops.MatrixMult(matrix, dtype=dtype))
    x = torch.from_numpy(random((2, 4)).astype(dtype)).requires_grad_()
    assert gradcheck(layer, x, **FIRST)
    assert gradgradcheck(layer, x, **SECOND)


@pytest.mark.row(
    "torch.func and torch.compile",
    "`vmap` over x while m has a batch axis of its own, nested and of gradients",
    "exact",
)
def test_samples_and_models_in_batches_of_their_own():
    w = world("2d")
    layer, m = Layer(w.F), torch.from_numpy(w.model.m.copy())
    models, x = torch.stack([m, 1.1 * m]), torch.from_numpy(random((3, 2, *w.F.dims)))

    def each(function, samples):
        return torch.stack([function(s) for s in samples])

    def loss(s):
        return layer(s, models).square().sum()

    for function in (lambda s: layer(s, models), torch.func.grad(loss)):
        assert torch.allclose(torch.func.vmap(function)(x), each(function, x), rtol=1e-12)
    pairs = torch.func.vmap(torch.func.vmap(layer, (None, 0)), (0, None))(x[0], models)
    assert torch.allclose(pairs, each(lambda s: each(lambda one: layer(s, one), models), x[0]), rtol=1e-12)


@pytest.mark.row("torch.func and torch.compile", "`torch.func.hessian` of a function of x and m together", "exact")
def test_hessian_in_the_input_and_the_model_together():
    w = world("2d")
    layer, m, q = Layer(w.F), torch.from_numpy(w.model.m.copy()), torch.from_numpy(w.q)

    def f(c):
        return layer(q * (1 + c[0]), m * (1 + c[1])).square().sum()

    at = torch.zeros(2, dtype=torch.float64)
    expected = torch.func.jacrev(torch.func.jacrev(f))(at)
    assert torch.allclose(torch.func.hessian(f)(at), expected, rtol=1e-10)


@pytest.mark.row(
    "Derivatives", "gradcheck and gradgradcheck in m of complex compositions, of real and complex x", "exact"
)
@pytest.mark.parametrize("complex_input", [False, True])
def test_complex_compositions_in_the_model(complex_input):
    w = world("2d")
    layer = Layer(pylops.signalprocessing.FFT(w.F.dimsd, axis=-1, dtype="complex128") @ w.F)
    m, dm = (torch.from_numpy(a.copy()) for a in (w.model.m, w.dm))
    x = torch.from_numpy(w.q + 0.3j * random(w.q.shape) if complex_input else w.q)

    def f(t):
        y = layer(x, m + t * dm)
        return y.abs().square().sum() + y.real.pow(3).sum()

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert gradcheck(f, (t,), rtol=1e-6)
    assert gradgradcheck(f, (t,), rtol=1e-6)


@pytest.mark.row(
    "torch.func and torch.compile", "`torch.func.linearize` and `make_fx`, whose graphs outlive the call", "exact"
)
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr")
def test_graphs_that_outlive_the_call():
    w = world("2d")
    layer, m, q, dm = Layer(w.F), *(torch.from_numpy(a.copy()) for a in (w.model.m, w.q, w.dm))

    def loss(m):
        return layer(q, m).square().sum()

    value, tangent = torch.func.linearize(loss, m)
    expected = torch.func.jvp(loss, (m,), (dm,))
    assert torch.allclose(value, expected[0])
    assert torch.allclose(tangent(dm), expected[1])
    traced = torch.fx.experimental.proxy_tensor.make_fx(lambda m: layer(q, m))(m)
    assert torch.allclose(traced(1.05 * m), layer(q, 1.05 * m))


def test_two_layers_of_one_velocity():
    w = world("2d")
    earth, q = VelocityModel(w.model, bounds=(1.4, 2.6)), torch.from_numpy(w.q)
    layers = [Layer(w.F), Layer(w.F2)]
    sum(layer(q, m=earth()).square().sum() for layer in layers).backward()
    together, earth.v.grad = earth.v.grad, None
    m = earth()
    sum(layer(q, m=m).square().sum() for layer in layers).backward()
    assert torch.allclose(together, earth.v.grad)


def test_a_complex_model_is_refused():
    w = world("2d")
    with pytest.raises(TypeError, match="model m is real"):
        Layer(w.F)(torch.from_numpy(w.q), torch.from_numpy(w.model.m + 0j))
