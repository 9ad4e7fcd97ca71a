"""Points off the grid, and the operator between the time axes."""

import numpy as np
import pytest
from zoo import DOT, error, random

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


def test_weights_without_a_layer_are_cut_off():
    earth = model(absorb=0)
    weights = point_weights(earth, np.array([[0.3, 0.2]]), "sinc")
    assert np.abs(weights.matrix(earth.padded_shape).toarray()).sum() > 0
    assert weights.matrix(earth.padded_shape).shape == (1, 41 * 41)


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
    q = so.ricker(geometry, 0.02, t0=250.0)[0, 0]
    # On what both axes carry and what ends before they do: the window of a Ricker wavelet.
    assert np.linalg.norm(W @ q) == pytest.approx(np.linalg.norm(q), rel=1e-2 if correct else 1e-6)
    assert error(W.T @ (W @ q), q) <= (2e-2 if correct else 1e-5)


@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_resampling_without_correction(dt):
    earth, geometry = axes(dt, correct_dispersion=False)
    W = time_operator(earth, geometry)
    q = so.ricker(geometry, 0.02, t0=250.0)[0, 0]
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
    assert time_operator(earth.at(1.1 * earth.m), geometry) is W
    with pytest.raises(ValueError, match="read-only"):
        W[0, 0] = 1
