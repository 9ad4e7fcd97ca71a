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
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len

from seisops.geometry import Geometry
from seisops.model import Model

# Steps computed beyond the last sample, so that it is interpolated from both sides.
TAIL = 16
CHUNK = 64


def computational_steps(model: Model, geometry: Geometry) -> int:
    """Number of computational time steps that cover the recording time of `geometry`."""
    return ceil(geometry.t / model.dt - 1e-9) + 1 + TAIL


def time_operator(model: Model, geometry: Geometry) -> NDArray:
    """The matrix W of shape (computational steps, samples), read-only, in the model's precision."""
    steps = computational_steps(model, geometry)
    return _time_operator(steps, model.dt, geometry.nt, geometry.dt, model.correct_dispersion, model.dtype.name)


@lru_cache(maxsize=16)
def _time_operator(steps: int, h: float, nt: int, dt: float, correct: bool, dtype: str) -> NDArray:
    W = _weights(steps, h, dt, np.arange(nt) * dt, ceil(nt * dt / h), correct, dtype)
    W.flags.writeable = False
    return W


def weights_at(model: Model, geometry: Geometry, times: NDArray) -> NDArray:
    """W for samples at any times, of data on the time axis of `geometry` otherwise: (computational steps, time)."""
    steps, last = computational_steps(model, geometry), ceil(geometry.nt * geometry.dt / model.dt)
    return _weights(steps, model.dt, geometry.dt, times, last, model.correct_dispersion, model.dtype.name)


def _weights(steps: int, h: float, dt: float, times: NDArray, last: int, correct: bool, dtype: str) -> NDArray:
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
