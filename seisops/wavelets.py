"""Source signatures."""

from __future__ import annotations

import warnings
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import next_fast_len, rfft, rfftfreq
from scipy.signal import zoom_fft

from seisops.arrays import real
from seisops.geometry import Geometry
from seisops.model import Model

# Grid points that a wavelength needs, by the order of the Laplacian.
POINTS_PER_WAVELENGTH = {2: 8, 4: 5, 6: 4}


def ricker(geometry: Geometry, f0: float, *, t0: float | None = None, amplitude: float = 1.0) -> NDArray:
    r"""Ricker wavelet at every point of a survey.

    .. math:: q(t) = (1 - 2a)\,e^{-a}, \quad a = \pi^2 f_0^2 (t - t_0)^2

    Parameters
    ----------
    geometry : Geometry
        Where the wavelet acts, and its time axis.
    f0 : float, kHz
        Peak frequency.
    t0 : float, ms, optional
        Time of the peak, ``1.5 / f0`` by default, where the onset is below 1e-8.
    amplitude : float
        Value at the peak.

    Returns
    -------
    array of `geometry.shape`, (nsrc, npoint, nt)

    Raises
    ------
    ValueError
        If `f0` is not positive or above half the sampling frequency.

    References
    ----------
    N. Ricker, 1953, The form and laws of propagation of seismic wavelets, Geophysics 18.

    Examples
    --------
    >>> import seisops as so
    >>> src = so.Geometry([[[0.0, 0.0]]], dt=2.0, t=400.0)
    >>> so.ricker(src, f0=0.015).shape
    (1, 1, 201)
    """
    nyquist = 0.5 / geometry.dt
    if not 0 < f0 < nyquist:
        raise ValueError(f"f0 = {f0} kHz must lie between 0 and {nyquist:g} kHz, half the sampling frequency.")
    a = (np.pi * f0 * (geometry.time - (1.5 / f0 if t0 is None else t0))) ** 2
    return broadcast(geometry, amplitude * (1 - 2 * a) * np.exp(-a))


def broadcast(geometry: Geometry, wavelet: ArrayLike) -> NDArray:
    """Put any wavelet at every point of a survey.

    Parameters
    ----------
    geometry : Geometry
    wavelet : array (nt,), or (nsrc, nt) for one per shot

    Returns
    -------
    array of `geometry.shape`, (nsrc, npoint, nt)

    Raises
    ------
    ValueError
        If the wavelet's shape is neither.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> src = so.Geometry([[[0.0, 0.0]], [[50.0, 0.0]]], dt=2.0, nt=4)
    >>> so.wavelets.broadcast(src, np.arange(4.0)).shape
    (2, 1, 4)
    """
    wavelet = real(wavelet, "A wavelet")
    if wavelet.shape not in ((geometry.nt,), (geometry.nsrc, geometry.nt)):
        raise ValueError(
            f"A wavelet has shape ({geometry.nt},) or ({geometry.nsrc}, {geometry.nt}) on {geometry}, "
            f"got {wavelet.shape}."
        )
    shots = np.broadcast_to(wavelet, (geometry.nsrc, geometry.nt))
    return geometry.join([np.tile(s, (n, 1)) for s, n in zip(shots, geometry.counts, strict=True)])


def resample(q: ArrayLike, geometry: Geometry, dt: float) -> NDArray:
    r"""Series on another time axis: those of sources that shall meet receivers of another sampling interval.

    .. math:: q(t) = \sum_k q_k\, \mathrm{sinc}(t / dt_{old} - k), \qquad \text{without what is above } 1 / (2\, dt)

    Parameters
    ----------
    q : array of `geometry.shape`, (nsrc, npoint, nt)
        Wavelets or records on the time axis of `geometry`.
    geometry : Geometry
    dt : float, ms
        The new sampling interval.

    Returns
    -------
    array of ``geometry.resampled(dt).shape``
        Samples of the same function of time, in the precision of `q`: exact for what neither axis is too coarse for.

    Raises
    ------
    ValueError
        If `q` is not on the time axis of `geometry` or not finite, or `dt` is no sampling interval.

    Notes
    -----
    A series is zero before its first sample and after its last. One that begins or ends with a jump, or that has energy
    around half the coarser sampling frequency, rings there: taper it first.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> src = so.Geometry([[[250, 20]]], dt=4, t=400)
    >>> q = so.resample(so.ricker(src, f0=0.02), src, dt=1)
    >>> bool(np.abs(q - so.ricker(src.resampled(1), f0=0.02)).max() < 1e-5)
    True
    """
    other = geometry.resampled(dt)
    q = real(q, "What is resampled", None)
    if not np.isfinite(q).all():
        raise ValueError(f"{int(np.sum(~np.isfinite(q)))} of the samples to resample are not finite.")
    # Twice the length: what is zero beyond the ends does not wrap around.
    n = 2 * next_fast_len(ceil(geometry.t / geometry.dt) + 1, real=True)
    f = rfftfreq(n, geometry.dt)
    # Of a real series every frequency but zero and the last stands for two.
    weights = np.where((f == 0) | (f == f[-1]), 1, 2) / n * (f <= 0.5 / dt * (1 + 1e-12))
    # The sum over frequencies at equal steps of time is a transform again, over a part of the circle.
    circle = [0, other.nt * dt / (n * geometry.dt)]
    shots = [
        zoom_fft(weights * rfft(shot.astype(np.float64), n).conj(), circle, other.nt, fs=1).real
        for shot in geometry.split(q)
    ]
    return other.join(shots).astype(q.dtype if np.issubdtype(q.dtype, np.floating) else np.float64, copy=False)


class UndersampledWarning(UserWarning):
    """A wavelet whose shortest wavelength the grid does not carry."""


def warn_if_undersampled(model: Model, geometry: Geometry, q: NDArray) -> None:
    """Warn when the slowest velocity gives the wavelet too few grid points in its shortest wavelength.

    The shortest wavelength is that of the frequency below which 99 % of the energy lies.
    """
    largest = np.abs(q).max()
    if largest == 0:
        return
    energy = np.cumsum((np.abs(np.fft.rfft(q / largest, axis=-1)) ** 2).sum(axis=0))
    frequency = np.fft.rfftfreq(geometry.nt, geometry.dt)[np.searchsorted(energy, 0.99 * energy[-1])]
    needed = POINTS_PER_WAVELENGTH.get(model.space_order, 3)
    found = model.slowest / max(frequency, 1e-12) / max(model.spacing)
    if found < needed:
        warnings.warn(
            f"The wavelet reaches {1000 * frequency:.1f} Hz: {found:.1f} grid points in the shortest wavelength, where "
            f"order {model.space_order} needs {needed}. Lower f0 below {1000 * frequency * found / needed:.1f} Hz "
            f"maximum, or refine the grid to {max(model.spacing) * found / needed:.2g} m.",
            UndersampledWarning,
            stacklevel=2,
        )
