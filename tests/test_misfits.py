"""Misfits: exact gradients and curvatures, and what each of them is for."""

import pickle

import numpy as np
import pytest
from zoo import DOT, ROUNDING, SLOPE, error, random

import seisops as so
from seisops import checks

SHAPE = (2, 3, 61)
# Thresholds in the middle of what random residuals take.
MISFITS = [
    so.misfits.L2(),
    so.misfits.Huber(delta=1.0),
    so.misfits.StudentT(scale=0.8, nu=3.0),
    so.misfits.Envelope(),
    so.misfits.CrossCorrelation(),
    so.misfits.OptimalTransport(shift=8.0),
]
every = pytest.mark.parametrize("misfit", MISFITS, ids=lambda m: type(m).__name__)


@every
def test_gradient(misfit):
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    residual = misfit(s, d)[1]
    # Uphill: in a random direction the first-order term may come out small by chance.
    ds = np.sign(residual) * np.abs(random(SHAPE, 3))
    # Steps that change few of the best assignments, where transport has kinks.
    result = checks.taylor_test(
        lambda s: misfit(s, d)[0], residual, s, dm=ds, steps=np.logspace(-3, -6, 7), verbose=False
    )
    assert result.slopes == pytest.approx((1, 2), abs=SLOPE)


@every
def test_curvature(misfit):
    s, d, ds = random(SHAPE, 1), random(SHAPE, 2), random(SHAPE, 3)
    W = misfit.curvature(s, d)
    h = 1e-5
    difference = (misfit(s + h * ds, d)[1] - misfit(s - h * ds, d)[1]) / (2 * h)
    # What central differences leave: h² and rounding over h.
    assert error(W.matvec(ds.ravel()), difference.ravel()) <= 1e-7
    assert error(W.matvec(ds.ravel()), W.rmatvec(ds.ravel())) <= ROUNDING
    assert checks.dot_test(W, verbose=False) <= DOT["float64"]


@every
def test_nothing_between_equal_records(misfit):
    d = random(SHAPE, 2)
    value, residual = misfit(d, d)
    assert value == pytest.approx(0, abs=1e-12)
    assert np.abs(residual).max() <= 1e-12
    assert misfit(d + random(SHAPE, 3), d)[0] > 0


@every
def test_traces_add_up(misfit):
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    value, residual = misfit(s, d)
    parts = [misfit(s[i, :1], d[i, :1]) for i in range(2)] + [misfit(s[i, 1:], d[i, 1:]) for i in range(2)]
    assert value == pytest.approx(sum(v for v, _ in parts), rel=ROUNDING)
    assert error(residual[1, 1:], parts[3][1]) <= ROUNDING


@every
@pytest.mark.parametrize("zero", ["synthetic", "observed", "both"])
def test_dead_traces(misfit, zero):
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    if zero != "observed":
        s[:, 1] = 0
    if zero != "synthetic":
        d[:, 1] = 0
    value, residual = misfit(s, d)
    assert np.isfinite(value)
    assert np.all(np.isfinite(residual))
    assert np.all(np.isfinite(misfit.curvature(s, d).matvec(random(s.size, 3))))
    if zero == "both":
        assert value == pytest.approx(misfit(s[:, ::2], d[:, ::2])[0], rel=ROUNDING)
        assert not np.any(residual[:, 1])


@every
def test_words_and_pickles(misfit):
    again = pickle.loads(pickle.dumps(misfit))
    assert again == misfit
    assert repr(misfit).startswith(type(misfit).__name__)


# ---------------------------------------------------------------------- what they are for


def wavelet(shift=0.0, n=201):
    """A trace with one wavelet of 20 samples' period, moved by `shift` samples."""
    t = np.arange(n) - n // 2 - shift
    return ((1 - 2 * (np.pi * t / 20) ** 2) * np.exp(-((np.pi * t / 20) ** 2)))[None]


def minima(values):
    return int(np.sum((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])))


def test_transport_and_envelope_skip_no_cycles():
    shifts = np.arange(-40, 41, 4)
    transport = so.misfits.OptimalTransport(shift=60)
    for misfit, valleys in ((so.misfits.L2(), 3), (transport, 1)):
        assert minima(np.array([misfit(wavelet(k), wavelet())[0] for k in shifts])) == valleys
    # An oscillation under a wide envelope: least squares has a valley for every cycle.
    carrier = np.cos(2 * np.pi * np.arange(201) / 10)[None]

    def moved(k):
        return np.exp(-(((np.arange(201) - 100 - k) / 25) ** 2)) * np.roll(carrier, k)

    shifts = np.arange(-20, 21)
    valleys = [minima(np.array([m(moved(k), moved(0))[0] for k in shifts])) for m in (so.misfits.L2(), MISFITS[3])]
    assert valleys[0] >= 3
    assert valleys[1] == 1


def test_correlation_is_blind_to_amplitudes():
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    misfit = so.misfits.CrossCorrelation()
    gains = np.array([0.1, 3.0, 20.0])[:, None]
    assert misfit(gains * s, d)[0] == pytest.approx(misfit(s, d)[0], rel=ROUNDING)
    # So the gradient stands on the trace.
    assert np.abs(np.sum(misfit(s, d)[1] * s, axis=-1)).max() <= 1e-12


def test_outliers_hardly_count():
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    d[0, 0, 0] = 1e6
    assert np.abs(so.misfits.Huber(delta=1.0)(s, d)[1]).max() <= 1
    assert abs(so.misfits.StudentT(scale=1.0)(s, d)[1][0, 0, 0]) <= 1e-5


def test_robust_misfits_become_least_squares():
    s, d = random(SHAPE, 1), random(SHAPE, 2)
    value, residual = so.misfits.L2()(s, d)
    for misfit, scale in (
        (so.misfits.Huber(delta=1e3), 1),
        (so.misfits.StudentT(scale=1e7, nu=2.0), 1.5e-14),
        (so.misfits.OptimalTransport(shift=1e-3), 1),
    ):
        v, r = misfit(s, d)
        assert v == pytest.approx(scale * value, rel=1e-10)
        assert error(r, scale * residual) <= 1e-10


def test_the_hilbert_transform_of_a_cosine_is_a_sine():
    # The envelope of an oscillation is its amplitude.
    t = np.linspace(-30, 30, 601)
    window = np.exp(-((t / 8) ** 2))
    turned = so.misfits.traces.hilbert_transform((window * np.cos(3 * t))[None])
    assert np.abs(turned - window * np.sin(3 * t)).max() <= 1e-3
    H = np.stack([so.misfits.traces.hilbert_transform(row) for row in np.eye(41)])
    assert np.abs(H + H.T).max() <= 1e-15


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: so.misfits.Huber(delta=0.0), "delta of Huber must be positive, got 0.0"),
        (lambda: so.misfits.StudentT(scale=-1.0), "scale of StudentT must be positive"),
        (lambda: so.misfits.StudentT(scale=1.0, nu=np.nan), "nu of StudentT must be positive"),
        (lambda: so.misfits.OptimalTransport(shift=np.inf), "shift of OptimalTransport must be positive"),
    ],
)
def test_parameters_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("misfit", MISFITS[3:], ids=lambda m: type(m).__name__)
def test_records_in_a_row_have_no_traces(misfit):
    with pytest.raises(ValueError, match=r"compares traces.*got 61 samples in a row.*d\[None\]"):
        misfit(random(61), random(61, 1))
