"""Source signatures."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.fft import next_fast_len, rfft, rfftfreq
from scipy.signal import zoom_fft

from seisops.arrays import real
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.notices import SetupWarning, warn
from seisops.units import hertz

# Grid points that a wavelength needs, by the order of the Laplacian.
POINTS_PER_WAVELENGTH = {2: 8, 4: 5, 6: 4}
# Half the length of a Ricker wavelet in periods of its peak frequency: what is beyond is below 1 % of the peak.
RICKER_HALF = 0.87
# How many times its peak frequency it reaches: what is beyond is below 2 % of the largest amplitude.
RICKER_BAND = 2.6
# What of its largest value a wavelet may begin or end at.
JUMP = 0.05


def ricker(
    geometry: Geometry, f0: float, *, t0: float | None = None, amplitude: float = 1.0, dtype: DTypeLike = "float32"
) -> NDArray:
    r"""Ricker wavelet at every point of a survey.

    .. math:: q(t) = (1 - 2a)\,e^{-a}, \quad a = \pi^2 f_0^2 (t - t_0)^2

    Parameters
    ----------
    geometry : Geometry
        Where the wavelet acts, and its time axis.
    f0 : float, kHz
        Peak frequency.
    t0 : float, ms, optional
        Time of the peak, ``1.5 / f0`` by default, where the onset is below 1e-8; 0 for a zero-phase wavelet, on an axis
        that begins before.
    amplitude : float
        Value at the peak.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    array of `geometry.shape`, (nsrc, npoint, nt)

    Raises
    ------
    ValueError
        If `f0` is not positive or above half the sampling frequency.

    Warns
    -----
    WaveletWarning
        If the record cuts the wavelet off, or its band reaches half the sampling frequency.

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
    _check_survey(geometry, "ricker")
    nyquist = 0.5 / geometry.dt
    if not 0 < f0 < nyquist:
        raise ValueError(
            f"f0 = {f0} kHz must lie between 0 and {nyquist:g} kHz, half the sampling frequency. {hertz(f0)}"
        )
    t0 = 1.5 / f0 if t0 is None else t0
    _check_ricker(geometry, f0, t0)
    a = (np.pi * f0 * (geometry.time - t0)) ** 2
    return _at_all_points(geometry, real(amplitude * (1 - 2 * a) * np.exp(-a), "A wavelet").astype(dtype))


def _check_ricker(geometry: Geometry, f0: float, t0: float) -> None:
    """Warn of a Ricker wavelet that its record cuts off or its samples do not carry."""
    half, name = RICKER_HALF / f0, f"The Ricker wavelet of f0 = {f0:g} kHz"
    first, end = geometry.t0, geometry.end
    if 2 * half > geometry.t:
        warn(
            f"{name} is {2 * half:.4g} ms long, the record t = {geometry.t:g} ms. Record longer, or raise f0; "
            f"{f0:g} kHz is {1000 * f0:g} Hz.",
            WaveletWarning,
        )
    elif t0 - half < first:
        remedy = f"the default is t0={1.5 / f0:.4g}" if first + half < 1.5 / f0 else "or let the geometry start earlier"
        warn(
            f"{name} is cut off at t = {first:g}: it peaks at t0 = {t0:g} ms and begins {half:.4g} ms earlier. "
            f"Give t0={first + half:.4g} or more; {remedy}.",
            WaveletWarning,
        )
    elif t0 + half > end:
        warn(
            f"{name} is cut off at the end of the record, t = {end:g} ms: it peaks at t0 = {t0:g} ms and ends "
            f"{half:.4g} ms later. Record t={t0 + half - first:.4g} or more, or lower t0.",
            WaveletWarning,
        )
    nyquist = 0.5 / geometry.dt
    if f0 > nyquist / RICKER_BAND:
        warn(
            f"{name} is aliased: it reaches {RICKER_BAND * f0:.4g} kHz, samples of dt = {geometry.dt:g} ms carry "
            f"{nyquist:g} kHz. Sample at dt={0.5 / (RICKER_BAND * f0):.3g} or finer, or lower f0 to "
            f"{nyquist / RICKER_BAND:.3g}.",
            WaveletWarning,
        )


def wavelet(geometry: Geometry, w: ArrayLike, *, dtype: DTypeLike = "float32") -> NDArray:
    """Put a wavelet of your own at every point of a survey.

    Parameters
    ----------
    geometry : Geometry
    w : array (nt,), or (nsrc, nt) for one per shot
        Samples on the time axis of `geometry`, or the first of them: zeros follow.
    dtype : {"float32", "float64"}
        Precision: that of the model.

    Returns
    -------
    array of `geometry.shape`, (nsrc, npoint, nt)

    Raises
    ------
    ValueError
        If the wavelet's shape is neither, or it is longer than the record.

    Warns
    -----
    WaveletWarning
        If the wavelet begins or ends with a jump.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> src = so.Geometry([[[0.0, 0.0]], [[50.0, 0.0]]], dt=2.0, nt=8)
    >>> so.wavelet(src, np.hanning(5))[1, 0].round(1).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    """
    _check_survey(geometry, "wavelet")
    w = real(w, "A wavelet")
    if w.ndim not in (1, 2) or w.shape[-1] > geometry.nt or (w.ndim == 2 and len(w) != geometry.nsrc):
        longer = f" Its {w.shape[-1]} samples of {geometry.dt:g} ms are longer than the record." if (
            w.ndim and w.shape[-1] > geometry.nt) else ""  # fmt: skip
        raise ValueError(
            f"A wavelet has shape ({geometry.nt},) or ({geometry.nsrc}, {geometry.nt}) on {geometry}, or fewer "
            f"samples; got {w.shape}.{longer}"
        )
    if not np.isfinite(w).all():
        raise ValueError(f"{int(np.sum(~np.isfinite(w)))} samples of the wavelet are not finite.")
    jump = max(np.abs(w[..., 0]).max(), np.abs(w[..., -1]).max()) if w.shape[-1] > 1 else 0.0
    peak = np.abs(w).max(initial=0)
    # A single sample is a spike, and meant to be one.
    if jump > JUMP * peak and np.count_nonzero(w) > w.size // w.shape[-1]:
        warn(
            f"The wavelet is cut off: it begins or ends at {jump / peak:.0%} of its largest value. Give it whole, with "
            "samples that come from zero and return to it.",
            WaveletWarning,
        )
    return _at_all_points(geometry, np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, geometry.nt - w.shape[-1])]).astype(dtype))


def _at_all_points(geometry: Geometry, w: NDArray) -> NDArray:
    """The wavelet of all shots (nt,), or of each (nsrc, nt), at every point."""
    shots = np.broadcast_to(w, (geometry.nsrc, geometry.nt))
    return geometry.join([np.tile(s, (n, 1)) for s, n in zip(shots, geometry.counts, strict=True)])


def _check_survey(geometry: Geometry, name: str) -> None:
    if not isinstance(geometry, Geometry):
        raise TypeError(
            f"so.{name} takes the Geometry of the sources first, got {type(geometry).__name__}: so.{name}(src, ...)."
        )


def resample(q: ArrayLike, geometry: Geometry, dt: float, *, t0: float | None = None) -> NDArray:
    r"""Series on another time axis: those of sources that shall meet receivers of another sampling interval.

    .. math:: q(t) = \sum_k q_k\, \mathrm{sinc}(t / dt_{old} - k), \qquad \text{without what is above } 1 / (2\, dt)

    Parameters
    ----------
    q : array of `geometry.shape`, (nsrc, npoint, nt)
        Wavelets or records on the time axis of `geometry`.
    geometry : Geometry
    dt : float, ms
        The new sampling interval.
    t0 : float, ms, optional
        The time of the new first sample; that of `geometry` by default. The end stays.

    Returns
    -------
    array of ``geometry.resampled(dt, t0=t0).shape``
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
    other = geometry.resampled(dt, t0=t0)
    q = real(q, "What is resampled", None)
    if not np.isfinite(q).all():
        raise ValueError(f"{int(np.sum(~np.isfinite(q)))} of the samples to resample are not finite.")
    # Twice the length: what is zero beyond the ends does not wrap around.
    n = 2 * next_fast_len(ceil(max(geometry.t, other.t) / geometry.dt) + 1, real=True)
    f = rfftfreq(n, geometry.dt)
    # Of a real series every frequency but zero and the last stands for two.
    weights = np.where((f == 0) | (f == f[-1]), 1, 2) / n * (f <= 0.5 / dt * (1 + 1e-12))
    # The sum over frequencies at equal steps of time is a transform again, over a part of the circle.
    circle = [0, other.nt * dt / (n * geometry.dt)]
    weights = weights * np.exp(-2j * np.pi * f * (other.t0 - geometry.t0))
    shots = [
        zoom_fft(weights * rfft(shot.astype(np.float64), n).conj(), circle, other.nt, fs=1).real
        for shot in geometry.split(q)
    ]
    return other.join(shots).astype(q.dtype if np.issubdtype(q.dtype, np.floating) else np.float64, copy=False)


class WaveletWarning(SetupWarning):
    """A wavelet that is cut off or aliased."""


class UndersampledWarning(WaveletWarning):
    """A wavelet whose shortest wavelength the grid does not carry."""


def warn_if_undersampled(model: Model, geometry: Geometry, q: NDArray) -> None:
    """Warn when the slowest velocity gives the wavelet too few grid points in its shortest wavelength.

    The shortest wavelength is that of the frequency below which 99 % of the energy lies.
    """
    largest = np.maximum.reduce(np.abs(q), axis=None)
    if largest == 0:
        return
    spectrum = np.add.reduce(np.abs(np.fft.rfft((q / largest).reshape(-1, geometry.nt))) ** 2)
    needed = POINTS_PER_WAVELENGTH.get(model.space_order, 3)
    # Of every product this is asked: whether the frequencies with enough points carry the energy.
    carried = int(model.slowest / needed / max(model.spacing) * geometry.nt * geometry.dt) + 1
    if np.add.reduce(spectrum[:carried]) >= 0.99 * np.add.reduce(spectrum):
        return
    frequencies, energy = np.fft.rfftfreq(geometry.nt, geometry.dt), np.cumsum(spectrum)
    frequency = frequencies[np.searchsorted(energy, 0.99 * energy[-1])]
    found = model.slowest / max(frequency, 1e-12) / max(model.spacing)
    if found < needed:
        # Stretched in time, a wavelet reaches as much lower as its peak is; a step or a spike has none.
        peak = _peak(frequencies, spectrum)
        lower = f"Lower its peak frequency f0 to {peak * found / needed:.2g} kHz, or refine" if peak else "Refine"
        warn(
            f"The source peaks at {peak:.3g} kHz and reaches {frequency:.3g} kHz, with {found:.1f} grid points in the "
            f"shortest wavelength, where order {model.space_order} needs {needed}. {lower} the "
            f"grid to {max(model.spacing) * found / needed:.2g} m.",
            UndersampledWarning, told=model.told, cause=("undersampled", f"{frequency:.2g}"),
        )  # fmt: skip


def _peak(frequencies: NDArray, spectrum: NDArray) -> float:
    """The frequency of the largest amplitude, between samples."""
    k = int(np.argmax(spectrum))
    if not 0 < k < len(spectrum) - 1:
        return float(frequencies[k])
    left, middle, right = np.log(np.maximum(spectrum[k - 1 : k + 2], 1e-300))
    curvature = left - 2 * middle + right
    return float(frequencies[k] + (0.5 * (left - right) / curvature if curvature else 0.0) * frequencies[1])
