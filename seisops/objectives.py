"""Objective functions with their gradients, for any optimiser."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import SeismicOperator, check_finite, compose, describe
from seisops.execution import map_shots


def fwi(F: SeismicOperator, q: ArrayLike, d: ArrayLike) -> tuple[float, NDArray]:
    r"""Full-waveform inversion: the least-squares misfit and its gradient, in two marches a shot.

    .. math:: f(m) = \tfrac12 \|F(m)\, q - d\|^2, \qquad \nabla f = J^T (F(m)\, q - d)

    Parameters
    ----------
    F : operator
        Modelling in the current model, ``F.at(m=m)``; any composition.
    q : array of ``F.dims``
        The source.
    d : array of ``F.dimsd``
        The observed data.

    Returns
    -------
    value : float
    gradient : array of ``model.shape``, float64
        With respect to the squared slowness, s²/km².

    Raises
    ------
    ValueError
        If the data do not fit the operator or are not finite.

    References
    ----------
    A. Tarantola, 1984, Inversion of seismic reflection data in the acoustic approximation, Geophysics 49.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> q = so.ricker(src, f0=0.02)
    >>> value, gradient = so.fwi(F, q, F.at(m=0.9 * model.m) @ q)
    >>> gradient.shape
    (51, 41)
    """
    F = compose(F)
    if not isinstance(F, SeismicOperator):
        raise ValueError(f"{describe(F)} holds no operator of this library: it does not depend on m.")
    q, d = F._as_input(q), np.asarray(d)
    check_finite(F, q)
    if d.size != F.shape[0]:
        raise ValueError(f"The data have shape {d.shape}, {F} gives {F.dimsd}.")
    if not np.all(np.isfinite(d)):
        raise ValueError(f"The data have {int(np.sum(~np.isfinite(d)))} samples that are not finite.")
    d = d.reshape(F.dimsd)

    def misfit(op, source, observed) -> tuple[float, NDArray]:
        synthetic, J = op.linearize(source)
        residual = np.asarray(synthetic, np.float64) - observed
        return 0.5 * float(np.vdot(residual, residual)), J.H @ residual.ravel()

    if F.separable and F.nsrc > 1:
        # A shot at a time, so that no more backgrounds exist than shots run at once.
        parts = map_shots(
            lambda i: misfit(F[[i]], F.shots_in(q, [i]), F.shots_out(d, [i])),
            F.nsrc,
            int(np.prod(F.model.padded_shape)),
        )
    else:
        parts = [misfit(F, q, d)]
    gradient = sum((np.asarray(g, np.float64) for _, g in parts), start=np.zeros(F.model.m.size))
    return sum(value for value, _ in parts), gradient.reshape(F.model.shape)
