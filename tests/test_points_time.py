"""Points off the grid, and the operator between the time axes."""

import itertools

import numpy as np
import pytest
from zoo import DOT, error, in_the_grid, random

import seisops as so
from seisops import checks
from seisops.propagators.points import point_weights
from seisops.time_operator import TAIL, computational_steps, time_operator

DX = 10.0


def model(shape=(41, 41), **options):
    return so.Model(**({"v": np.full(shape, 2.0), "spacing": DX, "dtype": "float64"} | options))


def interpolate(earth, function, positions, interpolation="sinc"):
    """A function sampled on the padded grid, read off it."""
    axes = [
        o + (np.arange(n) - a) * d
        for o, n, d, (a, _) in zip(earth.origin, earth.padded_shape, earth.spacing, earth.pad_widths, strict=True)
    ]
    values = function(*np.meshgrid(*axes, indexing="ij"))
    weights = point_weights(earth, np.asarray(positions, float), interpolation)
    return weights.matrix(earth.padded_shape) @ values.ravel()


# ---------------------------------------------------------------------- space


@pytest.mark.parametrize("shape", [(41, 41), (15, 14, 16)])
def test_a_sinc_reads_what_the_grid_carries(shape):
    earth = model(shape, origin=(30.0, -20.0, 10.0)[: len(shape)])
    low, high = np.array(earth.extent).T
    points = np.random.default_rng(0).uniform(low, high, (50, len(shape)))
    k = 2 * np.pi / (4 * DX) * np.array([0.6, -0.5, 0.4])[: len(shape)]

    def wave(*x):
        return np.cos(sum(ki * xi for ki, xi in zip(k, x, strict=True)) + 0.3)

    # Four points per wavelength and more: Hicks (2002), figure 3, has 0.1 to 0.2 % for this half-width.
    assert error(interpolate(earth, wave, points), wave(*points.T)) <= 2e-3


def test_a_line_reads_what_is_linear():
    earth = model((21, 17), spacing=(10.0, 12.0))
    points = np.random.default_rng(1).uniform((0, 0), (200, 192), (30, 2))

    def plane(x, z):
        return 3 * x - 2 * z + 5

    assert error(interpolate(earth, plane, points, "linear"), plane(*points.T)) <= DOT["float64"]


@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
def test_a_point_on_a_node_reads_the_node(interpolation):
    earth = model()
    values = random(earth.padded_shape)
    weights = point_weights(earth, np.array([[120.0, 250.0], [0.0, 400.0], [400.0, 0.0]]), interpolation)
    read = weights.matrix(earth.padded_shape) @ values.ravel()
    assert np.array_equal(read, values[[22, 10, 50], [35, 50, 10]])


@pytest.mark.parametrize("absorb", [10, 0])
@pytest.mark.parametrize("surface", [False, True])
def test_points_that_are_on_nodes_along_an_axis_visit_those_alone(surface, absorb):
    v = np.full((41, 41), 2.0)
    earth = so.Model(v=v, spacing=10.0, absorb=absorb, free_surface=surface, dtype="float64")
    points = np.array([[33.3, 20.0], [4.1, 400.0], [399.0, 10.0]])
    beside = np.vstack([points, [55.5, 55.5]])
    weights, general = (point_weights(earth, p, "sinc") for p in (points, beside))
    assert [w.shape[1] for w in weights.weights] == [12, 1]
    assert [w.shape[1] for w in general.weights] == [12, 12]
    same, expected = (w.matrix(earth.padded_shape).toarray()[:3] for w in (weights, general))
    assert np.array_equal(same, expected)


def test_a_point_on_a_node_among_others_reads_the_node():
    earth = model()
    values = random(earth.padded_shape)
    weights = point_weights(earth, np.array([[120.0, 250.0], [33.3, 41.7]]), "sinc")
    assert (weights.matrix(earth.padded_shape) @ values.ravel())[0] == pytest.approx(values[22, 35], abs=1e-14)


@pytest.mark.parametrize("depth", [0.5, 3.3, 9.9, 10.0, 27.1, 55.5])
def test_weights_fold_at_a_free_surface(depth):
    # An odd function of depth, as the wavefield is under the mirror: no error at the surface.
    earth = model(free_surface=True)

    def odd(x, z):
        return np.sin(2 * np.pi * z / 80) * np.cos(2 * np.pi * x / 90)

    points = np.array([[111.1, depth], [222.2, depth]])
    exact = odd(*points.T)
    assert np.abs(interpolate(earth, odd, points) - exact).max() <= 2e-3 * np.abs(exact).max() + 1e-4


def test_weights_at_an_edge_reach_into_the_layer():
    earth = model()

    def wave(x, z):
        return np.cos(2 * np.pi * (x / 90 + z / 70))

    points = np.array([[0.3, 0.2], [399.9, 399.7], [0.4, 398.8]])
    assert error(interpolate(earth, wave, points), wave(*points.T)) <= 2e-3


def ends(earth: so.Model, inside: float = 0.0) -> np.ndarray:
    """The corners of the model, the middles of its edges and faces, and of itself, or as many cells from there."""
    axes = [
        [a + inside * d, a + round((n - 1) / 2) * d + inside * d, b - inside * d]
        for (a, b), n, d in zip(earth.extent, earth.shape, earth.spacing, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, earth.ndim)
    # No point is on a free surface.
    return points[points[:, -1] > 0] if earth.free_surface else points


@pytest.mark.parametrize("shape", [(41, 41), (4, 9), (2, 3), (5, 6, 7)], ids=str)
@pytest.mark.parametrize("interpolation", ["sinc", "linear"])
def test_weights_beyond_the_grid_are_cut_off(shape, interpolation):
    wide, bare = model(shape, absorb=10), model(shape, absorb=0)
    for points in (ends(bare), ends(bare, 0.3)):
        expected = point_weights(wide, points, interpolation).matrix(wide.padded_shape).toarray()
        expected = wide.crop(expected.reshape(-1, *wide.padded_shape))
        weights = point_weights(bare, points, interpolation).matrix(bare.padded_shape).toarray()
        assert np.array_equal(weights.reshape(-1, *shape), expected)


@pytest.mark.parametrize("shape", [(25, 25), (9, 13), (2, 3), (10, 9, 11)], ids=str)
@pytest.mark.parametrize("order", [2, 4, 6, 8])
@pytest.mark.parametrize("absorb", range(5))
def test_points_touch_nothing_beyond_the_grid(absorb, order, shape):
    for surface in (False, True)[: 1 + (shape[-1] > order)]:
        earth = model(shape, absorb=absorb, space_order=order, free_surface=surface)
        n = earth.padded_shape
        for interpolation, points in itertools.product(("sinc", "linear"), (ends(earth), ends(earth, 0.3))):
            weights = point_weights(earth, points, interpolation)
            assert in_the_grid(weights, n)
            # Of several ranks each has a part of the grid, one with few nodes here.
            for cut in (1, n[0] // 2, n[0] - 1):
                for part in (slice(0, cut), slice(cut, n[0])):
                    mine = weights.within((part, *(slice(0, k) for k in n[1:])))
                    assert in_the_grid(mine, (part.stop - part.start, *n[1:]))


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "absorb, order, surface",
    [(0, 2, False), (0, 8, False), (4, 4, False), pytest.param(3, 8, True, marks=pytest.mark.long)],
)
def test_points_at_the_ends_of_thin_layers(absorb, order, surface, dtype):
    rng = np.random.default_rng(3)
    earth = model(
        v=rng.uniform(1.5, 2.5, (25, 25)), absorb=absorb, space_order=order, free_surface=surface, dtype=dtype
    )
    on, off = (so.Projection(earth, so.Geometry(ends(earth, x)[None], dt=2.0, t=60.0)) for x in (0.0, 0.3))
    A = so.Modeling(earth, on.geometry)
    for left, right in ((on, off), (off, on), (on, on), (off, off)):
        F = left @ A @ right.H
        assert checks.dot_test(F, verbose=False) <= DOT[dtype]
        x = random(F.dims)
        with so.no_fusion():
            unfused = F @ x
        assert error(F @ x, unfused) <= DOT[dtype]


def test_points_of_different_kinds_in_one_product():
    # On nodes and off them, sinc and linear: whatever stands at the two ends of a propagation.
    earth = model((15, 15))
    nodes = so.Geometry([[[50.0, 60.0]], [[70.0, 30.0]]], dt=2.0, t=60.0)
    off = so.Geometry([[[51.3, 62.2], [13.3, 14.4]]] * 2, dt=2.0, t=60.0)
    A = so.Modeling(earth, off)
    sinc, linear, on = (
        so.Projection(earth, off),
        so.Projection(earth, off, interpolation="linear"),
        so.Projection(earth, nodes),
    )
    for left, right in ((sinc, on), (on, sinc), (sinc, linear), (linear, sinc), (on, on)):
        F = left @ A @ right.H
        assert checks.dot_test(F, verbose=False) <= DOT["float64"]
        x = random(F.dims)
        with so.no_fusion():
            unfused = F @ x
        assert error(F @ x, unfused) <= 1e-12


SMALL = {
    "smaller than the stencil": {"shape": (5, 7)},
    "two points": {"shape": (2, 2)},
    "no layer": {"shape": (25, 21), "absorb": 0},
    "no layer, smaller than the points": {"shape": (7, 9), "absorb": 0},
    "no layer, two points": {"shape": (2, 3), "absorb": 0},
    "three cells": {"shape": (25, 21), "absorb": 3},
    "surface, three cells": {"shape": (25, 21), "absorb": 3, "free_surface": True},
    "surface, as shallow as it may be": {"shape": (9, 9), "free_surface": True},
}


@pytest.mark.parametrize("name", SMALL)
def test_small_grids_and_layers(name):
    options = dict(SMALL[name])
    shape = options.pop("shape")
    rng = np.random.default_rng(5)
    earth = model(v=rng.uniform(1.5, 2.5, shape), **options)
    low, high = np.array(earth.extent).T
    # Near all edges.
    inside = np.array([np.full(len(shape), 0.003), np.full(len(shape), 0.997), rng.uniform(0.1, 0.9, len(shape))])
    points = so.Geometry((low + inside * (high - low))[None], dt=2.0, t=80.0)
    P = so.Projection(earth, points)
    F = P @ so.Modeling(earth, points) @ P.H
    assert checks.dot_test(F, verbose=False) <= DOT["float64"]
    assert checks.dot_test(P, verbose=False) <= DOT["float64"]


def test_a_small_grid_unfused():
    earth = model((5, 7))
    points = so.Geometry([[[0.3, 59.8], [21.3, 33.3]]], dt=2.0, t=80.0)
    P = so.Projection(earth, points)
    F = P @ so.Modeling(earth, points) @ P.H
    x = random(F.dims)
    with so.no_fusion():
        unfused = F @ x
    assert error(F @ x, unfused) <= 1e-12


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_time_operator_is_the_integral(dt, correct):
    earth, geometry = axes(dt, correct_dispersion=correct)
    W, h = time_operator(earth, geometry), earth.dt
    highest = np.arcsin(min(h / dt * np.pi / 2, 1)) * 2 / h if correct else np.pi / max(h, dt)
    x, weights = np.polynomial.legendre.leggauss(2000)
    omega = (x + 1) * highest / 2
    warped, weight = omega, weights * highest / 2 * np.sqrt(h * dt) / np.pi
    if correct:
        warped, weight = 2 / h * np.sin(omega * h / 2), weight * np.sqrt(np.cos(omega * h / 2))
    t, tau = np.outer(np.arange(len(W)) * h, omega), np.outer(np.arange(geometry.nt) * dt, warped)
    exact = (weight * np.cos(t)) @ np.cos(tau).T + (weight * np.sin(t)) @ np.sin(tau).T
    # A Fourier transform repeats itself: its next sinc is seven recording times away and has fallen off as 1 / t.
    assert np.abs(W - exact).max() <= np.sqrt(h * dt) / (np.pi * 7 * geometry.t)


@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_a_wave_at_the_end_of_the_record_is_read(dt):
    # It goes on beyond: of the sinc that reads the last sample a part is missing after sixteen steps.
    earth, geometry = axes(dt, correct_dispersion=False)
    W, tau = time_operator(earth, geometry), geometry.time
    t = np.arange(len(W)) * earth.dt

    def wave(t, phase):
        return np.cos(2 * np.pi * 0.03 * (t - tau[-1]) + phase) * np.exp(-(((t - tau[-1]) / 150) ** 2))

    for phase in np.linspace(0, np.pi, 8):
        read = W.T @ wave(t, phase) * np.sqrt(earth.dt / dt)
        assert np.abs(read - wave(tau, phase)).max() <= 1 / (16 * np.pi)


def axes(dt, t=600.0, **options):
    earth = model((12, 12), **options)
    return earth, so.Geometry([[[50.0, 50.0]]], dt=dt, t=t)


def test_one_axis_and_no_correction_is_the_identity():
    earth = model((12, 12), dt=2.0, correct_dispersion=False)
    geometry = so.Geometry([[[50.0, 50.0]]], dt=2.0, t=600.0)
    W = time_operator(earth, geometry)
    assert W.shape == (geometry.nt + TAIL, geometry.nt)
    # Whatever the length of the transform, a sinc at its own samples is one and zero.
    assert np.abs(W - np.eye(*W.shape)).max() <= 1e-12


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_time_operator_is_an_isometry(dt, correct):
    earth, geometry = axes(dt, correct_dispersion=correct)
    W = time_operator(earth, geometry)
    q = so.ricker(geometry, 0.02, t0=250.0, dtype="float64")[0, 0]
    # On what both axes carry and what ends before they do: the window of a Ricker wavelet.
    assert np.linalg.norm(W @ q) == pytest.approx(np.linalg.norm(q), rel=1e-2 if correct else 1e-6)
    assert error(W.T @ (W @ q), q) <= (2e-2 if correct else 1e-5)


@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_resampling_without_correction(dt):
    earth, geometry = axes(dt, correct_dispersion=False)
    W = time_operator(earth, geometry)
    q = so.ricker(geometry, 0.02, t0=250.0, dtype="float64")[0, 0]
    t = np.arange(len(W)) * earth.dt
    a = (np.pi * 0.02 * (t - 250.0)) ** 2
    exact = (1 - 2 * a) * np.exp(-a) * np.sqrt(earth.dt / dt)
    # A Ricker wavelet reaches 1e-6 of its peak at 3.5 times its frequency, 70 Hz, below all Nyquist frequencies here.
    assert error(W @ q, exact) <= 1e-5


def test_warping_moves_a_wave_as_leapfrog_needs_it():
    # What the scheme solves at omega is the wave equation at 2/h sin(omega h/2).
    earth, geometry = axes(2.0, t=2000.0)
    # The step is 2.5 ms, so at 100 Hz the warp is 12 %.
    W, h = time_operator(earth, geometry), earth.dt
    t = geometry.time
    warped = 2 * np.pi * 0.1
    omega = 2 / h * np.arcsin(warped * h / 2)
    envelope = np.exp(-(((t - 1000) / 150) ** 2))
    y = W @ (envelope * np.cos(warped * t))
    spectrum = np.abs(np.fft.rfft(y, 16 * len(y)))
    peak = 2 * np.pi * np.fft.rfftfreq(16 * len(y), h)[np.argmax(spectrum)]
    assert peak == pytest.approx(omega, rel=2e-3)
    assert peak != pytest.approx(warped, rel=1e-2)


def test_steps_cover_the_recording():
    for dt, t in ((0.75, 600.0), (4.0, 599.9), (8.0, 100.0)):
        earth, geometry = axes(dt, t=t)
        assert (computational_steps(earth, geometry) - 1 - TAIL) * earth.dt >= t


def test_operators_of_one_recording_time_share_their_steps():
    earth = model((12, 12))
    steps = {computational_steps(earth, so.Geometry([[[50.0, 50.0]]], dt=dt, t=600.0)) for dt in (0.75, 2, 4, 7)}
    assert len(steps) == 1


def test_time_operator_is_read_only_and_kept():
    earth, geometry = axes(2.0)
    W = time_operator(earth, geometry)
    assert time_operator(earth.at(m=1.1 * earth.m), geometry) is W
    with pytest.raises(ValueError, match="read-only"):
        W[0, 0] = 1
