"""Layers of media of several parameters: gradients by name, alone and together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from seisops_jax import Layer, check
from zoo import ROUNDING, error

import seisops as so

MEDIA = "Media of several parameters"

both = pytest.mark.parametrize("mode", [lambda f: f, jax.jit], ids=["eager", "jit"])


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(1)
    shape = (13, 12)
    model = so.Model(
        vp=rng.uniform(1.5, 2.5, shape), vs=rng.uniform(0.4, 1.0, shape), rho=rng.uniform(1, 2, shape),
        spacing=10.0, absorb=3, space_order=4, dtype="float64", vmax=3.0,
    )  # fmt: skip
    src, rec = (so.Geometry(rng.uniform(20, 90, (2, n, 2)), dt=2.0, t=40.0) for n in (1, 2))
    return model, so.modeling(model, src, rec), rng.standard_normal((2, 1, src.nt))


def gradients_of(F, q, given, r, mode):
    """Of ``<r, F(given) q>``, by name."""
    layer = Layer(F)
    return mode(jax.grad(lambda p: (r * layer(q, **p)).sum()))({n: jnp.asarray(x) for n, x in given.items()})


@pytest.mark.long
@pytest.mark.row(MEDIA, "`check(layer)` of an elastic solid", "rounding")
def test_conformance(survey):
    errors = check(Layer(survey[1]), verbose=False)
    assert {"gradient in m is the migration", "jit: Hessian in m, forward over reverse"} <= set(errors)
    assert max(errors.values()) <= ROUNDING, errors


@pytest.mark.row(MEDIA, "gradients in every parameter of an elastic solid, alone and together", "exact")
@pytest.mark.parametrize("names", [("vp", "vs", "rho"), ("vp",), ("vs", "rho")], ids="+".join)
@both
def test_gradients_in_every_parameter(survey, names, mode):
    model, F, q = survey
    r = np.random.default_rng(2).standard_normal(F.dimsd)
    given = {n: getattr(model, n) for n in names}
    assert error(mode(Layer(F))(q, **given), F @ q) <= ROUNDING
    found = gradients_of(F, q, given, r, mode)
    expected = F.jacobian(q, wrt=names).H @ r
    for name, image in zip(names, expected.reshape(-1, *model.shape), strict=True):
        assert error(found[name], image) <= ROUNDING


@pytest.mark.row(MEDIA, "parameters spelled otherwise, `layer(x, lam=lam, mu=mu, rho=rho)`", "exact")
@both
def test_gradients_in_parameters_spelled_otherwise(survey, mode):
    model, F, q = survey
    r = np.random.default_rng(2).standard_normal(F.dimsd)
    names = ("lam", "mu", "rho")
    found = gradients_of(F, q, {n: model.quantity(n) for n in names}, r, mode)
    for name, image in zip(names, F.jacobian(q, wrt=names).H @ r, strict=True):
        # The stiffnesses become velocities by differences and roots, which amplify the rounding of both ways.
        assert error(found[name], image) <= 1e-10


@pytest.mark.row(MEDIA, "a sample of parameters for every sample of sources, by batch axes and by `vmap`", "exact")
@both
def test_batches_of_parameters(survey, mode):
    model, F, q = survey
    layer, sources, vs = Layer(F), jnp.stack([q, 2 * q]), jnp.stack([model.vs, 0.9 * model.vs])
    expected = np.stack([F @ q, F.at(vs=0.9 * model.vs) @ (2 * q)])
    assert error(mode(lambda q, vs: layer(q, vs=vs))(sources, vs), expected) <= ROUNDING
    assert error(mode(jax.vmap(lambda q, vs: layer(q, vs=vs)))(sources, vs), expected) <= ROUNDING
    by_vs = mode(jax.vmap(jax.grad(lambda vs, q: layer(q, vs=vs, rho=model.rho).sum()), (0, None)))(vs, jnp.asarray(q))
    J = F.at(vs=0.9 * model.vs).jacobian(q, wrt="vs")
    assert error(by_vs[1], J.H @ np.ones(F.dimsd)) <= ROUNDING


@pytest.mark.row(MEDIA, "Hessian in two parameters: both orders, and mixed terms symmetric", "exact")
@both
def test_second_order_by_name(survey, mode):
    model, F, q = survey
    layer, rng = Layer(F), np.random.default_rng(3)
    at = {n: jnp.asarray(getattr(model, n)) for n in ("vp", "vs")}
    a, b = ({n: jnp.asarray(0.05 * rng.uniform(-1, 1, model.shape)) for n in at} for _ in range(2))
    scale = 1 / np.vdot(F @ q, F @ q)

    def loss(p):
        return scale * (layer(q, **p) ** 2).sum()

    def curved(p, along):
        return jax.jvp(jax.grad(loss), (p,), (along,))[1]

    def turned(p, along):
        return jax.grad(lambda p: jax.jvp(loss, (p,), (along,))[1])(p)

    def inner(p, along):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, p, along)))

    there, back = mode(curved)(at, a), mode(turned)(at, b)
    assert error(inner(there, b), inner(back, a)) <= 1e-11

    eps, gradient = 1e-4, mode(jax.grad(loss))
    up, down = (gradient(jax.tree.map(lambda x, d, k=k: x + k * eps * d, at, a)) for k in (1, -1))
    for name, found in there.items():
        # Central differences of step 1e-4 leave its square, times a derivative of two orders more.
        assert error(found, (up[name] - down[name]) / (2 * eps)) <= 1e-6
