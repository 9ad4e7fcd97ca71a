r"""Misfits between synthetic and observed records, each with its gradient.

A misfit is any function ``(d_syn, d_obs) -> value, residual`` on records of one shot, time last, where the residual is
the gradient in the synthetic records:

.. math:: \phi(s, d) \in \mathbb{R}, \qquad r = \nabla_s\, \phi(s, d)

The values of all shots add up; shots run side by side in threads. What :func:`seisops.hessian` needs besides is a
method ``curvature(d_syn, d_obs)``, the second derivative as a PyLops operator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pylops import Diagonal, FunctionOperator, Identity, LinearOperator
from scipy.fft import next_fast_len
from scipy.optimize import linear_sum_assignment
from scipy.signal import hilbert


@dataclass(frozen=True)
class L2:
    r"""Least squares.

    .. math:: \phi = \tfrac12 \|s - d\|^2

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> value, residual = so.misfits.L2()(np.array([[2.0, 1.0]]), np.array([[1.0, 1.0]]))
    >>> value, residual.tolist()
    (0.5, [[1.0, 0.0]])
    """

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        r = d_syn - d_obs
        return 0.5 * float(np.vdot(r, r)), r

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """The identity."""
        return Identity(d_syn.size)


@dataclass(frozen=True)
class Huber:
    r"""Least squares for small residuals, least absolute values for large ones.

    .. math:: \phi = \sum \begin{cases} \tfrac12 r^2 & |r| \le \delta \\ \delta\,(|r| - \tfrac12 \delta) & |r| > \delta
              \end{cases}, \qquad r = s - d

    Parameters
    ----------
    delta : float
        Where one becomes the other, in units of the data.

    Raises
    ------
    ValueError
        If `delta` is not positive.

    References
    ----------
    A. Guitton, W. W. Symes, 2003, Robust inversion of seismic data using the Huber norm, Geophysics 68.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> so.misfits.Huber(delta=1.0)(np.array([[3.0, 0.5]]), np.zeros((1, 2)))[1].tolist()
    [[1.0, 0.5]]
    """

    delta: float

    def __post_init__(self) -> None:
        _positive(self, "delta")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        r = d_syn - d_obs
        clipped = np.clip(r, -self.delta, self.delta)
        return float(np.sum(clipped * (r - 0.5 * clipped))), clipped

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """One where the residual is small, zero where it is large."""
        return Diagonal((np.abs(d_syn - d_obs) <= self.delta).astype(float))


@dataclass(frozen=True)
class StudentT:
    r"""Student's t: the likelihood of residuals with heavy tails, in which outliers hardly count.

    .. math:: \phi = \frac{\nu + 1}{2} \sum \log\Big(1 + \frac{r^2}{\nu \sigma^2}\Big), \qquad r = s - d

    Parameters
    ----------
    scale : float
        The width sigma of the residuals, in units of the data.
    nu : float
        Degrees of freedom: the smaller, the heavier the tails.

    Raises
    ------
    ValueError
        If one of them is not positive.

    References
    ----------
    A. Aravkin, T. van Leeuwen, F. Herrmann, 2011, Robust full-waveform inversion using the Student's t-distribution,
    SEG Technical Program Expanded Abstracts.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> so.misfits.StudentT(scale=1.0, nu=1)(np.array([[1.0, 100.0]]), np.zeros((1, 2)))[1].round(2).tolist()
    [[1.0, 0.02]]
    """

    scale: float
    nu: float = 2.0

    def __post_init__(self) -> None:
        _positive(self, "scale")
        _positive(self, "nu")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        r, width = d_syn - d_obs, self.nu * self.scale**2
        value = 0.5 * (self.nu + 1) * float(np.sum(np.log1p(r**2 / width)))
        return value, (self.nu + 1) * r / (width + r**2)

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """Positive for residuals up to sqrt(nu) scale, negative beyond."""
        r2, width = (d_syn - d_obs) ** 2, self.nu * self.scale**2
        return Diagonal((self.nu + 1) * (width - r2) / (width + r2) ** 2)


@dataclass(frozen=True)
class Envelope:
    r"""The difference of the squared envelopes, which does not skip cycles as the traces do.

    .. math:: \phi = \tfrac12 \|E(s) - E(d)\|^2, \qquad E(s) = s^2 + (\mathcal{H} s)^2

    The Hilbert transform of zero-padded traces is antisymmetric, so with :math:`e = E(s) - E(d)`

    .. math:: r = 2 \left( e\, s - \mathcal{H}(e\, \mathcal{H} s) \right)

    References
    ----------
    R.-S. Wu, J. Luo, B. Wu, 2014, Seismic envelope inversion and modulation signal model, Geophysics 79.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> t = np.linspace(0, 60, 301)
    >>> window = np.exp(-(((t - 30) / 8) ** 2))
    >>> sine, cosine = (window * np.sin(2 * t))[None], (window * np.cos(2 * t))[None]
    >>> so.misfits.Envelope()(sine, cosine)[0] < 1e-6 * so.misfits.L2()(sine, cosine)[0]
    True
    """

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        _check_traces(self, d_syn)
        turned = _hilbert(d_syn)
        e = d_syn**2 + turned**2 - d_obs**2 - _hilbert(d_obs) ** 2
        return 0.5 * float(np.vdot(e, e)), 2 * (e * d_syn - _hilbert(e * turned))

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """dr = 2 (e ds + de s - H(e H ds + de H s)) with de = 2 (s ds + H s H ds)."""
        turned = _hilbert(d_syn)
        e = d_syn**2 + turned**2 - d_obs**2 - _hilbert(d_obs) ** 2

        def product(ds: NDArray) -> NDArray:
            dturned = _hilbert(ds)
            de = 2 * (d_syn * ds + turned * dturned)
            return 2 * (e * ds + de * d_syn - _hilbert(e * dturned + de * turned))

        return _symmetric(product, d_syn.shape)


@dataclass(frozen=True)
class CrossCorrelation:
    r"""Normalised cross-correlation at zero lag, trace by trace: blind to amplitudes.

    .. math:: \phi = \sum_{traces} \left( 1 - \langle \hat s, \hat d \rangle \right), \qquad \hat s = s / \|s\|

    .. math:: r = -(\hat d - \langle \hat s, \hat d \rangle\, \hat s) / \|s\|

    A trace that is zero, synthetic or observed, correlates with nothing and does not count.

    References
    ----------
    Y. Choi, T. Alkhalifah, 2012, Application of multi-source waveform inversion to marine streamer data using the
    global correlation norm, Geophys. Prospect. 60.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> d = np.array([[1.0, 2.0, 0.0]])
    >>> value, residual = so.misfits.CrossCorrelation()(3 * d, d)
    >>> round(value, 12), bool(np.abs(residual).max() < 1e-12)
    (0.0, True)
    """

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        s, d, length, c = self._normalised(d_syn, d_obs)
        return float(np.sum((1 - c)[length > 0])), -_over(d - c * s, length)

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """The projection away from the synthetic trace, and how its direction turns."""
        s, d, length, c = self._normalised(d_syn, d_obs)

        def product(ds: NDArray) -> NDArray:
            along = np.sum(s * ds, -1, keepdims=True)
            turn = _over(ds - along * s, length)
            change = np.sum(turn * d, -1, keepdims=True)
            return _over(change * s + c * turn + _over(along * (d - c * s), length), length)

        return _symmetric(product, d_syn.shape)

    def _normalised(self, d_syn: NDArray, d_obs: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Both of unit length, the length of the synthetic (zero where a trace does not count), their correlation."""
        _check_traces(self, d_syn)
        length, other = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (d_syn, d_obs))
        length = np.where(other > 0, length, 0)
        s, d = _over(d_syn, length), _over(d_obs, other)
        return s, d, length, np.sum(s * d, -1, keepdims=True)


@dataclass(frozen=True)
class OptimalTransport:
    r"""Graph-space optimal transport: every sample may move in time and in amplitude.

    .. math:: \phi = \sum_{traces} \min_\sigma \tfrac12 \sum_i \left( s_i - d_{\sigma(i)} \right)^2
              + \frac{A^2}{\tau^2} (i - \sigma(i))^2, \qquad A = \max |d|

    over all permutations, each trace by itself. At the best one the minimum does not change to first order, so

    .. math:: r_i = s_i - d_{\sigma(i)}

    Parameters
    ----------
    shift : float, samples
        The move in time that costs as much as the peak amplitude of the observed trace: the largest time shift
        expected. Towards zero it becomes least squares.

    Notes
    -----
    The assignment is SciPy's, of cubic cost in the samples of a trace at worst: 15 ms for 501 samples, 140 ms for 1501.

    Raises
    ------
    ValueError
        If `shift` is not positive.

    References
    ----------
    L. Métivier, R. Brossier, Q. Mérigot, E. Oudet, 2019, A graph space optimal transport distance as a generalization
    of Lp distances: application to a seismic imaging inverse problem, Inverse Problems 35.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> d = np.zeros((1, 50)); d[0, 20] = 1
    >>> phi = so.misfits.OptimalTransport(shift=40)
    >>> [round(phi(np.roll(d, k), d)[0], 2) for k in (0, 4, 8)]
    [0.0, 0.01, 0.02]
    """

    shift: float

    def __post_init__(self) -> None:
        _positive(self, "shift")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        _check_traces(self, d_syn)
        nt = d_syn.shape[-1]
        i = np.arange(nt)
        moves = 0.5 * ((i[:, None] - i) / self.shift) ** 2
        value, residual = 0.0, np.zeros(d_syn.shape)
        pairs = zip(d_syn.reshape(-1, nt), d_obs.reshape(-1, nt), residual.reshape(-1, nt), strict=True)
        for s, d, r in pairs:
            cost = 0.5 * (s[:, None] - d) ** 2 + np.max(np.abs(d)) ** 2 * moves
            assigned = linear_sum_assignment(cost)
            value += float(cost[assigned].sum())
            r[:] = s - d[assigned[1]]
        return value, residual

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """The identity: between two changes of the assignment the misfit is a parabola."""
        return Identity(d_syn.size)


def _hilbert(x: NDArray) -> NDArray:
    """The Hilbert transform of zero-padded traces, cut to their length: an antisymmetric matrix."""
    nt = x.shape[-1]
    return hilbert(x, next_fast_len(2 * nt)).imag[..., :nt]


def _over(x: NDArray, length: NDArray) -> NDArray:
    """x / length, zero where the length is zero."""
    return np.divide(x, length, out=np.zeros(np.broadcast_shapes(x.shape, length.shape)), where=length > 0)


def _symmetric(product, shape: tuple[int, ...]) -> LinearOperator:
    def flat(x: NDArray) -> NDArray:
        return product(x.reshape(shape)).ravel()

    n = int(np.prod(shape))
    return FunctionOperator(flat, flat, n, n)


def _positive(misfit, name: str) -> None:
    value = getattr(misfit, name)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} of {type(misfit).__name__} must be positive, got {value}.")


def _check_traces(misfit, d: NDArray) -> None:
    if d.ndim < 2:
        raise ValueError(
            f"{type(misfit).__name__} compares traces: it takes arrays (..., trace, time), got {d.size} samples in a "
            "row. Give d[None] for one trace."
        )
