r"""Less than every step: what comes back is close to the background, and the same for J and J.H."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline

from seisops.storage import buffers
from seisops.storage.base import BLOCK, History, Storage, Wave
from seisops.storage.bfloat16 import widened
from seisops.storage.exact import Whole
from seisops.units import hertz

# What an entry of an interpolation matrix may weigh before it is dropped.
NEGLIGIBLE = 1e-7
# How much above the Nyquist rate a spline needs its samples.
OVERSAMPLING = 1.25
# How far above half the sampling frequency of a march a frequency in kHz is never meant to be.
IN_HERTZ = 3

# Columns that a small matrix is multiplied with at once, few enough for the caches.
COLUMNS = 4096


@dataclass(frozen=True)
class Half(Storage):
    """Keep every time step in 16 bits: bfloat16, the upper half of a float32, rounded.

    A value comes back within 2^-8 = 4e-3 of itself, in double precision too, where it is within the range of a float32.
    Kernels write and read the 16 bits themselves.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Half()):
    ...     pass
    """

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        return _Narrow(wave.nt)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return wave.nbytes * np.dtype(np.uint16).itemsize // np.dtype(wave.dtype).itemsize

    def running_bytes(self, wave: Wave, march: int) -> int:
        """Bytes that a march over the history takes for it while it runs: none, it is read where it is."""
        return 0


class _Narrow(Whole):
    narrow = True

    def read(self, start: int, stop: int, out: NDArray) -> None:
        bits = self.whole[start:stop]
        out[...] = bits if out.dtype == bits.dtype else widened(bits)


@dataclass(frozen=True)
class Subsampled(Storage):
    r"""Keep the time steps that a highest frequency needs, and interpolate between them with a spline.

    .. math:: \tilde g_n = \sum_k C_{nk}\, g_{n_k}, \qquad n_{k+1} - n_k \le 0.8 / (2 f_{max} h)

    Parameters
    ----------
    fmax : float, kHz
        The highest frequency of the source; three times the peak frequency of a Ricker wavelet.

    Raises
    ------
    ValueError
        If `fmax` is not positive.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Subsampled(fmax=0.045)):
    ...     pass
    """

    fmax: float

    def __post_init__(self) -> None:
        if not self.fmax > 0:
            raise ValueError(f"fmax = {self.fmax} kHz is not positive.")

    def check(self, wave: Wave) -> None:
        """Refuse a highest frequency that can only be in Hz."""
        nyquist = 0.5 / wave.h
        if self.fmax > IN_HERTZ * nyquist:
            raise ValueError(
                f"fmax = {self.fmax:g} kHz is far above {nyquist:.3g} kHz, half the sampling frequency of the march. "
                f"{hertz(self.fmax)}"
            )

    def lost(self, q: NDArray, dt: float) -> float:
        """The part of the energy of what is kept of a source, series every `dt` ms, that lies above `fmax`."""
        f = np.fft.rfftfreq(q.shape[-1], dt)
        # What is kept is a second derivative in time.
        energy = (f**2 * np.abs(np.fft.rfft(q.reshape(-1, q.shape[-1]).astype(np.float64)))) ** 2
        return float(energy[:, f > self.fmax].sum() / max(energy.sum(), 1e-300))

    def factor(self, wave: Wave) -> int:
        """Steps of the march for one that is kept."""
        self.check(wave)
        return max(1, int(0.5 / (OVERSAMPLING * self.fmax * wave.h)))

    def kept(self, wave: Wave) -> NDArray:
        """The steps that are kept; the last is one of them."""
        return np.unique(np.append(np.arange(0, wave.nt, self.factor(wave)), wave.nt - 1))

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        return _Spline(wave, self.kept(wave))

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return len(self.kept(wave)) * wave.step_bytes


@dataclass(frozen=True)
class Frequencies(Storage):
    r"""Keep some frequencies, by a Fourier transform that runs along with the march.

    .. math:: G_k = \sum_n g_n\, e^{-i \omega_k n h}, \qquad
              \tilde g_n = 2 h\, \mathrm{Re} \sum_k G_k\, e^{i \omega_k n h}\, \Delta f_k

    J and J.H are those of the selected frequencies; of all n/(nt h) up to half the sampling frequency, the exact ones.

    Parameters
    ----------
    f : sequence of float, kHz
        Frequencies, increasing; each stands for the frequencies half-way to its neighbours.

    Raises
    ------
    ValueError
        If the frequencies are negative or not increasing.

    References
    ----------
    P. Witte et al., 2019, Compressive least-squares migration with on-the-fly Fourier transforms, Geophysics 84.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> with so.config(storage=so.storage.Frequencies(np.arange(0.004, 0.04, 0.001))):
    ...     pass
    """

    f: tuple[float, ...]

    def __init__(self, f) -> None:
        f = tuple(float(x) for x in np.ravel(f))
        if not f or f[0] < 0 or np.any(np.diff(f) <= 0):
            raise ValueError(f"Frequencies are increasing and not negative, in kHz; got {f}.")
        object.__setattr__(self, "f", f)

    def __repr__(self) -> str:
        return f"Frequencies({len(self.f)} of {self.f[0]:g} to {self.f[-1]:g} kHz)"

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        f, step = np.array(self.f), 1 / (wave.nt * wave.h)
        if f[-1] > 0.5 / wave.h * (1 + 1e-9):
            raise ValueError(f"{f[-1]:g} kHz is above {0.5 / wave.h:g} kHz, half the sampling frequency of the march.")
        width = np.gradient(f) if len(f) > 1 else np.array([step])
        # Zero and the highest frequency have no negative twin.
        twins = np.where((f < 1e-9 * step) | (f > 0.5 / wave.h * (1 - 1e-9)), 1, 2)
        phase = 2 * np.pi * np.outer(f, np.arange(wave.nt) * wave.h)
        analysis = np.concatenate([np.cos(phase), np.sin(phase)])
        weight = np.tile(twins * width * wave.h, 2)
        return _Expansion(wave, analysis, (weight[:, None] * analysis).T)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return 2 * len(self.f) * wave.step_bytes


class _Expansion(History):
    """The coefficients of the steps in some basis: `analysis` (coefficient, step), `synthesis` (step, coefficient)."""

    def __init__(self, wave: Wave, analysis: NDArray, synthesis: NDArray) -> None:
        self.analysis, self.synthesis = analysis.astype(wave.dtype), synthesis.astype(wave.dtype)
        self.coefficients = buffers.take((len(analysis), *wave.shape), wave.dtype)
        self.coefficients[...] = 0

    def write(self, start: int, stop: int, g: NDArray) -> None:
        rows = self.analysis[:, start:stop]
        used = _span(rows.any(axis=1))
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        flat[used] += rows[used] @ g.reshape(stop - start, -1)

    def read(self, start: int, stop: int, out: NDArray) -> None:
        columns = self.synthesis[start:stop]
        used = _span(columns.any(axis=0))
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        np.matmul(columns[:, used], flat[used], out=out.reshape(stop - start, -1))


class _Spline(_Expansion):
    """The steps `kept`, which become the coefficients of a spline through them when the last is there."""

    def __init__(self, wave: Wave, kept: NDArray) -> None:
        self.wave, rows = wave, np.arange(len(kept))
        analysis = np.zeros((len(kept), wave.nt))
        analysis[rows, kept] = 1
        order = 5 if len(kept) > 5 else min(1, len(kept) - 1)
        knots = make_interp_spline(kept, rows, k=order).t
        synthesis = BSpline.design_matrix(np.arange(wave.nt), knots, order).toarray()
        super().__init__(wave, analysis, synthesis)
        inverse = np.linalg.inv(synthesis[kept])
        inverse[np.abs(inverse) < NEGLIGIBLE] = 0
        self.inverse = inverse.astype(wave.dtype)

    def write(self, start: int, stop: int, g: NDArray) -> None:
        super().write(start, stop, g)
        if (start == 0) if self.wave.adjoint else (stop == self.wave.nt):
            self._fit()

    def _fit(self) -> None:
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        for column in range(0, flat.shape[1], COLUMNS):
            part = flat[:, column : column + COLUMNS]
            samples = part.copy()
            for row in range(0, len(flat), BLOCK):
                rows = self.inverse[row : row + BLOCK]
                used = _span(rows.any(axis=0))
                part[row : row + BLOCK] = rows[:, used] @ samples[used]


def _span(used: NDArray) -> slice:
    """From the first to the last that is used."""
    where = np.flatnonzero(used)
    return slice(where[0], where[-1] + 1) if len(where) else slice(0, 0)
