r"""Objective functions with their gradients, for any optimiser; and their Hessian.

Two slots stand in every objective, filled with operators of :mod:`seisops.inversion.preconditioners` or others of
PyLops:
``data_precon`` is a linear operator P that both records pass before they are compared, ``model_precon`` a change of
variables M from p to the model:

.. math:: f(p) = \phi(P\,d_{syn}(M p),\; P\,d_{obs}), \qquad \nabla f = M^T J^T P^T\, \nabla\phi
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import BlockDiag, LinearOperator

from seisops.algebra import SeismicOperator, ShotIndex, asked, compose, dependent, describe, product
from seisops.algebra.calculus import Wrt
from seisops.arrays import real
from seisops.execution.shots import map_shots
from seisops.inversion.evaluation import (
    Misfit,
    ShotGradients,
    behind,
    by_shot,
    check_misfit,
    evaluate,
    misfit_and_gradient,
)
from seisops.inversion.misfits import L2
from seisops.inversion.parametrisation import Point
from seisops.inversion.records import chosen_shots, observed, of_shots

LEAST_SQUARES = L2()


def fwi(
    F: SeismicOperator,
    q: ArrayLike,
    d: ArrayLike,
    *,
    wrt: Wrt | Point = None,
    misfit: Misfit = LEAST_SQUARES,
    data_precon: LinearOperator | None = None,
    model_precon: LinearOperator | None = None,
    shots: ShotIndex | None = None,
) -> tuple[float, NDArray]:
    r"""Full-waveform inversion: the misfit and its gradient, in two marches a shot.

    .. math:: f(p) = \phi(P\,F(m)\,q,\; P\,d), \qquad m = m_0 + M p, \qquad
              \nabla f = M^T J^T P^T\, \nabla\phi

    Without preconditioners, and with least squares, :math:`\nabla f = J^T (F(m)\,q - d)` in the squared slowness.

    Parameters
    ----------
    F : operator
        Modelling in the current model, ``F.at(m=m)``; any composition.
    q : array of ``F.dims``
        The source.
    d : array of ``F.dimsd``
        The observed data. Those that stay in files until they are asked for, such as :func:`seisops.segy.read` gives
        or a dataset of h5py, are read shot by shot, by whatever process models the shot.
    wrt : str, sequence of str or ``P(x)`` of :func:`seisops.parametrisation`, optional
        The parameters that the gradient is with respect to, as in :func:`seisops.Jacobian`: "v", or ("vp", "vs"). With
        ``P(x)`` it is with respect to the unknowns x, and `F` is put in their medium.
    misfit : callable
        ``(d_syn, d_obs) -> value, residual`` of one shot's records, see :mod:`seisops.inversion.misfits`.
    data_precon : operator on data, optional
        P. One that selects shots, such as those of :mod:`seisops.inversion.preconditioners`, keeps one shot at a time
        in memory.
    model_precon : operator to ``model.shape``, optional
        M. `F` is in the model m = m0 + M p, or in that of x = x0 + M p; the gradient is with respect to p.
    shots : int, slice or sequence of int, optional
        Only these. The sum over a random batch, times nsrc / len(batch), is an unbiased estimate of the whole.

    Returns
    -------
    value : float
    gradient : array of ``model.shape``, with an axis of the parameters before it for several; like x; or of
        ``model_precon.dims``, float64
        With respect to the squared slowness (s²/km²), to `wrt`, or to p.

    Raises
    ------
    ValueError
        If the data do not fit the operator, or the data or the misfit are not finite.

    References
    ----------
    A. Tarantola, 1984, Inversion of seismic reflection data in the acoustic approximation, Geophysics 49.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> from scipy.optimize import minimize
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> rec = so.Geometry.spread([100, 400], depth=55.5, nsrc=1, dt=2, t=200)
    >>> F = so.modeling(model, src, rec)
    >>> q = so.ricker(src, f0=0.02)
    >>> d = F.at(m=0.9 * model.m) @ q
    >>> value, gradient = so.fwi(F, q, d)
    >>> gradient.shape
    (51, 41)
    >>> f = lambda m: so.fwi(F.at(m=m), q, d)
    >>> options = {"jac": True, "bounds": [(0.21, 0.26)] * model.m.size, "options": {"maxiter": 2}}
    >>> minimize(f, model.m.ravel(), method="L-BFGS-B", **options).fun < value
    True
    """
    check_misfit(misfit)
    F, wrt, model_precon = _put(F, wrt, model_precon)
    op, q, d = observed(F, q, d, shots)
    P = _precon(data_precon, shots)
    whole = op if P is None else product(P, op)
    names = asked(op, wrt)
    shape = (*([len(names)] if len(names) > 1 else []), *op.model.shape)
    if model_precon is not None and model_precon.shape[0] != np.prod(shape):
        raise ValueError(f"{describe(model_precon)} gives no model of shape {shape}.")

    if whole.separable and op.nsrc > 1:
        # A shot at a time, so that no more backgrounds and records exist than shots run at once.
        task = ShotGradients(misfit, names, op, P, q, d)
        parts = map_shots(task, op.nsrc, int(np.prod(op.model.padded_shape)))
    else:
        parts = [misfit_and_gradient(misfit, names, op, P, q, d)]
    total, gradient = 0.0, np.zeros(int(np.prod(shape)))
    for value, part in parts:
        total, gradient = total + value, gradient + part
    return total, _pulled_back(gradient, model_precon, shape)


def lsrtm(
    J: LinearOperator,
    d: ArrayLike,
    dm: ArrayLike | None = None,
    *,
    misfit: Misfit = LEAST_SQUARES,
    data_precon: LinearOperator | None = None,
    model_precon: LinearOperator | None = None,
    shots: ShotIndex | None = None,
) -> tuple[float, NDArray]:
    r"""Least-squares migration: the misfit of linear data and its gradient, in two marches a shot.

    .. math:: f(p) = \phi(P\,J\,M p,\; P\,d), \qquad \nabla f = M^T J^T P^T\, \nabla\phi

    Parameters
    ----------
    J : operator
        The Jacobian, or any linear operator.
    d : array of ``J.dimsd``
        The data it should explain, such as ``d_obs - F @ q``.
    dm : array of ``J.dims``, or of ``model_precon.dims``, optional
        Where: the perturbation, or p. Zero by default, where the gradient is minus the migrated data.
    misfit, data_precon, model_precon
        As in :func:`fwi`.
    shots : int, slice or sequence of int, optional
        Only these, whose background wavefields are computed again: one march more a shot.

    Returns
    -------
    value : float
    gradient : array like `dm`, float64

    Raises
    ------
    ValueError
        If the data do not fit the operator, or the data or the misfit are not finite.

    References
    ----------
    T. Nemeth, C. Wu, G. T. Schuster, 1999, Least-squares migration of incomplete reflection data, Geophysics 64.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> rec = so.Geometry.spread([100, 400], depth=55.5, nsrc=1, dt=2, t=200)
    >>> F = so.modeling(model, src, rec)
    >>> J = so.Jacobian(F, so.ricker(src, f0=0.02))
    >>> d = J @ (0.01 * model.m)
    >>> M = so.preconditioners.depth_scaling(model)
    >>> value, gradient = so.lsrtm(J, d, model_precon=M)
    >>> so.lsrtm(J, d, -1e-9 * gradient, model_precon=M)[0] < value
    True
    """
    check_misfit(misfit)
    op, d = of_shots(compose(J), d, shots)
    op, d = behind(_precon(data_precon, shots), op, d)
    whole = op if model_precon is None else product(op, compose(model_precon))
    synthetic = np.zeros(op.shape[0]) if dm is None else whole.matvec(real(dm, "A perturbation").ravel())
    value, residual = evaluate(op, misfit, synthetic.reshape(op.dimsd), d)
    return value, _pulled_back(op.rmatvec(residual), model_precon, op.dims)


def hessian(
    F: SeismicOperator,
    q: ArrayLike,
    d: ArrayLike,
    *,
    wrt: Wrt | Point = None,
    misfit: Misfit = LEAST_SQUARES,
    data_precon: LinearOperator | None = None,
    model_precon: LinearOperator | None = None,
    shots: ShotIndex | None = None,
) -> LinearOperator:
    r"""The exact Hessian of :func:`fwi`, a symmetric operator on perturbations of the model.

    .. math:: H\,dm = J^T W J\,dm + \frac{\partial (J^T r)}{\partial m}\Big|_{r}\,dm, \qquad
              r = \nabla\phi, \quad W = \nabla^2\phi

    with P and M as in :func:`fwi`. The first term alone, ``J.H @ W @ J`` with ``W = misfit.curvature(...)``, is the
    Gauss-Newton operator: for least squares ``J.H @ J``.

    Parameters
    ----------
    F, q, d, wrt, data_precon, model_precon, shots
        As in :func:`fwi`.
    misfit : misfit of :mod:`seisops.inversion.misfits`, or another with a method ``curvature(d_syn, d_obs)``
        That method gives W as a PyLops operator.

    Returns
    -------
    operator from ``model.shape`` to ``model.shape``, with an axis of the parameters before it for several, or on
        ``model_precon.dims``
        The background wavefields of all shots are kept while memory allows.

    Raises
    ------
    ValueError
        If the data do not fit the operator, or the misfit has no curvature.

    References
    ----------
    A. Fichtner, J. Trampert, 2011, Hessian kernels of seismic data functionals based upon adjoint techniques,
    Geophys. J. Int. 185.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> rec = so.Geometry.spread([100, 400], depth=55.5, nsrc=1, dt=2, t=200)
    >>> F = so.modeling(model, src, rec)
    >>> q = so.ricker(src, f0=0.02)
    >>> H = so.hessian(F, q, F.at(m=0.9 * model.m) @ q)
    >>> so.checks.dot_test(H, verbose=False) < 1e-5
    True
    """
    check_misfit(misfit)
    if not hasattr(misfit, "curvature"):
        raise ValueError(
            f"The Hessian needs the second derivative of the misfit: give {misfit!r} a method curvature(d_syn, d_obs) "
            "that returns it as a PyLops operator."
        )
    at = wrt if isinstance(wrt, Point) else None
    F, wrt, _ = _put(F, wrt, None)
    op, q, d = observed(F, q, d, shots)
    op, d = behind(_precon(data_precon, shots), op, d)
    names = asked(op, wrt)
    synthetic, J = op.linearize(q, names)
    _, residual = evaluate(op, misfit, synthetic, d)
    W = BlockDiag([misfit.curvature(s, o) for s, o in by_shot(op, np.asarray(synthetic, np.float64), d)])
    H = J.H @ W @ J + J.H.jacobian(residual, wrt=names)
    if at is not None:
        H = product(at.jacobian.H, H, at.jacobian) + at.curvature(J.rmatvec(residual))
    return H if model_precon is None else product(compose(model_precon).H, H, compose(model_precon))


def _put(F: SeismicOperator, wrt: Wrt | Point, M: LinearOperator | None) -> tuple:
    """Put F in the medium at a point of unknowns, and their derivative before M."""
    if not isinstance(wrt, Point):
        return F, wrt, M
    return dependent(F).at(**wrt), wrt.P.names, wrt.jacobian if M is None else product(wrt.jacobian, compose(M))


def _precon(P: LinearOperator | None, shots: ShotIndex | None) -> LinearOperator | None:
    """Restrict P to the chosen shots."""
    if P is None:
        return None
    P = compose(P)
    return P if shots is None else P[chosen_shots(P, shots)]


def _pulled_back(gradient: NDArray, M: LinearOperator | None, shape: tuple[int, ...]) -> NDArray:
    """Pull a gradient in the model back through the change of variables M."""
    gradient = np.asarray(gradient, np.float64).ravel()
    if M is None:
        return gradient.reshape(shape)
    return real(M.rmatvec(gradient), f"The gradient that {describe(M)} pulls back").reshape(M.dims)
