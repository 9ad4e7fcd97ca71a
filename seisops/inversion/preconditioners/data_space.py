"""Preconditioners of records: every shot by itself, time last."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from pylops import Diagonal, LinearOperator
from pylops.signalprocessing import FFT
from scipy.fft import next_fast_len

from seisops.arrays import real
from seisops.geometry import Geometry
from seisops.inversion.preconditioners.ramps import both_ends, rise
from seisops.inversion.preconditioners.shotwise import ShotWise
from seisops.units import hertz, warn_if_below


def band_pass(geometry: Geometry, corners: ArrayLike, *, dtype: DTypeLike = "float32") -> ShotWise:
    r"""Zero-phase band-pass.

    .. math:: H(f) = \sin^2\!\Big(\frac{\pi}{2} \frac{f - f_1}{f_2 - f_1}\Big) \text{ rising},\quad 1,\quad
              \cos^2\!\Big(\frac{\pi}{2} \frac{f - f_3}{f_4 - f_3}\Big) \text{ falling}

    Parameters
    ----------
    geometry : Geometry
        Of the records.
    corners : (f1, f2, f3, f4), kHz
        Nothing below f1, everything from f2 to f3, nothing above f4. With f1 = f2 = 0 a low-pass.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data

    Raises
    ------
    ValueError
        If the corners do not rise, or the band lies above half the sampling frequency.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> rec = so.Geometry(np.zeros((4, 10, 2)), dt=4.0, t=400.0)
    >>> so.preconditioners.band_pass(rec, (0.002, 0.004, 0.02, 0.03))
    BandPass: (4, 10, 101) -> (4, 10, 101)
    """
    f = real(corners, "Corners")
    nyquist = 0.5 / geometry.dt
    above = f.shape == (4,) and bool(np.any(f > 0)) and float(f[f > 0].min()) >= nyquist
    if f.shape != (4,) or np.any(np.diff(f) < 0) or not 0 <= f[0] < nyquist or above:
        hint = f" {hertz(float(f.max()))}" if above else ""
        raise ValueError(f"The corners of a band are four rising frequencies from 0 to {nyquist:g} kHz, half the "
                         f"sampling frequency; got {f.tolist()}.{hint}")  # fmt: skip
    return ShotWise(partial(_filter, partial(_band, tuple(f))), geometry, name="BandPass", dtype=dtype)


def time_derivative(geometry: Geometry, order: float = 1.0, *, dtype: DTypeLike = "float32") -> ShotWise:
    r"""The time derivative of any order, fractional ones included; a negative order integrates.

    .. math:: H(f) = (2 \pi i f)^a

    An integral has no mean: the zero frequency is left out.

    Parameters
    ----------
    geometry : Geometry
        Of the records.
    order : float
        The exponent a: 1 differentiates, -1 integrates, 0.5 gives records of line sources the
        phase of point sources.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data, in 1/ms to the power of `order`

    Raises
    ------
    ValueError
        If the order is not finite.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> rec = so.Geometry(np.zeros((1, 1, 2)), dt=4.0, t=2000.0)
    >>> d = so.ricker(rec, f0=0.01)
    >>> D = so.preconditioners.time_derivative(rec, 0.5, dtype="float64")
    >>> whole = so.preconditioners.time_derivative(rec, dtype="float64") @ d
    >>> bool(np.abs(D @ (D @ d) - whole).max() < 1e-3 * np.abs(whole).max())
    True
    """
    if not np.isfinite(order):
        raise ValueError(f"The order of a derivative is a finite number, got {order}.")
    return ShotWise(partial(_filter, partial(_power_law, float(order))), geometry, name="D", dtype=dtype)


def gain(geometry: Geometry, power: float = 1.0, *, dtype: DTypeLike = "float32") -> ShotWise:
    r"""Weights that grow with time, for what geometrical spreading has taken.

    .. math:: w(t) = (t / t_{max})^p

    from the shot at t = 0 on.

    Parameters
    ----------
    geometry : Geometry
        Of the records.
    power : float
        The exponent p, zero or more.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data

    Raises
    ------
    ValueError
        If the exponent is negative: the weight of time zero would be infinite.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> rec = so.Geometry(np.zeros((1, 1, 2)), dt=4.0, t=400.0)
    >>> (so.preconditioners.gain(rec, 2) @ np.ones(rec.shape))[0, 0, [0, 50, 100]].tolist()
    [0.0, 0.25, 1.0]
    """
    if not power >= 0:
        raise ValueError(f"The exponent of a gain is zero or more, got {power}: t = 0 would weigh infinitely much.")
    if not geometry.end > 0:
        raise ValueError(f"{geometry} ends before the shot at time 0: a gain has nothing to weigh.")
    weights = (np.maximum(geometry.time, 0) / geometry.time[-1]) ** power
    return ShotWise(partial(_same_weights, weights), geometry, name="Gain", dtype=dtype)


def time_taper(geometry: Geometry, width: float, *, dtype: DTypeLike = "float32") -> ShotWise:
    """Rises from zero at the beginning of the records and falls to zero at their end, each over `width`.

    Parameters
    ----------
    geometry : Geometry
        Of the records.
    width : float, ms
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    operator on data

    Raises
    ------
    ValueError
        If the two tapers meet.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> rec = so.Geometry(np.zeros((1, 1, 2)), dt=4.0, t=400.0)
    >>> P = so.preconditioners.time_taper(rec, 40)
    >>> (P @ np.ones(rec.shape))[0, 0, [0, 5, 10, 95, 100]].round(1).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    t = geometry.time
    warn_if_below(width, geometry.dt, "The width", "ms", "a sample")
    return ShotWise(partial(_same_weights, both_ends(t, t[0], t[-1], width, "ms")), geometry, name="Taper", dtype=dtype)


def _same_weights(weights: NDArray, geometry: Geometry) -> Diagonal:
    return Diagonal(weights, dims=(geometry.counts[0], geometry.nt))


def _filter(transfer, geometry: Geometry) -> LinearOperator:
    """The convolution whose transfer function of frequency (kHz) is `transfer`."""
    # Twice the length: the convolution is linear, nothing wraps around.
    n = next_fast_len(2 * geometry.nt, real=True)
    spectrum = FFT((geometry.counts[0], geometry.nt), nfft=n, sampling=geometry.dt, real=True, engine="scipy")
    return spectrum.H @ Diagonal(transfer(spectrum.f), dims=spectrum.dimsd, dtype=spectrum.cdtype) @ spectrum


def _band(corners: tuple[float, ...], f: NDArray) -> NDArray:
    f1, f2, f3, f4 = corners
    return rise(f, f1, f2) * rise(-f, -f4, -f3)


def _power_law(order: float, f: NDArray) -> NDArray:
    H = np.zeros(len(f), complex)
    H[1:] = (2j * np.pi * f[1:]) ** order
    H[0] = order == 0
    return H
