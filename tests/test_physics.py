"""The wave equation against closed forms, and what waves do."""

import numpy as np
import pytest
from scipy.special import hankel2
from zoo import DOT, error

import seisops as so

C, DX = 2.0, 10.0
# 8 points in the wavelength of 2.5 times the peak frequency.
F0 = 0.010
OFFSETS = np.array([300.3, 600.3, 1500.3])
# What the closed forms are met to: the remaining error is the layer's and that of the points' weights.
CLOSED = 1e-3


def spectrum(q, dt, green, pad=8):
    """`q` times a Green's function of frequency."""
    omega = 2 * np.pi * np.fft.rfftfreq(pad * len(q), dt)
    G = np.zeros(len(omega), complex)
    G[1:] = green(omega[1:])
    return np.fft.irfft(np.fft.rfft(q, pad * len(q)) * G, pad * len(q))[: len(q)]


def line_source(q, dt, r):
    """The 2-D wavefield of a unit delta at distance r."""
    return spectrum(q, dt, lambda omega: -0.25j * hankel2(0, omega * r / C))


def point_source(q, dt, r):
    """The 3-D wavefield of a unit delta at distance r."""
    return spectrum(q, dt, lambda omega: np.exp(-1j * omega * r / C) / (4 * np.pi * r))


def model(shape=(301, 241), dtype="float64", **options):
    return so.Model(v=np.full(shape, C), spacing=DX, dtype=dtype, **options)


def modelling(model, source, receivers, dt, t):
    """F for one source, and the source's geometry."""
    src = so.Geometry(np.array(source)[None, None], dt=dt, t=t)
    rec = so.Geometry(np.array(receivers)[None], dt=dt, t=t)
    return so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H, src


def line(source, offsets, depth):
    """Receivers along the first axis."""
    points = np.tile(np.array(source, float), (len(offsets), 1))
    points[:, 0] += offsets
    points[:, -1] = depth
    return points


@pytest.mark.parametrize("dt", [0.75, 2.0, 4.0])
def test_closed_form_in_2d(dt):
    source = np.array([703.7, 1202.1])
    F, src = modelling(model(), source, line(source, OFFSETS, source[-1]), dt, 1500.0)
    q = so.ricker(src, F0, dtype="float64")
    d = (F @ q)[0] / DX**2
    for trace, r in zip(d, OFFSETS, strict=True):
        assert error(trace, line_source(q[0, 0], dt, r)) <= CLOSED


def test_closed_form_in_3d():
    # Long offsets are those of 2-D: here a wave has twice the distance between the source and the sides.
    source, offsets = np.array([103.7, 252.1, 248.3]), OFFSETS[:2]
    F, src = modelling(model((81, 51, 51), "float32"), source, line(source, offsets, source[-1]), 2.0, 600.0)
    q = so.ricker(src, F0, dtype="float64")
    d = (F @ q)[0] / DX**3
    for trace, r in zip(d, offsets, strict=True):
        assert error(trace, point_source(q[0, 0], 2.0, r)) <= CLOSED


# At the surface little is sent along it and little heard: what ten cells send back from below is 0.3 % of that.
@pytest.mark.parametrize("depth, receivers, absorb", [(5.0, 5.0, 20), (55.0, 113.0, 10)])
def test_closed_form_under_a_free_surface(depth, receivers, absorb):
    source = np.array([303.7, depth])
    earth = model((221, 101), free_surface=True, absorb=absorb)
    F, src = modelling(earth, source, line(source, OFFSETS, receivers), 2.0, 1500.0)
    q = so.ricker(src, F0, dtype="float64")
    d = (F @ q)[0] / DX**2
    for trace, x in zip(d, OFFSETS, strict=True):
        above, below = np.hypot(x, receivers + depth), np.hypot(x, receivers - depth)
        exact = line_source(q[0, 0], 2.0, below) - line_source(q[0, 0], 2.0, above)
        assert error(trace, exact) <= CLOSED


def test_dispersion_without_the_correction():
    source = np.array([303.7, 502.1])
    F, src = modelling(model((221, 101), correct_dispersion=False), source, line(source, OFFSETS, 502.1), 2.0, 1500.0)
    q = so.ricker(src, F0, dtype="float64")
    d = (F @ q)[0] / DX**2
    errors = [error(trace, line_source(q[0, 0], 2.0, r)) for trace, r in zip(d, OFFSETS, strict=True)]
    # What the correction is for: a phase error that grows with distance.
    assert errors == sorted(errors)
    assert errors[-1] > 0.05


def test_amplitude_of_an_extended_source():
    earth = model((61, 61))
    rec = so.Geometry([[[450.0, 300.0]]], dt=2.0, t=500.0)
    src = so.Geometry([[[300.0, 300.0]]], dt=2.0, t=500.0)
    q = so.ricker(src, F0, dtype="float64")
    Pr, A, Ps = so.Projection(earth, rec), so.Modeling(earth, rec), so.Projection(earth, src)
    w = np.zeros((1, 61, 61))
    w[0, 30, 30] = 1
    # A weight of one at a node is a point source there.
    assert error((Pr @ A @ so.LRWF(earth, rec, q).H) @ w, (Pr @ A @ Ps.H) @ q) <= DOT["float64"]


def test_units_of_a_bare_wavefield():
    earth = model((61, 61))
    src = so.Geometry([[[300.0, 300.0]]], dt=4.0, t=500.0)
    rec = so.Geometry([[[400.0, 300.0]]], dt=4.0, t=500.0)
    q = so.ricker(src, F0, dtype="float64")
    Ps, A = so.Projection(earth, src), so.Modeling(earth, rec)
    u = earth.crop(A @ Ps.H @ q)[0, :, 40, 30]
    d = (so.Projection(earth, rec) @ A @ Ps.H @ q)[0, 0]
    # Isometric: the wavefield is sqrt(geometry.dt / model.dt) times smaller than its physical value.
    ratio = np.abs(d).max() / np.abs(u).max()
    assert ratio == pytest.approx(np.sqrt(4.0 / earth.dt), rel=0.02), "peaks of a trace sampled every 4 ms"


# ---------------------------------------------------------------------- the absorbing layer


@pytest.mark.parametrize("absorb, decibel", [(10, -85), (20, -95)])
def test_reflection_of_the_layer(absorb, decibel):
    n, t = 101, 900.0

    def record(pad):
        earth = model((n + 2 * pad,) * 2, absorb=absorb)
        shift = pad * DX
        x = np.stack([np.arange(3.3, (n - 4) * DX, DX), np.full(n - 4, 103.3)], 1)
        F, src = modelling(earth, [shift + 503.3, shift + 103.3], shift + x, 2.0, t)
        return F @ so.ricker(src, F0, dtype="float64")

    # So far out that nothing comes back within the time.
    reference = record(90)
    assert 20 * np.log10(np.abs(record(0) - reference).max() / np.abs(reference).max()) <= decibel


def test_nothing_grows_in_the_long_run():
    v = 2 - 0.5 * np.random.default_rng(0).random((41, 31))
    earth = so.Model(v=v, spacing=DX, vmax=2.0, dtype="float64")
    F, src = modelling(earth, [203.3, 103.3], [[203.3, 103.3]], 8.0, 40000.0)
    d = (F @ so.ricker(src, F0, dtype="float64"))[0, 0]
    # 15000 steps near the stability limit: what is left has been absorbed thousands of times.
    assert np.abs(d[-100:]).max() <= 1e-6 * np.abs(d).max()


# ---------------------------------------------------------------------- order


def exponent(steps, errors):
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("order", [2, 4])
def test_order_in_space(order):
    spacings, errors = np.array([20.0, 14.0, 10.0]), []
    source, offset = np.array([400.0, 700.0]), np.array([500.0, 0.0])
    for dx in spacings:
        shape = (round(1600 / dx) + 1, round(1400 / dx) + 1)
        # A quarter of a cell off the nodes on every grid: what the points cost is the same on all.
        earth = so.Model(v=np.full(shape, C), spacing=dx, space_order=order, absorb=10, dtype="float64")
        s = np.rint(source / dx) * dx + 0.25 * dx
        r = np.rint((source + offset) / dx) * dx + 0.25 * dx
        F, src = modelling(earth, s, [r], 2.0, 700.0)
        q = so.ricker(src, 0.008, dtype="float64")
        errors.append(error((F @ q)[0, 0] / dx**2, line_source(q[0, 0], 2.0, np.linalg.norm(r - s))))
    # Time is exact to all orders (the correction), so what remains is space.
    assert exponent(spacings, errors) == pytest.approx(order, abs=0.25)


def test_order_in_time():
    steps, errors = np.array([2.4, 1.2, 0.6]), []
    source = np.array([303.7, 402.1])
    for h in steps:
        earth = model((121, 81), correct_dispersion=False, dt=h)
        F, src = modelling(earth, source, line(source, OFFSETS[1:2], source[-1]), 2.0, 700.0)
        errors.append((F @ so.ricker(src, F0, dtype="float64"))[0, 0])
    F, src = modelling(model((121, 81)), source, line(source, OFFSETS[1:2], source[-1]), 2.0, 700.0)
    q = so.ricker(src, F0, dtype="float64")
    # The correction is what a vanishing step gives.
    exact = (F @ q)[0, 0]
    assert exponent(steps, [error(d, exact) for d in errors]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("h", [2.4, 1.2])
def test_the_correction_removes_the_time_step(h):
    source = np.array([303.7, 402.1])
    results = []
    for dt in (None, h):
        F, src = modelling(model((121, 81), dt=dt), source, line(source, OFFSETS[1:2], source[-1]), 2.0, 700.0)
        results.append((F @ so.ricker(src, F0, dtype="float64"))[0, 0])
    assert error(*results) <= CLOSED


# ---------------------------------------------------------------------- reciprocity


@pytest.mark.parametrize("free_surface", [False, True])
def test_reciprocity(free_surface):
    v = np.random.default_rng(3).uniform(1.5, 2.5, (41, 31))
    earth = so.Model(v=v, spacing=DX, dtype="float64", free_surface=free_surface)
    a, b = [53.7, 61.2], [333.1, 244.9]
    (F, src), (G, _) = modelling(earth, a, [b], 2.0, 1500.0), modelling(earth, b, [a], 2.0, 1500.0)
    q = so.ricker(src, F0, dtype="float64")
    forth, back = F @ q, G @ q
    assert error(forth, back) <= DOT["float64"]
    # The adjoint in reversed time is the same wave; the layer, whose transpose is another, and the ends of the time
    # axis, where it rings, leave about 1e-6.
    assert error((F.H @ q[..., ::-1])[..., ::-1], back) <= 1e-5


def test_a_homogeneous_model_is_symmetric():
    F, src = modelling(model((61, 61)), [300.0, 300.0], [[400.0, 300.0], [200.0, 300.0], [300.0, 400.0]], 2.0, 400.0)
    d = (F @ so.ricker(src, F0, dtype="float64"))[0]
    assert error(d[1], d[0]) <= 1e-12
    assert error(d[2], d[0]) <= 1e-12


def test_causality():
    earth, source = model((101, 41)), [103.3, 203.3]
    F, src = modelling(earth, source, [source, [903.3, 203.3]], 2.0, 300.0)
    near, far = (F @ so.ricker(src, F0, dtype="float64"))[0]
    # 800 m at 2 km/s take 400 ms: within the 300 only the tails of the weights in space and time are seen.
    assert np.abs(far).max() <= 1e-6 * np.abs(near).max()
