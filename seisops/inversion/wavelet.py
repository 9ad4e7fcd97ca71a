"""The source that explains the data."""

from __future__ import annotations

import warnings

import pylops
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import Adjoint, SeismicOperator
from seisops.inversion.evaluation import end
from seisops.inversion.records import observed, read
from seisops.operators.projection import Projection
from seisops.wavelets import UndersampledWarning


def estimate_wavelet(
    F: SeismicOperator, q: ArrayLike, d: ArrayLike, *, iterations: int = 20, damp: float = 0.0
) -> NDArray:
    r"""The wavelet, one for all sources, that explains the data best: linear least squares.

    .. math:: \min_w\; \|F\,(q + B\,w) - d\|^2 + \epsilon^2 \|w\|^2

    where B puts the same wavelet at every source.

    Parameters
    ----------
    F : operator from data, such as ``Pr @ A @ Ps.H`` or ``P @ Pr @ A @ Ps.H``
        In the current model. Mute what the model does not explain, and fewer shots will do: ``F[::4]``.
    q : array of ``F.dims``
        The first guess; zero will do.
    d : array of ``F.dimsd``
        The observed data.
    iterations : int
        Of CGLS, of two marches a shot each. Few are enough: the operator is a convolution.
    damp : float
        The weight epsilon of what is added to `q`.

    Returns
    -------
    array of ``F.dims``
        The sources with the estimated wavelet.

    Raises
    ------
    ValueError
        If the data do not fit the operator or are not finite, or its sources are no points, as many in every shot.

    References
    ----------
    R. G. Pratt, 1999, Seismic waveform inversion in the frequency domain, Part 1, Geophysics 64.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=300)
    >>> rec = so.Geometry.spread([100, 400], depth=55.5, nsrc=1, dt=2, t=300)
    >>> F = so.modeling(model, src, rec)
    >>> d = F @ so.ricker(src, f0=0.02)
    >>> q = so.estimate_wavelet(F, np.zeros(src.shape), d)
    >>> bool(np.linalg.norm(F @ q - d) < 0.01 * np.linalg.norm(d))
    True
    """
    op, q, d = observed(F, q, d)
    d = read(op, d)
    sources = end(op, -1)
    if not (isinstance(sources, Adjoint) and isinstance(sources.op, Projection) and len(op.dims) > 1):
        raise ValueError(f"A wavelet belongs to point sources, as many in every shot: F must end in Ps.H, got {op}.")
    # The transpose of a sum over all sources.
    nt = op.dims[-1]
    B = pylops.Sum((op.shape[1] // nt, nt), axis=0, dtype=op.dtype).H
    with warnings.catch_warnings():
        # A search direction of the solver is no wavelet.
        warnings.simplefilter("ignore", UndersampledWarning)
        w = pylops.cgls(op @ B, (d - op @ q).ravel(), niter=iterations, damp=damp, tol=0)[0]
    return q + (B @ w).reshape(op.dims)
