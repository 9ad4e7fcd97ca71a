"""Preconditioners: exact adjoints, products in order, subsets, and that each does what its name says."""

import inspect
import pickle

import numpy as np
import pylops
import pytest
from scipy.fft import next_fast_len
from zoo import DOT, ROUNDING, error, operator, random, world

import seisops as so
from seisops import checks
from seisops import preconditioners as pre

MODEL = {
    "depth scaling": lambda w: pre.depth_scaling(w.model),
    "top mute": lambda w: pre.top_mute(w.model, 45.0, taper=40.0),
    "taper": lambda w: pre.taper(w.model, 45.0),
    "smoothing": lambda w: pre.smoothing(w.model, 50.0),
    "illumination": lambda w: pre.illumination(w.A @ w.Ps.H, w.q),
    "product": lambda w: pre.smoothing(w.model, 50.0) @ pre.top_mute(w.model, 45.0) @ pre.depth_scaling(w.model),
}
RECORDS = {
    "band-pass": lambda g, s, **k: pre.band_pass(g, (0.01, 0.03, 0.08, 0.12), **k),
    "low-pass": lambda g, s, **k: pre.band_pass(g, (0, 0, 0.08, 0.12), **k),
    "derivative": lambda g, s, **k: pre.time_derivative(g, **k),
    "half a derivative": lambda g, s, **k: pre.time_derivative(g, 0.5, **k),
    "integral": lambda g, s, **k: pre.time_derivative(g, -1, **k),
    "gain": lambda g, s, **k: pre.gain(g, 2, **k),
    "taper": lambda g, s, **k: pre.time_taper(g, 20.0, **k),
    "reflections": lambda g, s, **k: pre.reflection_mute(g, s, velocity=3.0, t0=20.0, taper=30.0, **k),
    "turning waves": lambda g, s, **k: pre.turning_mute(g, s, velocity=3.0, t0=20.0, taper=30.0, **k),
    "own": lambda g, s, **k: pre.ShotWise(_slope, g, name="Slope", **k),
}
on_models = pytest.mark.parametrize("make", MODEL.values(), ids=MODEL)
on_records = pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)


def _slope(geometry):
    return pylops.FirstDerivative((geometry.counts[0], geometry.nt), axis=-1, kind="forward")


# ---------------------------------------------------------------------- laws


@on_models
def test_they_say_what_they_are(make, request):
    w = world("2d")
    name = request.node.callspec.id.title().replace(" ", "")
    named = "Smoothing @ TopMute @ DepthScaling" if name == "Product" else name
    assert repr(make(w)) == f"{named}: (25, 21) -> (25, 21)"
    assert repr(w.J @ make(w)) == f"Pr @ A @ S.H @ {named}: (25, 21) -> (2, 3, 61)"


@on_models
def test_shots_of_a_product_with_one(make):
    w = world("2d")
    M, p = make(w), random(w.model.shape)
    assert error((w.J @ M)[1] @ p, (w.J @ (M @ p))[1]) <= ROUNDING


def test_on_a_part_of_the_model():
    w = world("2d")
    M = pre.top_mute(w.model, 45.0) @ pre.depth_scaling(w.model)
    inside, behind = so.aperture(w.J @ M, 40.0), so.aperture(w.J, 40.0) @ M
    p = random(w.model.shape)
    assert error(inside @ p, behind @ p) <= ROUNDING
    assert checks.dot_test(inside, verbose=False) <= DOT["float64"]
    with pytest.raises(ValueError, match=r"Smoothing: .* put it outside the aperture"):
        so.aperture(w.J @ pre.smoothing(w.model, 50.0), 40.0) @ p


@on_models
@pytest.mark.parametrize("kind", ["2d", "3d", "2d-float32"])
def test_adjoint_on_models(make, kind):
    w = world(kind)
    M = make(w)
    assert checks.dot_test(M, verbose=False) <= DOT[w.model.dtype.name]
    assert M.dtype == w.model.dtype
    y = M @ random(w.model.shape, dtype=w.model.dtype.name)
    assert y.shape == w.model.shape
    assert y.dtype == w.model.dtype
    assert (M.H @ y).dtype == w.model.dtype


@on_records
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("survey", ["rec", "ragged"])
def test_adjoint_on_records(make, dtype, survey):
    w = world("2d")
    rec = getattr(w, survey)
    P = make(rec, w.src, dtype=dtype)
    assert checks.dot_test(P, verbose=False) <= DOT[dtype]
    assert checks.linearity(P, verbose=False) <= DOT[dtype]
    d = random(rec.shape, dtype=dtype)
    assert (P @ d).shape == rec.shape
    assert (P @ d).dtype == (P.H @ d).dtype == np.dtype(dtype)


@on_records
def test_in_three_dimensions(make):
    w = world("3d")
    P = make(w.rec, w.src, dtype="float64")
    assert checks.dot_test(P @ w.F, verbose=False) <= DOT["float64"]


@on_records
@pytest.mark.parametrize("index", [1, [1, 0], slice(0, 2), [1]], ids=str)
@pytest.mark.parametrize("survey", ["rec", "ragged"])
def test_subset_of_shots(make, index, survey):
    w = world("2d")
    rec = getattr(w, survey)
    F = operator("Pr A Ps.H" if survey == "rec" else "F ragged")
    P = make(rec, w.src, dtype="float64")
    d = random(rec.shape)
    part = P[index]
    assert part.dims == F[index].dimsd
    assert error(part @ P.shots_in(d, index), P.shots_out(P @ d, index)) <= ROUNDING
    PF = P @ F
    assert error(PF[index] @ w.q[index], PF.shots_out(PF @ w.q, index)) <= ROUNDING
    assert PF.separable


@on_records
def test_pickle(make):
    w = world("2d")
    P = make(w.rec, w.src, dtype="float64")
    again = pickle.loads(pickle.dumps(P))
    assert repr(again) == repr(P)
    assert np.array_equal(again @ w.d, P @ w.d)


def test_the_right_factor_acts_first():
    w = world("2d")
    P1, P2, P3 = (RECORDS[name](w.rec, w.src, dtype="float64") for name in ("derivative", "gain", "reflections"))
    dense = [np.stack([P @ e.reshape(P.dims) for e in np.eye(P.shape[1])], -1).reshape(P.shape) for P in (P1, P2, P3)]
    d = random(w.rec.shape)
    assert error((P3 @ P2 @ P1 @ d).ravel(), dense[2] @ dense[1] @ dense[0] @ d.ravel()) <= ROUNDING
    assert error((P3 @ P2 @ P1).H @ d.ravel(), dense[0].T @ dense[1].T @ dense[2].T @ d.ravel()) <= ROUNDING
    assert error((P1 @ P2 @ P3 @ d).ravel(), dense[2] @ dense[1] @ dense[0] @ d.ravel()) > 0.1
    M1, M2 = pre.smoothing(w.model, 50.0), pre.depth_scaling(w.model)
    m = random(w.model.shape)
    assert error((M2 @ M1) @ m, M2 @ (M1 @ m)) <= ROUNDING
    assert error((M2 @ M1).H @ m, M1.H @ (M2.H @ m)) <= ROUNDING
    assert error((M2 @ M1) @ m, M1 @ (M2 @ m)) > 1e-3


def test_around_a_jacobian():
    w = world("2d")
    P, M = w.P, MODEL["product"](w)
    op = so.compose(P @ w.J @ M)
    assert checks.dot_test(op, verbose=False) <= DOT["float64"]
    p = random(w.model.shape)
    assert error((op @ p.ravel()).reshape(w.d.shape), P @ (w.J @ (M @ p))) <= ROUNDING


# ---------------------------------------------------------------------- what each does, on models


def test_depth_scaling():
    model = world("3d").model
    weights = pre.depth_scaling(model, power=2) @ np.ones(model.shape)
    assert error(weights, np.broadcast_to((np.arange(1, 13) / 12) ** 2, model.shape)) <= ROUNDING


def test_top_mute_follows_a_sea_floor():
    model = world("2d").model
    floor = np.linspace(24.0, 120.0, model.shape[0])
    weights = pre.top_mute(model, floor, taper=24.0) @ np.ones(model.shape)
    z = 12.0 * np.arange(model.shape[1])
    for column, depth in zip(weights, floor, strict=True):
        assert not np.any(column[z <= depth])
        assert np.all(column[z >= depth + 24.0] == 1)
        assert np.all(np.diff(column) >= 0)
    sharp = pre.top_mute(model, 48.0) @ np.ones(model.shape)
    assert np.array_equal(sharp[0], (z >= 48.0).astype(float))


def test_positions_count_from_the_origin():
    model = so.Model(v=np.full((21, 21), 2.0), spacing=10.0, origin=(500.0, 1000.0), dtype="float64")
    assert (pre.top_mute(model, 1100.0) @ np.ones(model.shape))[0].argmax() == 10
    assert np.all((pre.taper(model, 50.0) @ np.ones(model.shape))[5:16] == 1)


def test_taper_leaves_top_and_bottom():
    model = world("3d").model
    weights = pre.taper(model, 20.0) @ np.ones(model.shape)
    assert not np.any(weights[[0, -1]])
    assert not np.any(weights[:, [0, -1]])
    assert np.all(weights[2:-2, 2:-2] == 1)
    assert np.array_equal(weights[:, :, 0], weights[:, :, -1])


def test_smoothing_is_a_symmetric_average():
    model = world("2d").model
    M = pre.smoothing(model, (50.0, 0.0))
    inside = M @ np.ones(model.shape)
    assert error(inside[2:-2], np.ones((21, 21))) <= ROUNDING
    m = random(model.shape)
    assert error(M @ m, M.H @ m) <= ROUNDING
    assert error(pre.smoothing(model, 0.0) @ m, m) <= ROUNDING


def test_illumination_is_the_energy_of_the_wavefields():
    w = world("2d")
    for op, x in ((w.A @ w.Ps.H, w.q), (w.A.H @ w.Pr.H, w.d), ((w.A @ w.Ps.H)[1], w.q[1]), (w.A @ w.Pw.H, w.w)):
        u = (op @ x).reshape(-1, *w.model.padded_shape)
        energy = w.model.crop((u**2).sum(axis=0))
        weights = pre.illumination(op, x, power=0.7, floor=0.1) @ np.ones(w.model.shape)
        assert error(weights, (energy / energy.mean() + 0.1) ** -0.7) <= ROUNDING


def test_illumination_evens_out_a_migration():
    # The diagonal of the normal equations, by unit perturbations down a column.
    w = world("2d")
    # Samples so far apart that the grid carries the noise.
    F, Ps = w.samplers(w.rec.resampled(3.0)), so.Projection(w.model, w.src.resampled(3.0))
    q = random(F.dims)
    M = pre.illumination(w.A @ Ps.H, q, floor=1e-6)
    J = F.jacobian(q)

    def spread(op):
        norms = []
        for k in range(2, 19):
            p = np.zeros(w.model.shape)
            p[12, k] = 1
            norms.append(np.linalg.norm(op @ p.ravel()))
        return max(norms) / min(norms)

    # Sources and receivers each have about the square root of it; the sources' part goes.
    assert spread(so.compose(J @ M)) < spread(J) ** (2 / 3)


# ---------------------------------------------------------------------- what each does, on records

LINE = so.Geometry(np.stack([np.linspace(0, 1000, 5), np.zeros(5)], 1)[None], dt=4.0, t=2000.0)
SHOT = so.Geometry([[[0.0, 0.0]]], dt=4.0, t=2000.0)


def trace(values):
    return np.broadcast_to(values, LINE.shape)


def test_band_pass_keeps_its_band():
    P = pre.band_pass(LINE, (0.004, 0.008, 0.02, 0.03), dtype="float64")
    window = np.exp(-(((LINE.time - 1000) / 250) ** 2))
    for f, kept in ((0.0, 0), (0.0015, 0), (0.006, 0.5), (0.012, 1), (0.016, 1), (0.025, 0.5), (0.04, 0), (0.1, 0)):
        d = trace(window * np.cos(2 * np.pi * f * (LINE.time - 1000)))
        # At the peak the window's own band, on a slope of the filter, evens out.
        assert np.abs((P @ d)[..., 250] - kept).max() <= 0.02
        assert kept == 0.5 or np.abs(P @ d - kept * d).max() <= 0.02
    low = pre.band_pass(LINE, (0, 0, 0.02, 0.03), dtype="float64")
    assert np.abs(low @ trace(window) - trace(window)).max() <= 1e-6


def test_derivative_of_a_known_function():
    # Narrow against the record, wide against the samples.
    t = (LINE.time - 900) / 60
    bell, slope, bend = np.exp(-(t**2)), -2 * t * np.exp(-(t**2)) / 60, (4 * t**2 - 2) * np.exp(-(t**2)) / 3600
    for order, expected in ((0, bell), (1, slope), (2, bend)):
        assert error(pre.time_derivative(LINE, order, dtype="float64") @ trace(bell), trace(expected)) <= 1e-8
    for order, given in ((-1, slope), (-2, bend)):
        found = pre.time_derivative(LINE, order, dtype="float64") @ trace(given)
        # The integral has no mean over the padded record; the bell has one.
        expected = bell - bell.sum() / next_fast_len(2 * LINE.nt, real=True)
        assert np.abs(found - trace(expected)).max() <= 1e-8


def test_half_a_derivative_twice_is_one():
    d = so.ricker(LINE, f0=0.01, dtype="float64")
    half, whole, minus = (pre.time_derivative(LINE, a, dtype="float64") for a in (0.5, 1.0, -0.5))
    # What reaches beyond the record in between is lost.
    assert error(half @ (half @ d), whole @ d) <= 1e-3
    assert error(minus @ (half @ d), d) <= 2e-2


def test_derivatives_are_causal():
    d = np.zeros(LINE.shape)
    wavelet = so.ricker(SHOT, f0=0.01, dtype="float64")[0]
    d[0, :, 250:] = wavelet[:, :251]
    half = pre.time_derivative(LINE, 0.5, dtype="float64") @ d
    assert np.abs(half[..., :245]).max() <= 1e-4 * np.abs(half).max()


def test_filters_do_not_wrap_around():
    d = np.zeros(LINE.shape)
    d[..., -1] = 1
    for P in (
        pre.band_pass(LINE, (0, 0, 0.02, 0.03), dtype="float64"),
        pre.time_derivative(LINE, 0.5, dtype="float64"),
    ):
        y = np.abs(P @ d)
        assert y[..., :250].max() <= 0.01 * y.max()


def test_gain_and_taper():
    ones = np.ones(LINE.shape)
    assert error(pre.gain(LINE, 1.5, dtype="float64") @ ones, trace((LINE.time / 2000) ** 1.5)) <= ROUNDING
    assert error(pre.gain(LINE, 0, dtype="float64") @ ones, ones) == 0
    tapered = pre.time_taper(LINE, 200.0, dtype="float64") @ ones
    assert np.all(tapered[..., 50:451] == 1)
    assert not np.any(tapered[..., [0, -1]])
    assert error(tapered, tapered[..., ::-1]) <= ROUNDING


def test_mutes_at_the_direct_wave():
    ones = np.ones(LINE.shape)
    options = {"velocity": 2.0, "t0": 100.0, "taper": 80.0, "dtype": "float64"}
    late = pre.reflection_mute(LINE, SHOT, **options) @ ones
    early = pre.turning_mute(LINE, SHOT, **options) @ ones
    assert error(late + early, ones) <= ROUNDING
    arrivals = np.linspace(0, 1000, 5) / 2.0 + 100
    for row, arrival in zip(late[0], arrivals, strict=True):
        assert not np.any(row[LINE.time <= arrival])
        assert np.all(row[LINE.time >= arrival + 80] == 1)
        assert np.all(np.diff(row) >= 0)


def test_mute_of_several_sources_is_that_of_the_nearest():
    both = so.Geometry([[[0.0, 0.0], [1000.0, 0.0]]], dt=4.0, t=2000.0)
    late = pre.reflection_mute(LINE, both, velocity=2.0, t0=0.0) @ np.ones(LINE.shape)
    assert (late[0].argmax(axis=1) * 4.0).tolist() == [0, 128, 252, 128, 0]


def test_mute_takes_away_the_direct_wave():
    model = so.Model(v=np.full((101, 41), 2.0), spacing=10.0, dtype="float64")
    src = so.Geometry([[[105.0, 55.0]]], dt=4.0, t=800.0)
    rec = so.Geometry(np.stack([np.linspace(300, 900, 4), np.full(4, 55.0)], 1)[None], dt=4.0, t=800.0)
    F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    q = so.ricker(src, f0=0.02, dtype="float64")
    d = F @ q
    # Two dimensions have a tail behind the wavelet, of 75 ms to the peak and as much after it.
    late = pre.reflection_mute(rec, src, velocity=2.0, t0=150.0, taper=40.0, dtype="float64") @ d
    early = pre.turning_mute(rec, src, velocity=2.0, t0=150.0, taper=40.0, dtype="float64") @ d
    assert np.linalg.norm(late) <= 0.02 * np.linalg.norm(d)
    assert error(early, d) <= 0.02


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda w: pre.top_mute(w.model, 1e4), "leaves nothing of a model that ends at 240 m"),
        (lambda w: pre.top_mute(w.model, np.zeros(3)), r"one number or \(25,\), got shape \(3,\)"),
        (lambda w: pre.taper(w.model, 200.0), "200 m at both ends needs 0 to 120 m"),
        (lambda w: pre.smoothing(w.model, 1e4), r"longer than the model, \(25, 21\)"),
        (lambda w: pre.illumination(w.F, w.q), "such as those of A @ Ps.H"),
        (lambda w: pre.illumination(w.M, w.d), "such as those of A @ Ps.H"),
        (lambda w: pre.illumination(w.A @ w.Ps.H, 0 * w.q), "zero everywhere"),
        (lambda w: pre.illumination(w.A @ w.Ps.H, np.nan * w.q), "not finite"),
        (lambda w: pre.illumination(w.A @ w.Ps.H, w.q, floor=0.0), "floor of the illumination must be positive"),
        (lambda w: pre.band_pass(w.rec, (0.02, 0.01, 0.03, 0.04)), "four rising frequencies from 0 to 0.25 kHz"),
        (lambda w: pre.band_pass(w.rec, (0.01, 0.02)), "four rising frequencies"),
        (lambda w: pre.band_pass(w.rec, (0.25, 0.3, 0.4, 0.5)), "half the sampling frequency"),
        (lambda w: pre.time_derivative(w.rec, np.inf), "finite number, got inf"),
        (lambda w: pre.gain(w.rec, -1.0), "zero or more, got -1.0"),
        (lambda w: pre.time_taper(w.rec, 100.0), "100 ms at both ends needs 0 to 60 ms"),
        (lambda w: pre.reflection_mute(w.rec, w.src, velocity=0.0, t0=0.0), "must be positive, got 0.0 km/s"),
        (lambda w: pre.turning_mute(w.rec, w.src, velocity=1.5, t0=0.0, taper=-1.0), "0 or more, got -1.0 ms"),
        (lambda w: pre.reflection_mute(w.rec, w.src[[0]], velocity=1.5, t0=0.0), "geometries of the same shots"),
        (
            lambda w: pre.ShotWise(lambda g: pylops.Identity(3), w.rec) @ w.d,
            r"P of shot 0 has shape \(3, 3\), its record has 183 samples",
        ),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call(world("2d"))


@pytest.mark.parametrize("name", pre.__all__)
def test_what_is_public_has_an_example(name):
    words = inspect.getdoc(getattr(pre, name))
    assert "Parameters\n" in words
    assert "Examples\n" in words
