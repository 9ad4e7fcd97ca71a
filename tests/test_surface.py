"""Differences that end at a free surface: exact for polynomials, adjoint to one another, kind to Rayleigh waves."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.optimize import brentq

import seisops as so
from seisops.physics import surface
from seisops.physics.elastic import Elastic
from seisops.physics.inlining import inlined
from seisops.physics.reference import Reference
from seisops.physics.surface import applied
from seisops.physics.terms import Difference
from seisops.propagators.points import point_weights

N = 60
ORDERS = [2, 4, 6, 8, 12, 16]


def matrix(shift: int, order: int, ending: int = 1, n: int = N) -> np.ndarray:
    """A difference of unit spacing, from half cells to nodes or the other way."""
    reference = Reference(Elastic().scheme(2), {}, (n,), (1.0,), 1.0, order=order)
    return np.stack([reference.difference(Difference(0, shift=shift, ending=ending), x) for x in np.eye(n)], axis=1)


def weights(order: int, half: int, n: int = N) -> np.ndarray:
    result = np.ones(n)
    result[: len(surface.quadrature(order, half))] = surface.quadrature(order, half)
    return result


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shift", [1, -1])
def test_polynomials_are_differentiated_exactly(order, shift):
    there, here = np.arange(N) + 0.5 * (shift < 0), np.arange(N) + 0.5 * (shift > 0)
    for j in range(2 if order == 2 else 3):
        error = matrix(shift, order) @ there**j - j * here ** max(j - 1, 0)
        # Of what is on the surface there is none, and at the other end differences are cut off.
        assert np.abs(error[int(shift < 0) : N - order]).max() <= 1e-7 * N**j


@pytest.mark.parametrize("order", ORDERS)
def test_differences_sum_by_parts(order):
    nodes, halves = weights(order, 0), weights(order, 1)
    assert min(nodes.min(), halves.min()) > 0
    # But for the node on the surface, where no stress is made.
    assert np.abs((nodes[:, None] * matrix(-1, order) + matrix(1, order).T * halves)[1:]).max() <= 1e-8
    assert not matrix(-1, order)[0].any()
    # What acts on velocities there is the slope of a stress that vanishes on the surface.
    z = np.arange(N) + 0.5
    slope = -(matrix(1, order).T @ (halves[:, None] * np.stack([z, z**2][: 1 + (order > 2)], 1)))[0] / nodes[0]
    assert slope == pytest.approx([1, 0][: len(slope)], abs=1e-6)
    for shift in (1, -1):
        assert np.array_equal(matrix(-shift, order, ending=-1), -matrix(shift, order).T)


@pytest.mark.parametrize("order, percent", [(2, 0.45), (4, 0.1), (8, 0.1), (12, 0.15)])
def test_the_speed_of_rayleigh_waves(order, percent):
    """At 15 points a wave, along a surface of which depth alone is discrete."""
    vp, vs, k = 3.0, 1.73, 2 * np.pi / 15
    speed = brentq(lambda c: (2 - (c / vs) ** 2) ** 2 - 4 * np.sqrt((1 - (c / vp) ** 2) * (1 - (c / vs) ** 2)), 1, 1.72)
    after, before = matrix(1, order, n=160), matrix(-1, order, n=160)
    h, w, one, none = weights(order, 0, 160), weights(order, 1, 160), np.eye(160), np.zeros((160, 160))
    exx, ezz = np.hstack([1j * k * one, none]), np.hstack([none, before])
    exz = np.hstack([after, 1j * k * one])
    # On the surface the body gives way.
    lam, mu, on = vp**2 - 2 * vs**2, vs**2, np.arange(160) == 0
    c11, c13 = lam + 2 * mu - on * lam**2 / (lam + 2 * mu), np.where(on, 0, lam)

    def work(one, by, other):
        return one.conj().T @ (by[:, None] * other)

    stiffness = work(exx, c11 * h, exx) + (lam + 2 * mu) * work(ezz, h, ezz) + mu * work(exz, w, exz)
    stiffness = stiffness + work(exx, c13 * h, ezz) + work(ezz, c13 * h, exx)
    found = np.sqrt(eigh(stiffness, np.diag(np.r_[h, w]), eigvals_only=True, subset_by_index=[0, 0])[0]) / k
    assert abs(found / speed - 1) <= percent / 100


@pytest.mark.parametrize("free", [False, True])
def test_energy_is_kept(free):
    r"""½⟨v, ρ v⟩ + ½⟨σⁿ, C⁻¹ σⁿ⁺¹⟩ over 2000 steps in white noise, under a surface too."""
    rng = np.random.default_rng(3)
    p = {name: rng.uniform(*r, (13, 12)) for name, r in (("vp", (2.0, 4.0)), ("vs", (0.4, 1.4)), ("rho", (1.0, 3.0)))}
    model = so.Model(spacing=(10.0, 12.0), space_order=4, absorb=0, free_surface=free, dtype="float64", **p)
    fields = ("vx", "vz", "sxx", "szz", "sxz")
    scheme = inlined(applied(model.medium.scheme(2), free), ("x",), fields)
    march = Reference(scheme, model.coefficients, model.shape, model.spacing, model.dt, order=4)
    nt = 2000
    push = np.zeros((nt, *model.shape))
    push[0] = rng.standard_normal(model.shape)
    out, _ = march.march({"x": push}, nt)
    c, v = model.coefficients, {name: out[name] for name in fields}
    kinetic = sum((v["v" + axis] ** 2 / c[b]).sum((1, 2)) for axis, b in (("x", "b0"), ("z", "b1z")))
    stiffness = np.array([[c["Cxxxx"], c["Cxxzz"]], [c["Cxxzz"], c["Cxxxx"]]])
    if free:
        # No normal stress is read on the surface.
        stiffness[0, 0] += c["givingxxxx"]
        stiffness[0, 1, :, 0] = stiffness[1, 0, :, 0] = 0
    compliance = np.moveaxis(np.linalg.inv(np.moveaxis(stiffness, (0, 1), (-2, -1))), (-2, -1), (0, 1))
    normal = np.stack([v["sxx"], v["szz"]])
    normal[1, :, :, 0] *= not free
    elastic = np.einsum("inxz,ijxz,jnxz->n", normal[:, :-1], compliance, normal[:, 1:])
    energy = kinetic[1:] + elastic + (v["sxz"][:-1] * v["sxz"][1:] / c["Cxz01"]).sum((1, 2))
    assert np.abs(energy / energy[0] - 1).max() <= 1e-10


def test_a_surface_leaves_the_step_as_it_is():
    """Differences that end are no larger than central ones, seen with the weights."""
    for order in ORDERS:
        largest = np.linalg.norm(matrix(1, order, ending=0), 2)
        nodes, halves = (np.sqrt(weights(order, half)) for half in (0, 1))
        for shift, here, there in ((1, halves, nodes), (-1, nodes, halves)):
            assert np.linalg.norm(here[:, None] * matrix(shift, order) / there, 2) <= largest * (1 + 1e-3)


def test_a_surface_on_a_shallow_solid():
    p = {name: np.full((20, 6), x) for name, x in (("vp", 3.0), ("vs", 1.5), ("rho", 2.0))}
    with pytest.raises(ValueError, match="7 grid points in depth with space_order = 4; the model has 6"):
        so.Model(spacing=10, free_surface=True, space_order=4, **p)


def test_points_on_the_surface_of_a_solid():
    """They record what is there, between nodes that are half a cell below."""
    p = {name: np.full((41, 31), x) for name, x in (("vp", 3.0), ("vs", 1.5), ("rho", 2.0))}
    model = so.Model(spacing=10, free_surface=True, dtype="float64", absorb=0, **p)
    at = np.array([[x, z] for x in (203.3, 140.0) for z in (0.0, 2.5, 17.0, 130.0)])
    points = point_weights(model, at, "sinc", stagger=(0, 1), parity=0)

    def u(x, z):
        return 1 + 0.002 * x - 0.004 * z + 1e-5 * z**2

    x, z = 10.0 * np.arange(41)[:, None], 10.0 * (np.arange(31) + 0.5)
    error = points.matrix(model.shape) @ u(x, z).ravel() - u(*at.T)
    # As good as a sinc is elsewhere; a polynomial is right where it is one.
    assert np.abs(error).max() <= 2e-3
    assert np.abs(error[4:7]).max() <= 1e-10
