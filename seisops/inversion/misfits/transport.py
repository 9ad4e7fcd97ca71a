"""The misfit of optimal transport, which moves samples in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pylops import Identity, LinearOperator
from scipy.optimize import linear_sum_assignment

from seisops.inversion.misfits.refusals import check_positive, check_traces


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
        check_positive(self, "shift")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        check_traces(self, d_syn)
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
        """Return the identity: between two changes of the assignment the misfit is a parabola."""
        return Identity(d_syn.size)
