"""Wavelets: cut off, aliased or too long for the record, they are warned of; and a source the grid does not carry."""

import warnings

import numpy as np
import pytest

import seisops as so
from seisops.wavelets import UndersampledWarning, WaveletWarning


def survey(dt=4.0, t=1000.0):
    return so.Geometry.line([250.0, 300.0], 20.0, dt=dt, t=t)


def world(n=51, **kwargs):
    model = so.Model(v=np.full((n, 41), 2.0), spacing=10.0)
    src = survey(**kwargs)
    return so.modeling(model, src, src), src


@pytest.mark.parametrize(
    "f0, options, message",
    [
        (0.01, {"t0": 40.0}, r"f0 = 0.01 kHz is cut off at t = 0: it peaks at t0 = 40 ms and begins 87 ms .*t0=87"),
        (0.01, {"t0": 0.0}, "cut off at t = 0"),
        (0.01, {"t0": 950.0}, r"cut off at the end of the record, t = 1000 ms: it peaks at t0 = 950.*Record t=1037"),
        (0.01, {"t0": 2000.0}, "cut off at the end of the record"),
        (0.0008, {}, r"cut off at the end|is 2175 ms long, the record t = 1000 ms.*0.0008 kHz is 0.8 Hz"),
        (0.1, {}, r"is aliased: it reaches 0.26 kHz, samples of dt = 4 ms carry 0.125 kHz.*dt=1.92.*f0 to 0.0481"),
    ],
)  # fmt: skip
def test_a_ricker_that_the_record_does_not_hold(f0, options, message):
    with pytest.warns(WaveletWarning, match=message):
        so.ricker(survey(), f0, **options)


@pytest.mark.parametrize("f0, options", [(0.01, {}), (0.01, {"t0": 87.0}), (0.048, {}), (0.002, {"t0": 500.0})])
def test_a_ricker_that_the_record_holds(f0, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        q = so.ricker(survey(), f0, **options)
    # What is cut off is below a hundredth.
    assert np.abs(q[..., [0, -1]]).max() < 0.01


def test_a_ricker_has_the_precision_of_an_operator():
    assert so.ricker(survey(), 0.01).dtype == np.float32
    assert so.ricker(survey(), 0.01, dtype="float64").dtype == np.float64
    assert so.wavelet(survey(), np.hanning(9)).dtype == np.float32
    F, src = world()
    assert (F @ so.ricker(src, 0.02)).dtype == F.dtype


def test_a_wavelet_of_ones_own():
    src = survey()
    w = np.hanning(21)
    q = so.wavelet(src, w, dtype="float64")
    assert q.shape == src.shape
    for i in range(2):
        assert np.array_equal(q[i, 0, :21], w)
        assert not q[i, 0, 21:].any()


def test_a_wavelet_with_a_jump():
    with pytest.warns(WaveletWarning, match="begins or ends at 100% of its largest value"):
        so.wavelet(survey(), np.ones(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spike = np.zeros(251)
        spike[0] = 1
        so.wavelet(survey(), spike)


def test_the_limit_is_in_terms_of_the_peak_frequency():
    F, src = world()
    with pytest.warns(
        UndersampledWarning, match=r"peaks at 0\.04 kHz and reaches .* kHz.*order 8 needs 3.*f0 to"
    ) as told:
        F @ so.ricker(src, 0.04)
    limit = float(str(told[0].message).partition("f0 to ")[2].split()[0])
    # What it says is what it takes.
    F, src = world(n=52)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F @ so.ricker(src, 0.97 * limit)
    with pytest.warns(UndersampledWarning):
        F @ so.ricker(src, 1.1 * limit)


def test_what_has_no_peak_frequency_is_not_told_to_lower_it():
    F, src = world()
    q = np.zeros(src.shape)
    q[..., 10:] = 0.5 ** np.arange(src.nt - 10)
    with pytest.warns(UndersampledWarning, match=r"needs 3\. Refine the grid to [0-9.]+ m\."):
        F @ q


def test_a_background_below_the_band():
    F, src = world()
    q = so.ricker(src, 0.02)
    exact = so.Jacobian(F, q).H @ (F @ q)

    def image(fmax):
        with so.config(storage=so.storage.Subsampled(fmax=fmax)):
            return so.Jacobian(F, q).H @ (F @ q)

    with pytest.warns(UserWarning, match=r"Subsampled\(fmax=0.02\) leaves out \d\d% of the energy.*three times"):
        poor = image(0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good = image(0.06)
    wrong = [np.linalg.norm(x - exact) / np.linalg.norm(exact) for x in (poor, good)]
    assert wrong[0] > 0.1 > 0.01 > wrong[1]


def test_a_background_in_hertz():
    F, src = world()
    q = so.ricker(src, 0.02)
    with so.config(storage=so.storage.Subsampled(30.0)):
        J = so.Jacobian(F, q)
        with pytest.raises(ValueError, match=r"fmax = 30 kHz is far above 0\.\d+ kHz.*30 Hz is 0.03"):
            J.H @ (F @ q)
