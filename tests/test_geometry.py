"""Surveys: shots, points and their time axis."""

import pickle

import numpy as np
import pytest
from zoo import random

import seisops as so

POSITIONS = np.random.default_rng(0).uniform(0, 100, (4, 3, 2))


def geometry(positions=POSITIONS, **kwargs):
    return so.Geometry(positions, **({"dt": 2.0, "t": 100.0} | kwargs))


RAGGED = [POSITIONS[0], POSITIONS[1, :1], POSITIONS[2, :2]]


def test_shape():
    g = geometry()
    assert (g.nsrc, g.npoint, g.nt, g.shape, g.ndim, len(g)) == (4, 3, 51, (4, 3, 51), 2, 4)
    assert not g.ragged
    assert np.array_equal(g.time, np.arange(51) * 2.0)
    assert all(np.array_equal(a, b) for a, b in zip(g.positions, POSITIONS, strict=True))


def test_shape_of_a_ragged_survey():
    g = geometry(RAGGED)
    assert g.ragged
    assert (g.nsrc, g.npoint, g.shape) == (3, (3, 1, 2), (6 * 51,))


def test_a_list_of_equals_is_not_ragged():
    assert geometry(list(POSITIONS)).shape == (4, 3, 51)


@pytest.mark.parametrize(
    "dt, t, nt", [(2.0, 100.0, 51), (2.0, 101.9, 51), (0.1, 0.3, 4), (3.0, 100.0, 34), (0.7, 0.7, 2)]
)
def test_number_of_samples(dt, t, nt):
    assert geometry(dt=dt, t=t).nt == nt


def test_time_by_samples():
    g = geometry(t=None, nt=51)
    assert (g.nt, g.t) == (51, 100.0)


@pytest.mark.parametrize("index", [0, 3, -1, slice(1, 3), slice(None, None, 2), [0, 3], [2, 1], np.array([1]), [-1, 0]])
def test_index_selects_as_data_do(index):
    g, d = geometry(), random((4, 3, 51))
    part = g[index]
    assert part.shape == d[index].shape
    expected = POSITIONS[index] if np.ndim(POSITIONS[index]) == 3 else POSITIONS[index][None]
    assert np.array_equal(np.stack(part.positions), expected)
    assert (part.dt, part.t, part.nt) == (g.dt, g.t, g.nt)


def test_a_mask_selects_as_data_do():
    g = geometry()
    mask = np.array([True, False, True, False])
    assert np.array_equal(np.stack(g[mask].positions), POSITIONS[mask])


def test_index_of_a_ragged_survey():
    g = geometry(RAGGED)
    assert g[1].shape == (1, 51)
    assert g[[0]].shape == (1, 3, 51)
    assert g[:2].shape == (4 * 51,)
    assert g[[0, 2]].npoint == (3, 2)


@pytest.mark.parametrize("positions", [POSITIONS, RAGGED], ids=["even", "ragged"])
def test_split_and_join_are_inverse(positions):
    g = geometry(positions)
    d = random(g.shape)
    shots = g.split(d)
    assert [s.shape for s in shots] == [(n, 51) for n in g.counts]
    assert np.array_equal(g.join(shots), d)
    assert np.array_equal(np.concatenate([s.ravel() for s in shots]), d.ravel())
    assert np.array_equal(g.join(g.split(d.ravel())), d)


def test_split_of_one_shot():
    g = geometry()[2]
    d = random((3, 51))
    assert np.array_equal(g.split(d)[0], d)
    assert np.array_equal(g.join([d]), d)


def test_positions_are_copied_and_fixed():
    positions = POSITIONS.copy()
    g = geometry(positions)
    positions[:] = 0
    assert np.array_equal(g.positions[0], POSITIONS[0])
    with pytest.raises(ValueError, match="read-only"):
        g.positions[0][0, 0] = 1


def test_iteration_gives_the_shots():
    shots = list(geometry())
    assert [s.shape for s in shots] == [(3, 51)] * 4


def test_repr():
    assert repr(geometry()) == "Geometry(4 shots x 3 points, 51 samples of 2 ms)"
    assert repr(geometry(RAGGED)) == "Geometry(3 shots x 1-3 points, 51 samples of 2 ms)"
    assert repr(geometry(POSITIONS[:1, :1])) == "Geometry(1 shot x 1 point, 51 samples of 2 ms)"


def test_pickle():
    g = geometry(RAGGED)
    again = pickle.loads(pickle.dumps(g))
    assert repr(again) == repr(g)
    assert all(np.array_equal(a, b) for a, b in zip(again.positions, g.positions, strict=True))


# ---------------------------------------------------------------------- wavelets


@pytest.mark.parametrize("positions", [POSITIONS, RAGGED], ids=["even", "ragged"])
def test_ricker(positions):
    g = geometry(positions, t=400.0)
    q = so.ricker(g, 0.02, t0=100.0, amplitude=3.0, dtype="float64")
    assert q.shape == g.shape
    for shot in g.split(q):
        for trace in shot:
            assert trace.max() == trace[50] == 3.0
            assert abs(trace.sum()) <= 1e-6, "a Ricker wavelet has no mean"
    spectrum = np.abs(np.fft.rfft(g.split(q)[0][0], 4096))
    # The peak of a spectrum sampled every 0.12 Hz.
    assert np.fft.rfftfreq(4096, 2.0)[np.argmax(spectrum)] == pytest.approx(0.02, abs=2e-4)


def test_ricker_begins_with_nothing():
    q = so.ricker(geometry(t=400.0), 0.02)
    assert abs(q[0, 0, 0]) <= 1e-7
    assert q[0, 0].argmax() == 37 or q[0, 0].argmax() == 38, "1.5 periods of 50 ms"


def test_ricker_of_one_shot():
    assert so.ricker(geometry()[1], 0.04).shape == (3, 51)


def test_a_wavelet_at_every_point():
    g = geometry()
    w = random(51) * np.hanning(51)
    assert np.array_equal(so.wavelet(g, w, dtype="float64"), np.broadcast_to(w, g.shape))
    each = random((4, 51)) * np.hanning(51)
    assert np.array_equal(so.wavelet(g, each, dtype="float64"), np.broadcast_to(each[:, None], g.shape))
