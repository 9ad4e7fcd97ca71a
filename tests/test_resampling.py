"""Series on other time axes, and products whose ends are on different ones."""

import numpy as np
import pylops
import pytest
from zoo import ROUNDING, error, random

import seisops as so

POSITIONS = np.random.default_rng(0).uniform(20, 200, (2, 3, 2))


def geometry(dt, t=1200.0, positions=POSITIONS):
    return so.Geometry(positions, dt=dt, t=t)


def bandlimited(g):
    """A wavelet for every point, with 1e-12 of its peak at the ends and at 62.5 Hz, half the coarsest sampling."""
    centre, width = np.linspace(540.0, 660.0, 6)[:, None], 24.0
    t = g.time - centre
    f = np.linspace(0.008, 0.016, 6)[:, None]
    return (np.exp(-0.5 * (t / width) ** 2) * np.cos(2 * np.pi * f * t)).reshape(2, 3, -1)


@pytest.mark.parametrize("dt", [0.7, 1.0, 2.0, 3.0, 4.0, 8.0])
@pytest.mark.parametrize("given", [1.0, 3.0, 7.3])
def test_what_both_axes_carry_is_exact(given, dt):
    g = geometry(given)
    q = so.resample(bandlimited(g), g, dt)
    assert q.shape == g.resampled(dt).shape
    # The wavelet has 1e-10 of its spectrum's peak at half the coarsest sampling frequency.
    assert error(q, bandlimited(g.resampled(dt))) <= 1e-9


def test_the_same_axis_changes_nothing():
    g = geometry(2.0, 1001.0)
    d = random(g.shape)
    assert error(so.resample(d, g, 2.0), d) <= ROUNDING


def test_a_finer_axis_and_back():
    g = geometry(4.0)
    q = bandlimited(g)
    assert error(so.resample(so.resample(q, g, 1.5), g.resampled(1.5), 4.0), q) <= 1e-9


def test_a_coarser_axis_has_no_aliases():
    g = geometry(2.0)
    window = np.exp(-0.5 * ((g.time - 600) / 80) ** 2)
    d = np.broadcast_to(window * np.cos(2 * np.pi * 0.1 * g.time), g.shape)
    # 100 Hz, of which samples of 8 ms would make 25 Hz.
    assert np.abs(so.resample(d, g, 8.0)).max() <= 1e-9


def test_linear_and_by_point():
    g = geometry(3.0)
    a, b = random(g.shape), random(g.shape, 1)
    both = so.resample(2 * a - b, g, 2.0)
    assert error(both, 2 * so.resample(a, g, 2.0) - so.resample(b, g, 2.0)) <= ROUNDING
    assert error(so.resample(a[1], g[1], 2.0), so.resample(a, g, 2.0)[1]) <= ROUNDING


def test_shapes_and_types():
    g = geometry(3.0)
    ragged = so.Geometry([POSITIONS[0], POSITIONS[1, :1]], dt=3.0, t=1200.0)
    q = bandlimited(g)
    parts = so.resample(ragged.join([q[0], q[1, :1]]), ragged, 2.0)
    expected = so.resample(q, g, 2.0)
    assert error(parts, ragged.resampled(2.0).join([expected[0], expected[1, :1]])) <= ROUNDING
    assert so.resample(q.astype(np.float32), g, 2.0).dtype == np.float32
    assert error(so.resample(q.astype(np.float32), g, 2.0), expected) <= 1e-6
    whole = np.rint(100 * q).astype(np.int16)
    assert error(so.resample(whole, g, 2.0), so.resample(whole.astype(float), g, 2.0)) <= ROUNDING


def test_geometry_on_another_axis():
    g = so.Geometry(POSITIONS, dt=3.0, t=100.0)
    other = g.resampled(0.5)
    assert (other.dt, other.t, other.nt, g.dt, g.nt) == (0.5, 100.0, 201, 3.0, 34)
    assert all(np.array_equal(a, b) for a, b in zip(other.positions, g.positions, strict=True))
    assert g[1].resampled(0.5).shape == (3, 201)
    assert repr(other.resampled(3.0)) == repr(g)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda g: so.resample(np.ones(7), g, 2.0), "The data have 7 samples"),
        (lambda g: so.resample(np.full(g.shape, np.nan), g, 2.0), "not finite"),
        (lambda g: so.resample(np.ones(g.shape), g, 0.0), "must be positive, got 0.0 ms"),
        (lambda g: g.resampled(np.nan), "must be positive, got nan ms"),
        (lambda g: g.resampled(5000.0), "at least one sample of 5000.0 ms"),
    ],
)
def test_what_makes_no_sense(call, words):
    with pytest.raises(ValueError, match=words):
        call(geometry(3.0))


# ---------------------------------------------------------------------- the ends of a product


class Ends:
    """Samplers on two time axes, 2 and 3 ms, in one model."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.model = so.Model(v=rng.uniform(1.5, 2.5, (25, 21)), spacing=(10.0, 12.0), dtype="float64")
        points = rng.uniform(20, 200, (2, 2, 2))
        self.src, self.rec = (so.Geometry(points, dt=dt, t=120.0) for dt in (2.0, 3.0))
        self.A = so.Modeling(self.model, self.rec)
        self.P2, self.P3 = (so.Projection(self.model, g) for g in (self.src, self.rec))
        self.L2, self.L3 = (so.LRWF(self.model, g, rng.standard_normal(g.nt)) for g in (self.src, self.rec))
        self.S2 = so.Scattering(self.model, self.rec, self.A @ self.P2.H, rng.standard_normal(self.src.shape))
        self.F2, self.F3 = self.P2 @ self.A @ self.P2.H, self.P3 @ self.A @ self.P3.H
        self.D = pylops.Identity(self.A.shape[0], dtype="float64")
        self.V = so.VirtualSource(self.model, self.rec, None, rng.standard_normal(self.model.shape))


ends = Ends()

REFUSED = {
    "Pr A Ps.H": lambda w: w.P3 @ w.A @ w.P2.H,
    "(Pr A) Ps.H": lambda w: (w.P3 @ w.A) @ w.P2.H,
    "Pr (A Ps.H)": lambda w: w.P3 @ (2 * w.A @ w.P2.H),
    "Ps A.H Pr.H": lambda w: w.P2 @ w.A.H @ w.P3.H,
    "Pr A Pw.H": lambda w: w.P3 @ w.A @ w.L2.H,
    "Pw A.H Pr.H": lambda w: w.L3 @ w.A.H @ w.P2.H,
    "Pw A Pw.H": lambda w: w.L3 @ w.A @ w.L2.H,
    "Pr Ps.H": lambda w: w.P3 @ w.P2.H,
    "Pr A A Ps.H": lambda w: w.P3 @ w.A @ w.A @ w.P2.H,
    "Pr A V A Ps.H": lambda w: w.P3 @ w.A @ w.V @ w.A @ w.P2.H,
    "Pr D A Ps.H": lambda w: so.compose(w.P3 @ w.D @ w.A @ w.P2.H),
    "Pr A S.H": lambda w: w.P3 @ w.A @ w.S2.H,
    "S A.H Pr.H": lambda w: w.S2 @ w.A.H @ w.P3.H,
    "Pr (A Ps.H + A Pw.H)": lambda w: w.P3 @ (w.A @ w.P2.H + w.A @ w.A @ w.P2.H),
    "Pr (A Ps.H).configured()": lambda w: w.P3 @ (w.A @ w.P2.H).configured(reproducible=True),
    "F A Ps.H": lambda w: w.F3 @ w.P3 @ w.A @ w.P2.H,
    "Propagation": lambda w: so.Propagation(w.P3, w.A, w.P2),
    "J of J": lambda w: w.P3 @ w.A @ so.Scattering(w.model, w.rec, w.A @ w.S2.H, w.model.m).H,
    "J of Pr A": lambda w: w.P3 @ (w.A @ w.P2.H).jacobian(np.ones(w.src.shape)),
    "(D Pr) (A Ps.H)": lambda w: so.compose((pylops.Identity(w.P3.shape[0]) @ w.P3) @ (w.A @ w.P2.H)),
    "Sum of wavefields": lambda w: w.A @ so.Projection(w.model, w.src).H @ w.P2 + w.P3.H @ w.P3,
}


@pytest.mark.parametrize("name", REFUSED)
def test_products_of_two_time_axes_are_refused(name):
    with pytest.raises(
        ValueError, match=r"every (2|3) ms.* every (2|3) ms.*geometry\.resampled\(dt\).*so\.resample\(q"
    ):
        REFUSED[name](ends)


ALLOWED = {
    "A Ps.H": lambda w: w.A @ w.P2.H,
    "Pr A": lambda w: w.P3 @ w.A,
    "Ps A.H": lambda w: w.P2 @ w.A.H,
    "F": lambda w: w.F2,
    "F2.H F2": lambda w: w.F2.H @ w.F2,
    "what data go through between": lambda w: (
        w.F3 @ pylops.MatrixMult(np.ones((w.rec.nt, w.src.nt)), otherdims=(4,), dtype="float64") @ w.F2
    ),
    "what an image goes through between": lambda w: w.P3 @ w.A @ w.L3.H @ w.L2 @ w.A.H @ w.P2.H,
    "J": lambda w: w.F3.jacobian(np.ones(w.rec.shape)),
    "J.H J of J": lambda w: w.F3.jacobian(np.ones(w.rec.shape)).H.jacobian(np.ones(w.rec.shape)),
    "V": lambda w: w.A @ w.V @ w.A @ w.P2.H,
}


@pytest.mark.parametrize("name", ALLOWED)
def test_products_of_one_time_axis(name):
    op = so.compose(ALLOWED[name](ends))
    assert so.compose(op.H).shape == op.shape[::-1]


def test_the_remedy():
    """Amplitudes are those of the source, whatever the axis: physical, and no longer wrong by the root of 3 / 2."""
    v = np.random.default_rng(2).uniform(1.5, 2.5, (25, 21))
    model = so.Model(v=v, spacing=(10.0, 12.0), dtype="float64")
    src = so.Geometry(POSITIONS[:, :1], dt=2.0, t=400.0)
    rec = so.Geometry(POSITIONS, dt=3.0, t=400.0)
    q = so.ricker(src, 0.02, t0=100.0, dtype="float64")
    with pytest.raises(ValueError, match=r"2 ms.*3 ms|3 ms.*2 ms"):
        so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H

    def F(src, rec):
        return so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H

    coarse = F(src.resampled(3.0), rec) @ so.resample(q, src, 3.0)
    fine = F(src, rec.resampled(2.0)) @ q
    # Records that end before all is quiet.
    taper = np.clip((400 - rec.time) / 200, 0, 1)
    assert error(taper * so.resample(fine, rec.resampled(2.0), 3.0), taper * coarse) <= 1e-3
