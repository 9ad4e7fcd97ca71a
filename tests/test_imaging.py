"""Imaging conditions are adjoint pairs, and are what the papers write."""

import pickle
from functools import lru_cache

import numpy as np
import pytest
from zoo import DOT, ROUNDING, error, world

import seisops as so
from seisops import checks
from seisops.storage import Checkpointed, Half

CONDITIONS = {"inverse scattering": so.imaging.inverse_scattering, "complement": so.imaging.complement}
# The papers' gradients of wavefields against the Laplacian of their product: stencils of order eight.
DISCRETE = 1e-4

each = pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)


@each
@pytest.mark.parametrize("kind", ["2d", "2d-float32", "surface"])
def test_pairs(condition, kind):
    J = condition(world(kind).J)
    assert checks.dot_test(J, verbose=False) <= DOT[J.dtype.name]
    assert (J.dims, J.dimsd) == (world(kind).J.dims, world(kind).J.dimsd)


@each
@pytest.mark.parametrize("storage", [Checkpointed(), Half()], ids=str)
def test_pairs_with_any_storage(condition, storage):
    w = world("2d")
    with so.config(storage=storage):
        J = condition(w.F.jacobian(w.q))
    assert checks.dot_test(J, verbose=False) <= DOT["float64"]
    if isinstance(storage, Checkpointed):
        assert np.array_equal(J.H @ w.d, condition(w.J).H @ w.d)


@each
def test_other_jacobians(condition):
    w = world("2d")
    for J in (w.E.jacobian(w.w), (w.F + 2 * w.F2).jacobian(w.q), (3 * w.F).jacobian(w.q)):
        assert checks.dot_test(condition(J), verbose=False) <= DOT["float64"]
    assert error(condition((3 * w.F).jacobian(w.q)).H @ w.d, 3 * (condition(w.J).H @ w.d)) <= ROUNDING
    J = condition(w.J)
    assert error(pickle.loads(pickle.dumps(J)) @ w.dm, J @ w.dm) <= ROUNDING
    with so.no_fusion():
        unfused = J @ w.dm, J.H @ w.d
    assert error(J @ w.dm, unfused[0]) <= ROUNDING
    assert error(J.H @ w.d, unfused[1]) <= ROUNDING


@lru_cache
def reflection():
    """A reflector under a smooth overburden, its background and its scattered data."""
    z = np.arange(61) * 10.0
    v = np.tile(2.0 + 0.5 * z / z[-1], (81, 1))
    dv = np.where(z > 400, 0.4, 0.0)
    model = so.Model(v=v, spacing=10.0, dtype="float64", vmax=3.2)
    src = so.Geometry([[[400.0, 40.0]]], dt=2.0, t=1000.0)
    rec = so.Geometry([[[x, 40.0] for x in np.arange(100.0, 701.0, 20.0)]], dt=2.0, t=1000.0)
    Pr, Ps, A = so.Projection(model, rec), so.Projection(model, src), so.Modeling(model, rec)
    F, q = Pr @ A @ Ps.H, so.ricker(src, 0.008)
    d = F.at(m=(v + dv) ** -2) @ q - F @ q
    return model, Pr, Ps, A, F, q, d


def derivative(u, axis, spacing):
    """The central first derivative of order eight."""
    weights = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280]) / spacing
    return sum(w * (np.roll(u, -k, axis) - np.roll(u, k, axis)) for k, w in enumerate(weights, 1))


def test_it_is_the_papers_condition():
    model, Pr, Ps, A, F, q, d = reflection()
    J = F.jacobian(q)
    u, v = (A @ Ps.H @ q)[0], (A.H @ Pr.H @ d)[0]
    g = so.scattering.second_time_difference(u, model.dt)
    product = sum(derivative(u, axis, 10.0) * derivative(v, axis, 10.0) for axis in (1, 2)).sum(axis=0)
    first = model.pad(model.m) * (g * v).sum(axis=0)
    # Between the survey and the layer: where a source or a receiver stands the wave equation has another term.
    here = (slice(15, 66), slice(15, 56))
    for condition, sign in zip(CONDITIONS.values(), (1, -1), strict=True):
        expected = -model.crop(first + sign * product)
        assert error((condition(J).H @ d)[here], expected[here]) <= DISCRETE


def test_long_waves():
    # Where the background reflects, waves and their echoes share the way, and the adjoint-state condition images it.
    z = np.arange(61) * 10.0
    v = np.tile(np.where(z > 350, 2.8, 2.0), (81, 1))
    model = so.Model(v=v, spacing=10.0, dtype="float64", vmax=3.2)
    src = so.Geometry([[[400.0, 40.0]]], dt=2.0, t=700.0)
    rec = so.Geometry([[[x, 40.0] for x in np.arange(100.0, 701.0, 20.0)]], dt=2.0, t=700.0)
    F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    q = so.ricker(src, 0.015)
    d = F @ q - F.at(m=np.full(v.shape, 0.25)) @ q
    J = F.jacobian(q)

    def overburden(J):
        """The mean over the image above the reflector, against its largest value around it."""
        image = (J.H @ d)[25:56] * model.m[25:56]
        return np.abs(image[:, 12:30].mean(axis=1)).mean() / np.abs(image[:, 32:40]).max()

    state, inverse = overburden(J), overburden(so.imaging.inverse_scattering(J))
    assert inverse < state / 3
    assert overburden(so.imaging.complement(J)) > state


def test_refusals():
    w = world("2d")
    with pytest.raises(ValueError, match=r"is no Jacobian: an imaging condition is one of so.Jacobian"):
        so.imaging.inverse_scattering(w.F)
    with pytest.raises(NotImplementedError, match="differentiate the Jacobian of the adjoint-state condition"):
        so.imaging.inverse_scattering(w.J).jacobian(w.dm)
