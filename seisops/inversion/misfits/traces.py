"""Misfits of whole traces, by their envelope or their correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pylops import FunctionOperator, LinearOperator
from scipy.fft import next_fast_len
from scipy.signal import hilbert

from seisops.inversion.misfits.refusals import check_traces


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
        check_traces(self, d_syn)
        turned = hilbert_transform(d_syn)
        e = d_syn**2 + turned**2 - d_obs**2 - hilbert_transform(d_obs) ** 2
        return 0.5 * float(np.vdot(e, e)), 2 * (e * d_syn - hilbert_transform(e * turned))

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """Apply dr = 2 (e ds + de s - H(e H ds + de H s)) with de = 2 (s ds + H s H ds)."""
        turned = hilbert_transform(d_syn)
        e = d_syn**2 + turned**2 - d_obs**2 - hilbert_transform(d_obs) ** 2

        def product(ds: NDArray) -> NDArray:
            dturned = hilbert_transform(ds)
            de = 2 * (d_syn * ds + turned * dturned)
            return 2 * (e * ds + de * d_syn - hilbert_transform(e * dturned + de * turned))

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
        """Project away from the synthetic trace, and follow how its direction turns."""
        s, d, length, c = self._normalised(d_syn, d_obs)

        def product(ds: NDArray) -> NDArray:
            along = np.sum(s * ds, -1, keepdims=True)
            turn = _over(ds - along * s, length)
            change = np.sum(turn * d, -1, keepdims=True)
            return _over(change * s + c * turn + _over(along * (d - c * s), length), length)

        return _symmetric(product, d_syn.shape)

    def _normalised(self, d_syn: NDArray, d_obs: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Normalise both; return them, the synthetic length (zero where a trace does not count) and the correlation."""
        check_traces(self, d_syn)
        length, other = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (d_syn, d_obs))
        length = np.where(other > 0, length, 0)
        s, d = _over(d_syn, length), _over(d_obs, other)
        return s, d, length, np.sum(s * d, -1, keepdims=True)


def hilbert_transform(x: NDArray) -> NDArray:
    """Hilbert-transform zero-padded traces and cut them to their length: an antisymmetric matrix."""
    nt = x.shape[-1]
    return hilbert(x, next_fast_len(2 * nt)).imag[..., :nt]


def _over(x: NDArray, length: NDArray) -> NDArray:
    """Divide x by the length; zero where the length is zero."""
    return np.divide(x, length, out=np.zeros(np.broadcast_shapes(x.shape, length.shape)), where=length > 0)


def _symmetric(product, shape: tuple[int, ...]) -> LinearOperator:
    def flat(x: NDArray) -> NDArray:
        return product(x.reshape(shape)).ravel()

    n = int(np.prod(shape))
    return FunctionOperator(flat, flat, n, n)
