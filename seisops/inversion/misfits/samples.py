"""Misfits that add up over samples, each of which counts by its residual alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pylops import Diagonal, Identity, LinearOperator

from seisops.inversion.misfits.refusals import check_positive


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
        """Return the identity."""
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
        check_positive(self, "delta")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        r = d_syn - d_obs
        clipped = np.clip(r, -self.delta, self.delta)
        return float(np.sum(clipped * (r - 0.5 * clipped))), clipped

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """Weigh with one where the residual is small, with zero where it is large."""
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
        check_positive(self, "scale")
        check_positive(self, "nu")

    def __call__(self, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
        r, width = d_syn - d_obs, self.nu * self.scale**2
        value = 0.5 * (self.nu + 1) * float(np.sum(np.log1p(r**2 / width)))
        return value, (self.nu + 1) * r / (width + r**2)

    def curvature(self, d_syn: NDArray, d_obs: NDArray) -> LinearOperator:
        """Weigh residuals up to sqrt(nu) scale positively, larger ones negatively."""
        r2, width = (d_syn - d_obs) ** 2, self.nu * self.scale**2
        return Diagonal((self.nu + 1) * (width - r2) / (width + r2) ** 2)
