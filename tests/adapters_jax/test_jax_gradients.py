"""Numerical gradients of layers, first and second order, forward and reverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pylops
import pytest
import seisops_torch
import torch
from jax.test_util import check_grads
from seisops_jax import Layer
from zoo import PRODUCTS, ZOO, error, operator, random, shortened, world

# JAX's own bounds on its differences are kept, 1e-5 in float64; this is what two orders of the same sums may differ by.
ROUNDING = 1e-12


def through_windows(layer, x, m=None, inputs=2, outputs=2):
    """The layer between random combinations of few numbers, so that whole Jacobians can be formed."""
    op = layer.op
    scale = 1 / np.linalg.norm(op.matvec(x.ravel()))
    wx, wy = random((inputs, *op.dims), 1), scale * random((outputs, *op.dimsd), 2)
    wm = None if m is None else 0.02 * m * random((inputs, *m.shape), 3)

    def f(a, b=None):
        model = None if b is None else m + jnp.tensordot(b, wm, 1)
        y = layer(x + jnp.tensordot(a, wx, 1), m=model)
        return jnp.tensordot(wy, y, y.ndim)

    return f


@pytest.mark.row(
    "Derivatives", "`check_grads` in x to order 2, forward and reverse, over every operator of the zoo", "exact"
)
@pytest.mark.parametrize("name", shortened(ZOO, PRODUCTS))
def test_linear_layers_of_the_zoo(name):
    layer = Layer(operator(name))
    check_grads(through_windows(layer, random(layer.op.dims)), (np.zeros(2),), order=2, modes=["fwd", "rev"])


@pytest.mark.row("Derivatives", "`check_grads` in x and m to order 2, forward and reverse", "exact")
@pytest.mark.parametrize("name", ["Pr A Ps.H", "Pr A Pw.H", "(Pr A Pw.H).H", "J of F", "E D"])
def test_modelling_layers_in_the_input_and_the_model(name):
    layer, m = Layer(operator(name)), world("2d").model.m.copy()
    f = through_windows(layer, random(layer.op.dims), m, inputs=1, outputs=1)
    check_grads(f, (np.zeros(1), np.zeros(1)), order=2, modes=["fwd", "rev"])


@pytest.mark.row("Derivatives", "`check_grads` of PyLops' operators, real and complex", "exact")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_operators_of_pylops(dtype):
    imaginary = 1j if dtype == "complex128" else 0
    layer = Layer(pylops.MatrixMult(random((3, 4)) + imaginary * random((3, 4), 1), dtype=dtype))
    x = (random((2, 4)) + imaginary * random((2, 4), 2)).astype(dtype)
    check_grads(lambda a: layer(a) ** 2, (x,), order=2, modes=["fwd", "rev"])


@pytest.mark.row("Derivatives", "gradients of complex operators", "as JAX has them, without conjugates")
def test_gradients_of_complex_operators_do_not_conjugate():
    A = random((3, 4)) + 1j * random((3, 4), 1)
    layer, x = Layer(pylops.MatrixMult(A, dtype="complex128")), random(4) + 1j * random(4, 2)

    def loss(f, a):
        y = f(a)
        return jnp.abs(y[0]) ** 2 + (y[1] * y[2] ** 2).imag

    ours, theirs = (jax.grad(lambda a, f=f: loss(f, a))(x) for f in (layer, lambda a: A @ a))
    assert np.linalg.norm(ours - theirs) <= ROUNDING * np.linalg.norm(theirs)
    assert np.allclose(jax.linear_transpose(layer, x)(A[:, 0])[0], A.T @ A[:, 0], rtol=ROUNDING)


@pytest.mark.row("Derivatives", "`check_grads` in m of complex compositions, of real and complex x", "exact")
@pytest.mark.parametrize("complex_input", [False, True])
def test_complex_compositions_in_the_model(complex_input):
    w = world("2d")
    layer = Layer(pylops.signalprocessing.FFT(w.F.dimsd, axis=-1, dtype="complex128") @ w.F)
    x = w.q + 0.3j * random(w.q.shape) if complex_input else w.q
    scale = 1 / np.linalg.norm(w.F @ w.q)

    def f(t):
        y = scale * layer(x, w.model.m + t * w.dm)
        return (jnp.abs(y) ** 2).sum() + (y.real**3).sum()

    check_grads(f, (0.0,), order=2, modes=["fwd", "rev"])


@pytest.mark.row("Derivatives", "`check(layer)`: value, derivatives, batches, copies, at once and in `jit`", "rounding")
@pytest.mark.parametrize("name", ["Pr A Ps.H", "(Pr A Pw.H).H", "J of F", "spectra", "FirstDerivative", "complex"])
def test_conformance(name, capsys):
    from seisops_jax import check

    F, matrix = world("2d").F, random((3, 4)) + 1j * random((3, 4), 1)
    own = {
        "spectra": pylops.signalprocessing.FFT(F.dimsd, axis=-1, dtype="complex128") @ F,
        "FirstDerivative": pylops.FirstDerivative(7),
        "complex": pylops.MatrixMult(matrix, dtype="complex128"),
    }
    errors = check(Layer(own[name] if name in own else operator(name)))
    assert max(errors.values()) <= ROUNDING, errors
    assert ("Hessian in m" in capsys.readouterr().out) == (name not in ("FirstDerivative", "complex"))


class Wrong(pylops.MatrixMult):
    """An operator whose adjoint has the wrong sign."""

    def _rmatvec(self, x):
        return -super()._rmatvec(x)


def test_conformance_finds_a_wrong_adjoint():
    from seisops_jax import check

    assert check(Layer(Wrong(random((3, 4)))), verbose=False)["dot test of the operator"] > 0.01


@pytest.mark.row("Derivatives", "gradients in x and m, in x and v", "those of the PyTorch layer")
@pytest.mark.parametrize("name", ["Pr A Ps.H", "(Pr A Pw.H).H", "J of F"])
@pytest.mark.parametrize("word", ["m", "v"])
def test_gradients_are_those_of_torch(name, word):
    op, model = operator(name), world("2d").model
    x, w, p = random(op.dims), random(op.dimsd, 1), getattr(model, word).copy()
    ours = jax.grad(lambda a, b: (w * Layer(op)(a, **{word: b}) ** 2).sum(), (0, 1))(x, p)
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, p)]
    loss = (torch.from_numpy(w) * seisops_torch.Layer(op)(leaves[0], **{word: leaves[1]}) ** 2).sum()
    for a, b in zip(ours, torch.autograd.grad(loss, leaves), strict=True):
        assert error(a, b) <= ROUNDING


@pytest.mark.row("Derivatives", "the model by its velocity, `layer(x, v=v)`: first and second order in v", "exact")
def test_the_velocity_instead_of_the_squared_slowness():
    layer, v = Layer(operator("Pr A Ps.H")), world("2d").model.v.copy()
    q = random(layer.op.dims)
    w, dv = random(layer.op.dimsd), random(v.shape, 1)

    def loss(b):
        return (w * layer(q, v=b)).sum()

    gradient, second = jax.jvp(jax.grad(loss), (jnp.asarray(v),), (jnp.asarray(dv),))
    # By the chain rule through m = 1/v².
    op = layer.op.at(m=v**-2)
    J = op.jacobian(q)
    migration, bent = J.H @ w, J.jacobian(-2 * v**-3 * dv).H @ w
    assert error(layer(q, v=v), op @ q) <= ROUNDING
    assert error(gradient, -2 * v**-3 * migration) <= ROUNDING
    assert error(second, -2 * v**-3 * bent + 6 * v**-4 * dv * migration) <= ROUNDING
    assert error(jax.jit(lambda b: layer(q, v=b))(v), op @ q) <= ROUNDING


@pytest.mark.row("Derivatives", "third and fourth order in m", "exact")
def test_higher_orders():
    w = world("2d")
    layer = Layer(w.F)

    def f(t):
        return 0.5 * (layer(w.q, w.model.m + t * w.dm) ** 2).sum()

    second = jax.grad(jax.grad(f))
    third, h = jax.grad(second), 1e-4
    # Central differences of step h leave its square, about 1e-8, times a derivative of two orders more.
    assert error(third(0.0), (second(h) - second(-h)) / (2 * h)) <= 1e-6
    assert error(jax.jvp(third, (0.0,), (1.0,))[1], (third(h) - third(-h)) / (2 * h)) <= 1e-6
