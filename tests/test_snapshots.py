"""Wavefields at chosen times are what receivers record there, in one march."""

import numpy as np
import pytest
from zoo import ROUNDING, error, world

import seisops as so
from seisops.time_operator import weights_at


def everywhere(w, times_of):
    """Receivers on all nodes of a few rows, on the time axis of the sources."""
    x, z = (o + h * np.arange(n) for o, h, n in zip(w.model.origin, w.model.spacing, w.model.shape, strict=True))
    points = np.stack(np.meshgrid(x, z[5:8], indexing="ij"), -1).reshape(-1, 2)
    rec = so.Geometry(np.broadcast_to(points, (2, *points.shape)), dt=times_of.dt, t=times_of.t)
    return so.modeling(w.model, w.src.resampled(times_of.dt), rec)


def test_snapshots_are_what_receivers_record():
    w = world("2d")
    d = (everywhere(w, w.src) @ w.q).reshape(2, 25, 3, -1)
    k = [0, 7, 30, 60]
    s = so.snapshots(w.F, w.q, times=w.src.time[k])
    assert s.u.shape == (2, 4, 25, 21) and s.model.shape == w.model.shape
    assert error(s.u[:, :, :, 5:8], np.moveaxis(d[..., k], -1, 1)) <= 10 * ROUNDING


def test_snapshots_between_samples_and_in_a_window():
    w = world("2d")
    fine = w.src.resampled(0.5)
    q = so.ricker(w.src, 0.03, dtype="float64")
    d = (everywhere(w, fine) @ so.resample(q, w.src, 0.5)).reshape(2, 25, 3, -1)
    s = so.snapshots(w.F, q, every=10.5, window=[(40.0, 160.0), (60.0, 84.0)])
    assert np.array_equal(s.times, 10.5 * np.arange(12))
    assert s.u.shape == (2, 12, 13, 3)
    assert s.model.extent == ((40.0, 160.0), (60.0, 84.0)) and np.array_equal(s.model.v, w.model.v[4:17, 5:8])
    # A series that is resampled is cut off at its ends, at which the wavelet is 1e-5 of its peak.
    assert error(s.u, np.moveaxis(d[:, 4:17, :, ::21], -1, 1)) <= 1e-3


def test_snapshots_cost_one_march_and_the_memory_of_what_is_asked_for(counted, tmp_path):
    w = world("2d")
    assert counted(lambda: so.snapshots(w.F, w.q, every=20.0)) == 1
    assert counted(lambda: so.illumination(w.F, w.q)) == 1
    expected = so.snapshots(w.F, w.q, every=20.0).u
    s = so.snapshots(w.F, w.q, every=20.0, out=tmp_path / "u.npy")
    assert isinstance(s.u, np.memmap) and np.array_equal(s.u, expected)
    assert np.array_equal(np.load(tmp_path / "u.npy"), expected)


@pytest.mark.parametrize("name", ["(Pr A Ps.H).H", "Pr A Pw.H", "2 M F N", "one shot", "A Ps.H"])
def test_snapshots_of_any_modelling(name):
    w = world("2d")
    ops = {
        "(Pr A Ps.H).H": (w.F.H, w.d, w.A.H @ w.Pr.H @ w.d),
        "Pr A Pw.H": (w.E, w.w, w.A @ w.Pw.H @ w.w),
        "2 M F N": (2 * (w.M @ w.F @ w.N), w.q, 2 * (w.A @ w.Ps.H @ (w.N @ w.q))),
        "one shot": (w.F[1], w.q[1], (w.A @ w.Ps.H @ w.q)[1]),
        "A Ps.H": (w.A @ w.Ps.H, w.q, w.A @ w.Ps.H @ w.q),
    }
    op, x, u = ops[name]
    # On the computational axis itself, whose steps are weighed as W weighs them.
    W = weights_at(w.model, w.rec, np.array([50.0]))
    expected = w.model.crop(np.einsum("t,...txz->...xz", W[:, 0], u))
    assert error(so.snapshots(op, x, times=50.0).u[..., 0, :, :], expected) <= 10 * ROUNDING


def test_the_illumination_is_the_energy_that_receivers_record():
    w = world("2d")
    u = w.A @ w.Ps.H @ w.q
    energy = so.illumination(w.F, w.q)
    assert error(energy, w.src.dt * w.model.crop((u**2).sum(axis=(0, 1)))) <= 10 * ROUNDING
    # Of waves that have passed before the record ends, whose energy does not depend on the time axis.
    model = so.Model(v=np.full((51, 41), 2.0), spacing=10.0, dtype="float64")
    src = so.Geometry.line([200.0, 300.0], 100.0, dt=4.0, t=1000.0)
    rec = so.Geometry.spread([150.0, 400.0], 300.0, nsrc=2, dt=4.0, t=1000.0)
    F, q = so.modeling(model, src, rec), so.ricker(src, 0.02, dtype="float64")
    recorded = src.dt * ((F @ q) ** 2).sum(axis=(0, 2))
    assert error(so.illumination(F, q)[[15, 40], 30], recorded) <= 1e-3


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "Give either the times .* or every"),
        ({"times": 1.0, "every": 1.0}, "Give either"),
        ({"every": 0.0}, "every = 0.0 ms must lie between 0 and the recording time, t = 120 ms"),
        ({"every": 1000.0}, "every = 1000.0 ms must lie"),
        ({"times": [0.0, 121.0]}, r"from 0 to t = 120 ms, got \[0.0, 121.0\] ms"),
        ({"every": 50.0, "window": [(0, 100)]}, r"A window has \(low, high\) in m, or None, for each of 2 axes"),
        (
            {"every": 50.0, "window": [(0, 1000), None]},
            "A window from 0 to 1000 m is not inside the model, from 0 to 240",
        ),
        ({"every": 50.0, "out": "u.txt"}, "written to a file .npy in a folder that exists, got 'u.txt'"),
    ],
)
def test_snapshots_that_cannot_be_taken(options, message):
    w = world("2d")
    with pytest.raises(ValueError, match=message):
        so.snapshots(w.F, w.q, **options)


def test_snapshots_of_what_does_not_march():
    w = world("2d")
    with pytest.raises(ValueError, match=r"Pr: .* has no march that leaves wavefields"):
        so.snapshots(w.Pr, np.zeros(w.Pr.dims), every=10.0)
