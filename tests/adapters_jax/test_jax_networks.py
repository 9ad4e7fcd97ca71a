"""The examples with JAX, as they are written and at toy size; optimisers, networks and solvers around a layer."""

import re
import sys

import equinox as eqx
import fwi_jax
import jax
import jax.numpy as jnp
import lineax as lx
import lsrtm_jax
import numpy as np
import optax
import pytest
import unrolled_lsrtm
import unrolled_lsrtm_jax
from seisops_jax import Layer
from zoo import error, random, world

import seisops as so
from seisops.scene import network_survey as operators

NETWORKS = "Networks and inversion"
ROUNDING = 1e-12
W = world("2d")


@pytest.fixture
def run(monkeypatch, capsys, single):
    """What the main function of an example prints, given its command line."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return run


def assert_slopes(loss, leaves, h=1e-5):
    """The derivative of a loss along a random direction of every input and weight is that of central differences."""
    directions = jax.tree.map(lambda a: 0.02 * a * random(a.shape, 3), leaves)
    value = jax.jit(loss)
    gradients = jax.jit(jax.grad(loss))(leaves)
    assert all(jnp.abs(g).max() > 0 for g in jax.tree.leaves(gradients))
    exact = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradients, directions)))
    there, back = (value(jax.tree.map(lambda a, d, k=k: a + k * d, leaves, directions)) for k in (h, -h))
    # Differences with a step of 1e-5 leave about 1e-10 of the slope, and rounding about as much again.
    assert abs(exact - (there - back) / (2 * h)) <= 1e-7 * abs(exact)


@pytest.mark.row(
    NETWORKS, "dense layers around the Jacobian, W3 (J (W1 x + b1) + b2) + b3, in Equinox: x and every weight", "exact"
)
def test_the_network_around_the_jacobian():
    F, _, q, _ = operators("float64")
    J = Layer(so.Jacobian(F, q))
    n, m = int(np.prod(J.op.dims)), int(np.prod(J.op.dimsd))

    class AroundJacobian(eqx.Module):
        before: eqx.nn.Linear
        after: eqx.nn.Linear
        bias: jax.Array
        J: Layer

        def __call__(self, x):
            return self.after(self.J(0.01 * self.before(x).reshape(self.J.op.dims)).ravel() + self.bias)

    keys = jax.random.split(jax.random.key(0), 2)
    before, after = (eqx.nn.Linear(*ends, key=key) for ends, key in zip(((16, n), (m, 8)), keys, strict=True))
    weights, rest = eqx.partition(AroundJacobian(before, after, jnp.asarray(random(m)), J), eqx.is_array)

    def loss(leaves):
        network, x = leaves
        return (jax.vmap(eqx.combine(network, rest))(x) ** 2).mean()

    assert_slopes(loss, (weights, jnp.asarray(random((3, 16)))))


@pytest.mark.row(NETWORKS, "conv, E, E.H, conv: gradients for x, m and every weight", "exact")
def test_the_extended_source_network():
    _, E, _, model = operators("float64")
    modeling, adjoint = Layer(E), Layer(E.H)
    first, last = (eqx.nn.Conv2d(a, b, 3, padding=1, key=jax.random.key(a)) for a, b in ((1, 2), (2, 1)))
    weights, rest = eqx.partition((first, last), eqx.is_array)

    def loss(leaves):
        network, x, m = leaves
        first, last = eqx.combine(network, rest)
        d = modeling(jax.vmap(first)(x), m=m)
        return (jax.vmap(last)(1e-3 * adjoint(d, m=m)) ** 2).mean()

    assert_slopes(loss, (weights, jnp.asarray(random((2, 1, *model.shape))), jnp.asarray(model.m)))


@pytest.mark.row(NETWORKS, "full-waveform inversion by an optimiser of Optax", "the gradient of `so.fwi`")
@pytest.mark.parametrize("optimiser", [optax.adam(1e-3), optax.lbfgs()], ids=["adam", "lbfgs"])
def test_inversion_with_optax_has_the_gradient_of_fwi(optimiser):
    layer, q = Layer(W.F), jnp.asarray(W.q)
    d = W.F.at(m=W.model.m * 1.02) @ W.q

    def misfit(v):
        return 0.5 * ((layer(q, v=v) - d) ** 2).sum()

    @jax.jit
    def step(v, state):
        value, gradient = jax.value_and_grad(misfit)(v)
        update, state = optimiser.update(gradient, state, v, value=value, grad=gradient, value_fn=misfit)
        return optax.apply_updates(v, update), state, value, gradient

    v = jnp.asarray(W.model.v)
    state, values = optimiser.init(v), []
    for _ in range(3):
        at = np.asarray(v)
        v, state, value, gradient = step(v, state)
        expected, by_m = so.fwi(W.F.at(m=at**-2), W.q, d)
        # dm/dv = -2/v³ is the chain rule of the velocity; what remains is the order of sums.
        assert error(gradient, -2 * at**-3 * by_m) <= ROUNDING
        assert abs(value - expected) <= ROUNDING * expected
        values.append(float(value))
    assert values[2] < values[0]


@pytest.mark.row(NETWORKS, "least squares by `lineax`, and its derivative in the model", "exact")
def test_a_solver_of_lineax():
    # Damped, so that the answer is known to rounding; as many unknowns as a dense inverse takes.
    layer, weights = Layer(W.F), jnp.asarray(random((5, *W.F.dims)))
    scale = 1 / np.linalg.norm(W.F @ np.asarray(weights[0]))

    def solve(m):
        def f(a):
            return scale * layer(jnp.tensordot(a, weights, 1), m=m), a

        d = (scale * jnp.asarray(W.F @ W.q), jnp.zeros(5))
        A = lx.FunctionLinearOperator(f, jax.ShapeDtypeStruct((5,), "float64"))
        return lx.linear_solve(A, d, lx.Normal(lx.CG(rtol=1e-13, atol=1e-13))).value

    columns = scale * np.stack([(W.F @ np.asarray(w)).ravel() for w in weights], 1)
    expected = np.linalg.solve(columns.T @ columns + np.eye(5), columns.T @ (scale * (W.F @ W.q)).ravel())
    # The solver ends at 1e-13 of what it starts with, times the condition.
    assert error(solve(jnp.asarray(W.model.m)), expected) <= 1e-10

    def total(t):
        return solve(W.model.m + t * W.dm).sum()

    h = 1e-5
    assert error(jax.grad(total)(0.0), (total(h) - total(-h)) / (2 * h)) <= 1e-6


@pytest.mark.row(NETWORKS, "full-waveform inversion by Optax's Adam, the example", "descends")
def test_inversion(run, tmp_path):
    toy = ["--shots", 2, "--iterations", 3, "--cells", 61, 41, "--output", tmp_path]
    before, after = re.search(r"(\S+) before, (\S+) after", run(fwi_jax, *toy)).groups()
    assert 0 < float(after) < 2 * float(before)
    assert (tmp_path / "fwi_jax.png").stat().st_size > 10_000


@pytest.mark.row(NETWORKS, "least-squares migration by `lineax`, the example", "fits better than migration")
def test_migration(run, tmp_path):
    out = run(lsrtm_jax, "--shots", 2, "--iterations", 3, "--cells", 61, 41, "--output", tmp_path)
    migration, solved = map(float, re.findall(r"relative residual (\S+)", out))
    assert solved < migration < 1
    assert (tmp_path / "lsrtm_jax.png").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.row(NETWORKS, "loop-unrolled migration: PyTorch's images from the same weights", "to 1e-5")
def test_unrolled_migration(run, single, tmp_path):
    r = unrolled_lsrtm.record(3)
    expected = unrolled_lsrtm.Unrolled.load(unrolled_lsrtm.WEIGHTS).image(r)
    # Single precision, through five J and J.H and fifty convolutions.
    assert error(unrolled_lsrtm_jax.load(unrolled_lsrtm.WEIGHTS)(r), expected) <= 1e-5
    run(unrolled_lsrtm_jax, "--output", tmp_path)
    assert (tmp_path / "unrolled_lsrtm_jax.png").stat().st_size > 10_000
