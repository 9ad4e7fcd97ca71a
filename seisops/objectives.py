"""Objective functions with their gradients, for any optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

    if F.separable and F.nsrc > 1:
        # A shot at a time, so that no more backgrounds exist than shots run at once.
        parts = map_shots(_EachShot(_misfit, F, q, d), F.nsrc, int(np.prod(F.model.padded_shape)))
    else:
        parts = [_misfit(F, q, d)]
    total, gradient = 0.0, np.zeros(F.model.m.size)
    for value, part in parts:
        total, gradient = total + value, gradient + part
    return total, gradient.reshape(F.model.shape)


def _misfit(F: SeismicOperator, q: NDArray, d: NDArray) -> tuple[float, NDArray]:
    synthetic, J = F.linearize(q)
    residual = np.asarray(synthetic, np.float64) - d
    return 0.5 * float(np.vdot(residual, residual)), J.H @ residual.ravel()


@dataclass(frozen=True)
class _EachShot:
    """A function of an operator, what it takes and what was observed, shot by shot."""

    function: Callable[[SeismicOperator, NDArray, NDArray], tuple]
    op: SeismicOperator
    x: NDArray
    d: NDArray

    def __call__(self, i: int) -> tuple:
        return self.function(*self._part(i))

    def only(self, i: int) -> _EachShot:
        return _EachShot(self.function, *self._part(i))

    def _part(self, i: int) -> tuple:
        return self.op[[i]], self.op.shots_in(self.x, [i]), self.op.shots_out(self.d, [i])
