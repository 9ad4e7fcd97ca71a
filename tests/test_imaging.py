"""Imaging conditions are adjoint pairs, and are what the papers write."""

from functools import lru_cache

import numpy as np
import pytest
from zoo import DOT, ROUNDING, error, random, world

import seisops as so
from seisops import checks
from seisops.storage import Checkpointed, Half

CONDITIONS = {"inverse scattering": so.imaging.inverse_scattering, "complement": so.imaging.complement}
# The papers' gradients of wavefields against the Laplacian of their product: stencils of order eight.
DISCRETE = 1e-4

each = pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)


@pytest.mark.parametrize("condition", [*CONDITIONS.values(), lambda J: by_offset(J)], ids=[*CONDITIONS, "offsets"])
@pytest.mark.parametrize("storage", [Checkpointed(), pytest.param(Half(), marks=pytest.mark.long)], ids=str)
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


@each
@pytest.mark.parametrize("shape", [(8, 12), (2, 3)], ids=str)
def test_pairs_on_fewer_cells_than_the_stencil(condition, shape):
    # Beyond the grid there is nothing: a stencil that is longer meets zeros.
    rng = np.random.default_rng(0)
    model = so.Model(v=rng.uniform(1.5, 2.5, shape), spacing=(10.0, 12.0), dtype="float64")
    low, high = np.array(model.extent).T
    points = so.Geometry((low + rng.uniform(0.01, 0.99, (1, 3, 2)) * (high - low)), dt=2.0, t=80.0)
    P = so.Projection(model, points)
    F = P @ so.Modeling(model, points) @ P.H
    J = condition(F.jacobian(random(F.dims)))
    assert checks.dot_test(J, verbose=False) <= DOT["float64"]


@pytest.mark.parametrize("shape", [(5, 7), (2, 3), (12, 4), (2, 9, 3)], ids=str)
def test_a_laplacian_is_that_of_what_is_zero_beyond(shape):
    x = random(shape)
    small, large = (
        so.Model(v=np.full(n, 2.0), spacing=(10.0, 12.0, 8.0)[: len(shape)], dtype="float64")
        for n in (shape, [k + 16 for k in shape])
    )
    expected = so.imaging.laplacian(large) @ np.pad(x, 8)
    L = so.imaging.laplacian(small)
    assert error(L @ x, expected[(slice(8, -8),) * len(shape)]) <= ROUNDING
    assert checks.dot_test(L, verbose=False) <= DOT["float64"]


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
    F, q = Pr @ A @ Ps.H, so.ricker(src, 0.008, dtype="float64")
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
    g = so.conditions.second_time_difference(u, model.dt)
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
    q = so.ricker(src, 0.015, dtype="float64")
    d = F @ q - F.at(m=np.full(v.shape, 0.25)) @ q
    J = F.jacobian(q)

    def overburden(J):
        """The mean over the image above the reflector, against its largest value around it."""
        image = (J.H @ d)[25:56] * model.m[25:56]
        return np.abs(image[:, 12:30].mean(axis=1)).mean() / np.abs(image[:, 32:40]).max()

    state, inverse = overburden(J), overburden(so.imaging.inverse_scattering(J))
    assert inverse < state / 3
    assert overburden(so.imaging.complement(J)) > state


@pytest.mark.parametrize("condition", [*CONDITIONS.values(), lambda J: by_offset(J)], ids=[*CONDITIONS, "offsets"])
def test_in_another_model(condition):
    w = world("2d")
    m = 1.1 * w.model.m
    x = random(condition(w.J).dims)
    assert error(condition(w.J).at(m=m) @ x, condition(w.J.at(m=m)) @ x) <= ROUNDING
    assert error(condition(w.J).at(m=m).H @ w.d, condition(w.J.at(m=m)).H @ w.d) <= ROUNDING


def by_offset(J, axis=0):
    return so.imaging.subsurface_offsets(J, 2, axis)


@pytest.mark.parametrize("axis", [0, 1])
def test_images_by_offset_are_what_the_papers_write(axis):
    model, Pr, Ps, A, F, q, d = reflection()
    image = by_offset(F.jacobian(q), axis).H @ d
    g = so.conditions.second_time_difference((A @ Ps.H @ q)[0], model.dt)
    v = (A.H @ Pr.H @ d)[0]
    # Away from the edges, to which what images in the layer is added.
    inside = (slice(5, -5), slice(5, -5))
    for i, h in enumerate((-2, -1, 0, 1, 2)):
        expected = -model.crop(np.einsum("txz,txz->xz", np.roll(g, h, axis + 1), np.roll(v, -h, axis + 1)))
        assert error(image[i][inside], expected[inside]) <= ROUNDING


def test_zero_offset_is_the_image():
    w = world("2d")
    for J in (w.J, w.E.jacobian(w.w), (w.F + 2 * w.F2).jacobian(w.q), (3 * w.F).jacobian(w.q)):
        assert checks.dot_test(by_offset(J), verbose=False) <= DOT["float64"]
        assert error((by_offset(J).H @ w.d)[2], J.H @ w.d) <= ROUNDING
        at_zero = np.stack([0 * w.dm, 0 * w.dm, w.dm, 0 * w.dm, 0 * w.dm])
        assert error(by_offset(J) @ at_zero, J @ w.dm) <= ROUNDING


def test_the_right_velocity_images_at_zero_offset():
    z = np.arange(61) * 10.0
    v = np.tile(np.where(z > 350, 2.5, 2.0), (81, 1))
    model = so.Model(v=v, spacing=10.0, vmax=3.2)
    src = so.Geometry([[[x, 20.0]] for x in np.arange(50.0, 751.0, 100.0)], dt=2.0, t=800.0)
    rec = so.Geometry([[[x, 20.0] for x in np.arange(20.0, 781.0, 20.0)]] * src.nsrc, dt=2.0, t=800.0)
    F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    q = so.ricker(src, 0.018, dtype="float64")
    d = F @ q - F.at(m=np.full(v.shape, 0.25)) @ q

    def energies(velocity):
        """By offset, of the image of the reflector."""
        J = so.imaging.subsurface_offsets(F.at(m=np.full(v.shape, velocity**-2)).jacobian(q), 12)
        return ((J.H @ d)[:, 25:56, 22:] ** 2).sum(axis=(1, 2))

    slow, right, fast = (energies(velocity) for velocity in (1.7, 2.0, 2.4))
    assert np.argmax(right) == 12
    assert right[11:14].sum() > right.sum() / 2
    for wrong in (slow, fast):
        assert abs(np.argmax(wrong) - 12) > 3
        assert wrong[11:14].sum() < wrong.sum() / 5


def test_refusals_of_offsets():
    w = world("2d")
    with pytest.raises(ValueError, match=r"along an axis of the model, 0 \.\.\. 1, not 2"):
        by_offset(w.J, axis=2)
    for cells in (-1, 13, 1.5):
        with pytest.raises(ValueError, match=f"twice of which is less than the 25 cells of axis 0; got {cells}"):
            so.imaging.subsurface_offsets(w.J, cells)
    with pytest.raises(ValueError, match="is no Jacobian"):
        by_offset(w.F)


def test_offsets_in_the_velocity():
    w = world("2d")
    J = w.F.jacobian(w.q, wrt="v")
    assert checks.dot_test(by_offset(J), verbose=False) <= DOT["float64"]
    assert error((by_offset(J).H @ w.d)[2], J.H @ w.d) <= ROUNDING


def test_refusals():
    w = world("2d")
    dense = so.Model(v=w.model.v, rho=np.ones(w.model.shape), spacing=w.model.spacing, dtype="float64")
    others = {
        "VariableDensity": so.modeling(dense, w.src, w.rec).jacobian(w.q),
        r"Acoustic\(\), in other parameters": w.F.jacobian(w.q, wrt="v"),
    }
    for what, J in others.items():
        for condition in (so.imaging.inverse_scattering, so.imaging.complement):
            with pytest.raises(ValueError, match=f"sound of constant density.*here are those of {what}"):
                condition(J)
    with pytest.raises(ValueError, match=r"is no Jacobian: an imaging condition is one of so.Jacobian"):
        so.imaging.inverse_scattering(w.F)
    with pytest.raises(ValueError, match="is no Jacobian"):
        so.imaging.complement(by_offset(w.J))
    second = (w.J.jacobian(w.dm), w.J.H.jacobian(w.d), (w.J.H @ w.J).jacobian(w.dm), (w.J @ w.J.H).jacobian(w.d))
    for J in second:
        for condition in (so.imaging.inverse_scattering, so.imaging.complement, by_offset):
            with pytest.raises(ValueError, match=r"is a second derivative: an imaging condition is one of so.Jacobian"):
                condition(J)
    # Two marches in a row are no second derivative.
    assert by_offset((w.F.H @ w.F).jacobian(w.q)).dims == (5, *w.model.shape)
