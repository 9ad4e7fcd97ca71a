r"""Objective functions with their gradients, for any optimiser; their Hessian; and the source that explains the data.

Two slots stand in every objective, filled with operators of :mod:`seisops.preconditioners` or any other of PyLops:
``data_precon`` is a linear operator P that both records pass before they are compared, ``model_precon`` a change of
variables M from p to the model:

.. math:: f(p) = \phi(P\,d_{syn}(M p),\; P\,d_{obs}), \qquad \nabla f = M^T J^T P^T\, \nabla\phi
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np
import pylops
from numpy.typing import ArrayLike, NDArray
from pylops import BlockDiag, LinearOperator

from seisops.algebra import (
    Adjoint,
    Chain,
    SeismicOperator,
    ShotIndex,
    Sum,
    apply,
    check_finite,
    compose,
    describe,
    product,
)
from seisops.execution import map_shots
from seisops.geometry import shot_indices
from seisops.misfits import L2
from seisops.operators import Projection
from seisops.wavelets import UndersampledWarning

Misfit = Callable[[NDArray, NDArray], tuple[float, NDArray]]
LEAST_SQUARES = L2()


def fwi(
    F: SeismicOperator,
    q: ArrayLike,
    d: ArrayLike,
    *,
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
        The observed data.
    misfit : callable
        ``(d_syn, d_obs) -> value, residual`` on the records of one shot, see :mod:`seisops.misfits`.
    data_precon : operator on data, optional
        P. One that selects shots, such as those of :mod:`seisops.preconditioners`, keeps a shot at a time in memory.
    model_precon : operator to ``model.shape``, optional
        M. `F` is in the model m = m0 + M p; the gradient is with respect to p.
    shots : int, slice or sequence of int, optional
        Only these. The sum over a random batch, times nsrc / len(batch), is an unbiased estimate of the whole.

    Returns
    -------
    value : float
    gradient : array of ``model.shape``, or of ``model_precon.dims``, float64
        With respect to the squared slowness (s²/km²), or to p.

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
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
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
    op, q, d = _observed(F, q, d, data_precon, shots)
    if model_precon is not None and model_precon.shape[0] != op.model.m.size:
        raise ValueError(f"{describe(model_precon)} gives no model of shape {op.model.shape}.")

    if op.separable and op.nsrc > 1:
        # A shot at a time, so that no more backgrounds exist than shots run at once.
        parts = map_shots(_EachShot(partial(_part, misfit), op, q, d), op.nsrc, int(np.prod(op.model.padded_shape)))
    else:
        parts = [_part(misfit, op, q, d)]
    total, gradient = 0.0, np.zeros(op.model.m.size)
    for value, part in parts:
        total, gradient = total + value, gradient + part
    return total, _pulled_back(gradient, model_precon, op.model.shape)


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
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> J = so.Jacobian(F, so.ricker(src, f0=0.02))
    >>> d = J @ (0.01 * model.m)
    >>> M = so.preconditioners.depth_scaling(model)
    >>> value, gradient = so.lsrtm(J, d, model_precon=M)
    >>> so.lsrtm(J, d, -1e-9 * gradient, model_precon=M)[0] < value
    True
    """
    op = compose(J)
    d = _data(op, d)
    if shots is not None:
        chosen = _chosen(op, shots)
        op, d = op[chosen], op.shots_out(d, chosen)
    op, d = _behind(data_precon, op, d, shots)
    whole = op if model_precon is None else product(op, compose(model_precon))
    synthetic = np.zeros(op.dimsd) if dm is None else apply(whole, np.asarray(dm))
    value, residual = _evaluate(op, misfit, synthetic, d)
    return value, _pulled_back(op.rmatvec(residual), model_precon, op.dims)


def hessian(
    F: SeismicOperator,
    q: ArrayLike,
    d: ArrayLike,
    *,
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
    F, q, d, data_precon, model_precon, shots
        As in :func:`fwi`.
    misfit : misfit of :mod:`seisops.misfits`, or another with a method ``curvature(d_syn, d_obs)``
        That method gives W as a PyLops operator.

    Returns
    -------
    operator from ``model.shape`` to ``model.shape``, or on ``model_precon.dims``
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
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> q = so.ricker(src, f0=0.02)
    >>> H = so.hessian(F, q, F.at(m=0.9 * model.m) @ q)
    >>> so.checks.dot_test(H, verbose=False) < 1e-5
    True
    """
    if not hasattr(misfit, "curvature"):
        raise ValueError(
            f"The Hessian needs the second derivative of the misfit: give {misfit!r} a method curvature(d_syn, d_obs) "
            "that returns it as a PyLops operator."
        )
    op, q, d = _observed(F, q, d, data_precon, shots)
    synthetic, J = op.linearize(q)
    _, residual = _evaluate(op, misfit, synthetic, d)
    W = BlockDiag([misfit.curvature(s, o) for s, o in _by_shot(op, np.asarray(synthetic, np.float64), d)])
    H = J.H @ W @ J + J.H.jacobian(residual)
    return H if model_precon is None else product(compose(model_precon).H, H, compose(model_precon))


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
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=300)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=300)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> d = F @ so.ricker(src, f0=0.02)
    >>> q = so.estimate_wavelet(F, np.zeros(src.shape), d)
    >>> bool(np.linalg.norm(F @ q - d) < 0.01 * np.linalg.norm(d))
    True
    """
    op, q, d = _observed(F, q, d, None, None)
    sources = _end(op, -1)
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


def random_batches(nsrc: int, size: int, *, seed: int | np.random.Generator | None = None) -> list[NDArray]:
    r"""Batches of shots that together hold every shot once, in random order.

    The sum over a batch, times nsrc / len(batch), is an unbiased estimate of the sum over all shots.

    Parameters
    ----------
    nsrc : int
        Number of shots.
    size : int
        Shots of a batch; fewer where nsrc is no multiple of it.
    seed : int or numpy.random.Generator, optional

    Returns
    -------
    list of int arrays
        For ``shots=`` of :func:`fwi`, or ``F[batch]``.

    Raises
    ------
    ValueError
        If a batch would hold no shot, or more than there are.

    Examples
    --------
    >>> import seisops as so
    >>> [len(batch) for batch in so.random_batches(16, 4, seed=0)]
    [4, 4, 4, 4]
    """
    if not 1 <= size <= nsrc:
        raise ValueError(f"A batch holds 1 to {nsrc} of {nsrc} shots, not {size}.")
    order = np.random.default_rng(seed).permutation(nsrc)
    return [np.sort(batch) for batch in np.array_split(order, ceil(nsrc / size))]


# ---------------------------------------------------------------------- what they share


def _observed(F, q, d, data_precon, shots) -> tuple[SeismicOperator, NDArray, NDArray]:
    """P F, the source and P d, of the chosen shots."""
    op = compose(F)
    if not isinstance(op, SeismicOperator):
        raise ValueError(f"{describe(op)} holds no operator of this library: it does not depend on m.")
    q, d = op._as_input(q), _data(op, d)
    check_finite(op, q)
    if shots is not None:
        chosen = _chosen(op, shots)
        op, q, d = op[chosen], op.shots_in(q, chosen), op.shots_out(d, chosen)
    op, d = _behind(data_precon, op, d, shots)
    return op, q, d


def _chosen(op: LinearOperator, shots: ShotIndex) -> list[int]:
    """Shots of an operator, as a list."""
    if not isinstance(op, SeismicOperator):
        raise TypeError(
            f"Cannot select shots of {describe(op)}: it does not say what a shot is. On records, "
            "seisops.preconditioners.ShotWise makes an operator that does from one for every shot."
        )
    return shot_indices(shots, op.nsrc)


def _data(op: LinearOperator, d: ArrayLike) -> NDArray:
    d = np.asarray(d)
    if d.size != op.shape[0]:
        raise ValueError(f"The data have shape {d.shape}, {describe(op)} gives {op.dimsd}.")
    if not np.all(np.isfinite(d)):
        raise ValueError(f"The data have {int(np.sum(~np.isfinite(d)))} samples that are not finite.")
    return d.reshape(op.dimsd)


def _part(misfit: Misfit, op: SeismicOperator, source: NDArray, observed: NDArray) -> tuple[float, NDArray]:
    """The misfit of one shot and its gradient in the model, flat."""
    synthetic, J = op.linearize(source)
    value, residual = _evaluate(op, misfit, synthetic, observed)
    return value, J.rmatvec(residual)


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


def _behind(P: LinearOperator | None, op, d: NDArray, shots: ShotIndex | None) -> tuple[LinearOperator, NDArray]:
    """P op and P d, where op and d are of the chosen shots already."""
    if P is None:
        return op, d
    P = compose(P)
    P = P if shots is None else P[_chosen(P, shots)]
    return product(P, op), apply(P, d)


def _evaluate(op: LinearOperator, misfit: Misfit, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
    """The misfit of all shots and its gradient in the synthetic records, flat."""
    value, residuals = 0.0, []
    for s, d in _by_shot(op, np.asarray(d_syn, np.float64), np.asarray(d_obs, np.float64)):
        part, residual = misfit(s, d)
        if np.shape(residual) != s.shape:
            raise ValueError(f"{misfit!r} gives a residual of shape {np.shape(residual)} for records of {s.shape}.")
        if not (np.isfinite(part) and np.all(np.isfinite(residual))):
            raise ValueError(f"{misfit!r} gives a value or a residual that is not finite.")
        value += float(part)
        residuals.append(np.ravel(residual))
    return value, np.concatenate(residuals)


def _by_shot(op: LinearOperator, *data: NDArray) -> list[tuple[NDArray, ...]]:
    """The records of every shot, or all of them where `op` does not tell shots apart."""
    last = _end(op, 0)
    if not getattr(last, "separable", False) or last.nsrc == 1:
        return [data]
    return [tuple(last.shots_out(d, [i]) for d in data) for i in range(last.nsrc)]


def _end(op: LinearOperator, i: int) -> LinearOperator:
    """The factor that makes the output of `op` (0), or takes its input (-1)."""
    while isinstance(op, (Chain, Sum)):
        op = op.factors[i] if isinstance(op, Chain) else op.terms[0]
    return op


def _pulled_back(gradient: NDArray, M: LinearOperator | None, shape: tuple[int, ...]) -> NDArray:
    """M.H gradient."""
    gradient = np.asarray(gradient, np.float64).ravel()
    return gradient.reshape(shape) if M is None else np.asarray(M.rmatvec(gradient), np.float64).reshape(M.dims)
