r"""Between the time axis of the data and that of the computation.

One linear operator W takes a signal sampled every `dt` to the computational step `h`, and its
transpose records:

.. math:: W_{nk} = \frac{\sqrt{h\,dt}}{\pi} \int \sqrt{\cos(\omega h/2)}\,
          \cos(\omega t_n - \hat\omega(\omega) \tau_k)\, d\omega, \qquad
          \hat\omega = \tfrac{2}{h} \sin(\omega h / 2)

over :math:`\omega < \pi/h,\ \hat\omega < \pi/dt`. It resamples within the band both axes carry and
removes the dispersion of the leapfrog scheme, which solves the wave equation at the warped
frequency instead of the true one (Koene et al., 2018, GJI 213). It is an isometry on
that band, so a sampler may record with the transpose of what it injects with.

Step n = 0 is when waves set out: at time 0 of the data, or with their first sample if that is earlier, so that records
that start late are those that start at 0 without their beginning. Sources and receivers of a product agree in it.

What a scheme takes or gives in between its steps, or integrated, is brought onto their axis by filters of the steps:

========== =======================================================================================
integral   :math:`h \sum_{k \le n} x_k`, half a step later
half       from half a step after every step onto the steps, by interpolation over 16 of them
previous   a step later: what is read after a step that it belongs to the end of
change     :math:`x_n - x_{n+1}`, half a step later
========== =======================================================================================
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

from seisops.geometry import Geometry
from seisops.model import Model
from seisops.physics.stencil import weights
from seisops.physics.terms import Difference

# Steps computed beyond the last sample, so that it is interpolated from both sides.
TAIL = 16
CHUNK = 64


def computational_steps(model: Model, geometry: Geometry) -> int:
    """Number of computational time steps from when waves set out to the end of recording of `geometry`."""
    return ceil((geometry.end - geometry.onset) / model.dt - 1e-9) + 1 + TAIL


def time_operator(model: Model, geometry: Geometry, filters: tuple[str, ...] = (), recorded: bool = False) -> NDArray:
    """The matrix W of shape (computational steps, samples), read-only, in the model's precision.

    Parameters
    ----------
    filters : tuple of str
        What is done to the steps of a source after W, or to what is recorded before W's transpose.
    recorded : bool
        Which of both.
    """
    steps = computational_steps(model, geometry)
    first = geometry.t0 - geometry.onset
    key = (steps, model.dt, first, geometry.nt, geometry.dt, model.correct_dispersion)
    return _filtered(*key, filters, recorded, model.dtype) if filters else _time_operator(*key, model.dtype)


@lru_cache(maxsize=16)
def _filtered(
    steps: int,
    h: float,
    first: float,
    nt: int,
    dt: float,
    correct: bool,
    filters: tuple[str, ...],
    recorded: bool,
    dtype: np.dtype,
) -> NDArray:
    W = _time_operator(steps, h, first, nt, dt, correct, np.dtype(float))
    W = filtered(W, h, filters[::-1], transpose=True) if recorded else filtered(W, h, filters)
    W = np.ascontiguousarray(W.astype(dtype))
    W.flags.writeable = False
    return W


def filtered(x: NDArray, h: float, filters: tuple[str, ...], *, transpose: bool = False) -> NDArray:
    """Filters, or their transposes, along the first axis of `x`, the steps; the first of them acts first."""
    for name in filters:
        x = _integral(x, h, transpose) if name == "integral" else _taps(x, TAPS[name], transpose)
    return x


def _integral(x: NDArray, h: float, transpose: bool) -> NDArray:
    return h * (np.cumsum(x[::-1], axis=0)[::-1] if transpose else np.cumsum(x, axis=0))


def _taps(x: NDArray, taps: dict[int, float], transpose: bool) -> NDArray:
    """The sum of x[n + k] with the weights of every k, zero before the first and after the last step."""
    n, y = len(x), np.zeros_like(x)
    for k, weight in taps.items():
        k = -k if transpose else k
        there, here = slice(max(k, 0), n + min(k, 0)), slice(max(-k, 0), n + min(-k, 0))
        y[here] += x.dtype.type(weight) * x[there]
    return y


# What stands for step n + 1/2 is at index n.
_HALF = dict(zip(*weights(Difference(0, degree=0, shift=-1), 16), strict=True))
TAPS = {"half": _HALF, "previous": {-1: 1.0}, "change": {0: 1.0, 1: -1.0}}


@lru_cache(maxsize=16)
def _time_operator(steps: int, h: float, first: float, nt: int, dt: float, correct: bool, dtype: np.dtype) -> NDArray:
    W = _weights(steps, h, dt, first + np.arange(nt) * dt, ceil((first + nt * dt) / h), correct, dtype)
    W.flags.writeable = False
    return W


def weights_at(model: Model, geometry: Geometry, times: NDArray) -> NDArray:
    """W for samples at any times, of data on the time axis of `geometry` otherwise: (computational steps, time)."""
    steps = computational_steps(model, geometry)
    last = ceil((geometry.t0 - geometry.onset + geometry.nt * geometry.dt) / model.dt)
    return _weights(steps, model.dt, geometry.dt, times - geometry.onset, last, model.correct_dispersion, model.dtype)


def _weights(steps: int, h: float, dt: float, times: NDArray, last: int, correct: bool, dtype: np.dtype) -> NDArray:
    n = next_fast_len(8 * max(steps, last), real=True)
    n += n % 2
    omega = 2 * np.pi * np.fft.rfftfreq(n, h)
    warped = 2 / h * np.sin(omega * h / 2) if correct else omega
    weight = np.sqrt(np.maximum(np.cos(omega * h / 2), 0)) if correct else np.ones_like(omega)
    carried = int(np.searchsorted(warped, np.pi / dt * (1 + 1e-12), side="right"))
    W = np.empty((steps, len(times)), dtype)
    for k in range(0, len(times), CHUNK):
        tau = times[k : k + CHUNK]
        spectrum = np.zeros((len(tau), len(omega)), complex)
        spectrum[:, :carried] = weight[:carried] * np.exp(-1j * np.outer(tau, warped[:carried]))
        W[:, k : k + len(tau)] = np.sqrt(dt / h) * irfft(spectrum, n, axis=1)[:, :steps].T
    return W
