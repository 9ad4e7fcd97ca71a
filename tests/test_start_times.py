"""Records and wavelets that do not start at time 0: what they are, with what they go together, where it is written."""

import pickle

import matplotlib
import numpy as np
import pytest
from zoo import DOT, ROUNDING, error, random, world

import seisops as so
from seisops import checks

matplotlib.use("Agg")
W = world("2d")
DT, T = 2.0, W.t


def geometry(like, t0, dt=DT, end=T):
    return so.Geometry(like.positions, dt=dt, t=end - t0, t0=t0)


def modeling(t0_rec=0.0, t0_src=0.0, **kwargs):
    return so.modeling(W.model, geometry(W.src, t0_src, **kwargs), geometry(W.rec, t0_rec, **kwargs))


# ---------------------------------------------------------------------- the axis


def test_an_axis_from_another_time():
    g = geometry(W.rec, -10.0)
    assert g.time[0] == -10.0 and g.time[-1] == T and g.nt == 66
    assert (g.onset, g.end, g.t) == (-10.0, T, T + 10)
    late = geometry(W.rec, 40.0)
    assert (late.onset, late.end, late.nt, late.shape) == (0.0, T, 41, (2, 3, 41))
    assert repr(late).endswith("41 samples of 2 ms from 40 ms)")
    assert "40 to 120 ms, 41 samples" in late._repr_html_()
    assert repr(geometry(W.rec, 0.0)).endswith("samples of 2 ms)")
    line = so.Geometry.line([20.0, 30.0], 10.0, dt=2.0, t=100.0, t0=5.0)
    spread = so.Geometry.spread([20.0, 30.0], 10.0, nsrc=2, dt=2.0, nt=51, t0=5.0)
    assert np.array_equal(line.time, spread.time) and line.time[0] == 5.0
    with pytest.raises(ValueError, match=r"first sample, t0, must be finite, got nan ms"):
        so.Geometry(W.rec.positions, dt=2.0, t=100.0, t0=np.nan)


def test_it_is_part_of_what_a_geometry_is(tmp_path):
    late = geometry(W.rec, 40.0)
    assert late != so.Geometry(W.rec.positions, dt=DT, t=late.t)
    assert pickle.loads(pickle.dumps(late)) == late == late[[0, 1]]
    assert late[0].t0 == late[[1]].t0 == late.resampled(1.0).t0 == 40.0
    d = random(late.shape)
    so.save(tmp_path / "run.h5", rec=late, one=late[1], d=so.Records(late, d))
    run = so.load(tmp_path / "run.h5")
    assert run["rec"] == late and run["one"] == late[1] and run["d"].geometry == late


def test_files_of_the_first_format_start_at_zero(tmp_path):
    import h5py

    so.save(tmp_path / "run.h5", rec=W.rec)
    with h5py.File(tmp_path / "run.h5", "a") as file:
        file.attrs["seisops"] = 1
        del file["rec"].attrs["t0"]
    assert so.load(tmp_path / "run.h5")["rec"] == W.rec


# ---------------------------------------------------------------------- operators


def wavelet(src, t0=40.0):
    return so.ricker(src, f0=0.03, t0=t0, dtype="float64")


def test_records_that_start_late_are_those_from_zero_without_their_beginning():
    assert error(modeling(40.0) @ W.q, (W.F @ W.q)[..., 20:]) <= ROUNDING


def test_a_start_between_samples():
    d = modeling(41.3) @ wavelet(W.src)
    fine = modeling(dt=0.1) @ wavelet(geometry(W.src, 0.0, dt=0.1))
    assert d.shape[-1] == 40
    # The wavelet has 1e-6 of its spectrum beyond half the coarser sampling frequency, and starts and ends at as much.
    assert error(d, fine[..., 413::20]) <= 1e-5


@pytest.mark.parametrize("t0", [40.0, 41.3, -31.0])
def test_products_are_exactly_adjoint(t0):
    rec, src = geometry(W.rec, t0), geometry(W.src, min(t0, 0.0))
    Pr, Ps, A = so.Projection(W.model, rec), so.Projection(W.model, src), so.Modeling(W.model, rec)
    Pw = so.LRWF(W.model, src, random((2, src.nt), 4))
    for op in (
        Pr @ A @ Ps.H,
        A @ Ps.H,
        Pr @ A @ Pw.H,
        Pw @ A.H @ Pr.H,
        so.Jacobian(Pr @ A @ Ps.H, random(src.shape, 5)),
    ):
        assert checks.dot_test(op, verbose=False) <= DOT["float64"]
    with so.no_fusion():
        unfused = Pr @ (A @ (Ps.H @ random(src.shape, 5)))
    assert error((Pr @ A @ Ps.H) @ random(src.shape, 5), unfused) <= ROUNDING


def test_waves_that_set_out_earlier_are_the_same_later():
    h = W.model.dt
    t0 = -20 * h
    src, rec = geometry(W.src, t0, dt=h, end=60 * h), geometry(W.rec, t0, dt=h, end=60 * h)
    q = wavelet(src, 0.0)
    d = so.modeling(W.model, src, rec) @ q
    # The medium does not change with time: the same samples, named from zero on.
    again = so.modeling(
        W.model, so.Geometry(src.positions, dt=h, nt=src.nt), so.Geometry(rec.positions, dt=h, nt=rec.nt)
    )
    assert error(d, again @ q) <= ROUNDING


def test_axes_that_do_not_meet_are_refused():
    with pytest.raises(ValueError, match=r"set out at 0 ms meet those that set out at -20 ms.*resampled\(dt, t0=-20\)"):
        so.modeling(W.model, geometry(W.src, -20.0, end=100.0), geometry(W.rec, 0.0))
    with pytest.raises(ValueError, match=r"from 0 to 120 ms and from -20 to 120 ms: let both end at the same t0 \+ t"):
        so.modeling(W.model, geometry(W.src, -20.0), geometry(W.rec, 0.0))
    with pytest.raises(ValueError, match=r"from 0 to 160 ms and from 0 to 120 ms"):
        so.modeling(W.model, W.src, geometry(W.rec, 40.0, end=160.0))
    # And the remedy is one.
    src, rec = geometry(W.src, -20.0), W.rec.resampled(DT, t0=-20.0)
    d = so.modeling(W.model, src, rec) @ so.resample(wavelet(W.src, 55.0), W.src, DT, t0=-20.0)
    # Steps lie elsewhere, and earlier ones carry what interpolation spreads: within what the closed forms leave.
    assert error(d[..., 10:], W.F @ wavelet(W.src, 55.0)) <= 2.5e-4


def test_a_gradient_of_late_records():
    F, d = modeling(40.0), random((2, 3, 41), 6)
    padded = np.concatenate([(W.F @ W.q)[..., :20], d], axis=-1)
    value, gradient = so.fwi(F, W.q, d)
    # Where the beginning agrees, it adds nothing.
    same, other = so.fwi(W.F, W.q, padded)
    assert value == pytest.approx(same, rel=1e-10)
    assert error(gradient, other) <= 1e-10


def test_snapshots_are_at_times_of_the_survey():
    src = geometry(so.Geometry([[[100.0, 120.0]]], dt=DT, t=T), -20.0)
    rec = geometry(so.Geometry([[[140.0, 60.0]]], dt=DT, t=T), -20.0)
    F, q = so.modeling(W.model, src, rec), wavelet(src)
    every = so.snapshots(F, q, every=20.0)
    assert every.times.tolist() == [-20.0, 0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0]
    s = so.snapshots(F, q, times=rec.time[::5])
    assert error(s.u[0, :, 14, 5], (F @ q)[0, 0, ::5]) <= 1e-10
    with pytest.raises(ValueError, match=r"Snapshots are at times from -20 to t = 120 ms, got \[-21"):
        so.snapshots(F, q, times=[-21.0])
    late = so.modeling(W.model, geometry(src, 0.0), geometry(rec, 60.0))
    assert so.snapshots(late, wavelet(geometry(src, 0.0)), every=60.0).times.tolist() == [0.0, 60.0, 120.0]


def test_surveys_that_are_made_of_others_keep_it():
    src, rec = geometry(W.src, -20.0), geometry(W.shared, -20.0)
    F = so.modeling(W.model, src, rec)
    encoded = so.Encoding([[1.0, -2.0]]) @ F
    assert {f.geometry.t0 for f in (encoded.factors[0], encoded.factors[1])} == {-20.0}
    assert [g.t0 for g in so.reciprocal(src, rec)] == [-20.0, -20.0]


# ---------------------------------------------------------------------- series


def test_a_wavelet_around_time_zero():
    src = so.Geometry.line([50.0], 20.0, dt=2.0, t=300.0, t0=-100.0)
    q = so.ricker(src, f0=0.02, t0=0.0)[0, 0]
    assert src.time[q.argmax()] == 0.0
    assert np.allclose(q[:101], q[100::-1], atol=1e-6)
    # Without t0 it is the one that sources from 0 on have.
    assert src.time[so.ricker(src, f0=0.02)[0, 0].argmax()] == pytest.approx(75.0, abs=1.0)
    with pytest.warns(so.wavelets.WaveletWarning, match=r"cut off at t = -100: .* Give t0=-56\.5 or more; the default"):
        so.ricker(src, f0=0.02, t0=-90.0)
    late = so.Geometry.line([50.0], 20.0, dt=2.0, t=300.0, t0=100.0)
    with pytest.warns(so.wavelets.WaveletWarning, match=r"cut off at t = 100: .*or let the geometry start earlier"):
        so.ricker(late, f0=0.02)
    with pytest.warns(so.wavelets.WaveletWarning, match=r"end of the record, t = 200 ms.*Record t=343\.5 or more"):
        so.ricker(src, f0=0.02, t0=200.0)


def test_series_from_another_start():
    g, earlier = geometry(W.rec, 0.0), geometry(W.rec, -20.0)
    d = random(g.shape)
    assert g.resampled(DT, t0=-20.0) == earlier
    assert error(so.resample(d, g, DT, t0=-20.0), np.pad(d, ((0, 0), (0, 0), (10, 0)))) <= ROUNDING
    assert error(so.resample(d, g, DT, t0=20.0), d[..., 10:]) <= ROUNDING
    long = so.Geometry(W.rec.positions, dt=2.0, t=1200.0)

    def bell(g):
        return np.broadcast_to(np.exp(-0.5 * ((g.time - 600) / 24) ** 2), g.shape)

    for dt, t0 in ((2.0, 3.7), (1.3, -50.9), (3.0, 100.0)):
        there = long.resampled(dt, t0=t0)
        assert there.end == long.end
        assert error(so.resample(bell(long), long, dt, t0=t0), bell(there)) <= 1e-9


def test_preconditioners_count_from_the_shot():
    early, late = (so.Geometry(W.rec.positions, dt=2.0, t=100.0, t0=t0) for t0 in (-20.0, 40.0))
    ones = np.ones(early.shape)
    g = (so.preconditioners.gain(early, 1.0) @ ones)[0, 0]
    assert not g[:11].any() and g[-1] == 1.0 and np.allclose(g[10:], early.time[10:] / 80)
    assert (so.preconditioners.gain(late, 1.0) @ ones)[0, 0, 0] == pytest.approx(40 / 140)
    with pytest.raises(ValueError, match="ends before the shot at time 0"):
        so.preconditioners.gain(so.Geometry(W.rec.positions, dt=2.0, t=100.0, t0=-200.0))
    for g in (early, late):
        taper = (so.preconditioners.time_taper(g, 20.0) @ ones)[0, 0]
        assert taper[0] == 0 and taper[10] == pytest.approx(1) and np.allclose(taper, taper[::-1], atol=1e-6)
    src = so.Geometry(W.src.positions, dt=2.0, t=100.0)
    kept = [so.preconditioners.reflection_mute(g, src, velocity=2.0, t0=30.0) @ ones for g in (early, late)]
    assert np.array_equal(kept[0][..., 30:], kept[1][..., :21])


def test_pictures_begin_where_records_do():
    late = so.Geometry.spread(np.linspace(10, 190, 7), 20.0, nsrc=1, dt=2.0, t=100.0, t0=40.0)
    assert so.plot.shot(late, random(late.shape)).get_ylim() == (0.14, 0.04)
    uneven = so.Geometry.spread(np.linspace(3, 13, 7) ** 2, 20.0, nsrc=1, dt=2.0, t=100.0, t0=40.0)
    assert so.plot.shot(uneven, random(uneven.shape)).get_ylim() == pytest.approx((0.14, 0.04))
