"""Preconditioners of models, in 2-D and 3-D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator, SmoothingND

from seisops.algebra import SeismicOperator, apply, check_finite, compose, describe
from seisops.arrays import real
from seisops.execution.shots import map_shots
from seisops.inversion.preconditioners.grid import OnGrid, Weights
from seisops.inversion.preconditioners.ramps import both_ends, rise
from seisops.model import Model
from seisops.units import warn_if_below


def depth_scaling(model: Model, power: float = 0.5) -> LinearOperator:
    r"""Weights that grow with depth, for what geometrical spreading has taken.

    .. math:: w(z) = (z / z_{max})^p

    with z counted from one cell above the model, so that no weight is zero.

    Parameters
    ----------
    model : Model
    power : float
        The exponent p.

    Returns
    -------
    operator on arrays of ``model.shape``

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> J_scaled = lambda J: J @ so.preconditioners.depth_scaling(model, power=1)
    """
    nz = model.shape[-1]
    return _weights(model, (np.arange(1, nz + 1) / nz) ** power, "DepthScaling")


def top_mute(model: Model, depth: ArrayLike, *, taper: float = 0.0) -> LinearOperator:
    """Zero down to `depth`, such as the sea floor, and a smooth rise to one below it.

    Parameters
    ----------
    model : Model
    depth : float, or array of ``model.shape[:-1]``, m
        The first depth that is kept, where `taper` is zero.
    taper : float, m
        Length of the rise below `depth`.

    Returns
    -------
    operator on arrays of ``model.shape``

    Raises
    ------
    ValueError
        If nothing would remain, or `depth` does not fit the model.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> M = so.preconditioners.top_mute(model, 100, taper=40)
    >>> M @ so.preconditioners.depth_scaling(model)
    TopMute @ DepthScaling: (51, 41) -> (51, 41)
    >>> (M @ np.ones(model.shape))[0, [0, 9, 10, 12, 14]].round(1).tolist()
    [0.0, 0.0, 0.0, 0.5, 1.0]
    """
    depth = real(depth, "A depth")
    if depth.shape not in ((), model.shape[:-1]):
        raise ValueError(f"The depth of the mute is one number or {model.shape[:-1]}, got shape {depth.shape}.")
    warn_if_below(float(depth.max()) - model.origin[-1], model.spacing[-1], "A mute", "m", "a cell")
    weights = rise(_positions(model)[-1], depth[..., None], depth[..., None] + taper)
    if not np.any(weights):
        raise ValueError(f"A mute down to {depth.max():g} m leaves nothing of a model that ends at "
                         f"{model.extent[-1][1]:g} m.")  # fmt: skip
    return _weights(model, weights, "TopMute")


def taper(model: Model, width: float) -> LinearOperator:
    """Falls smoothly to zero over `width` at the sides of the model; its top and bottom stay.

    Parameters
    ----------
    model : Model
    width : float, m

    Returns
    -------
    operator on arrays of ``model.shape``

    Raises
    ------
    ValueError
        If the tapers of opposite sides meet.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> M = so.preconditioners.taper(model, 100)
    >>> (M @ np.ones(model.shape))[[0, 5, 10], 0].round(1).tolist()
    [0.0, 0.5, 1.0]
    """
    warn_if_below(width, min(model.spacing), "A taper", "m", "a cell")
    weights = np.ones(model.shape)
    for x, (low, high) in list(zip(_positions(model), model.extent, strict=True))[:-1]:
        weights = weights * both_ends(x, low, high, width, "m")
    return _weights(model, weights, "Taper")


def smoothing(model: Model, length: ArrayLike) -> LinearOperator:
    """The moving average over `length`, symmetric; values outside the model count as zero.

    Parameters
    ----------
    model : Model
    length : float or one per axis, m
        Rounded to an odd number of cells; zero leaves an axis as it is.

    Returns
    -------
    operator on arrays of ``model.shape``

    Raises
    ------
    ValueError
        If the average is longer than the model.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> M = so.preconditioners.smoothing(model, (50, 0))
    >>> spike = np.zeros(model.shape)
    >>> spike[20, 20] = 1
    >>> np.abs(M @ spike)[17:24, 20].astype(float).round(1).tolist()
    [0.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.0]
    """
    lengths = np.broadcast_to(real(length, "A length"), (model.ndim,))
    for x, h in zip(lengths, model.spacing, strict=True):
        warn_if_below(float(x), h, "An average", "m", "a cell")
    cells = [2 * round(x / (2 * h) - 1e-9) + 1 for x, h in zip(lengths, model.spacing, strict=True)]
    if any(c > n for c, n in zip(cells, model.shape, strict=True)):
        raise ValueError(f"An average over {cells} cells is longer than the model, {model.shape}.")
    op = SmoothingND(cells, model.shape, axes=tuple(range(model.ndim)), dtype=model.dtype)
    return OnGrid(op, "Smoothing")


def illumination(op: SeismicOperator, x: ArrayLike, *, power: float = 0.5, floor: float = 0.01) -> LinearOperator:
    r"""Weights that make up for uneven illumination by the wavefields u = op @ x.

    .. math:: w = \Big(\frac{I}{\overline{I}} + \epsilon\Big)^{-p}, \qquad I(x) = \sum_{shots} \sum_n u_n(x)^2

    with the mean of I over the model. The illumination by the sources is that of ``A @ Ps.H`` and q; by the receivers,
    that of ``A.H @ Pr.H`` and the data or, independent of them, noise in their band; by both, the product of the two
    operators.

    Parameters
    ----------
    op : operator with wavefields as its output
    x : array of ``op.dims``
    power : float
        The exponent p; 0.5 makes the columns of a Jacobian even.
    floor : float
        The water level epsilon, above zero.

    Returns
    -------
    operator on arrays of ``model.shape``

    Raises
    ------
    ValueError
        If `op` gives no wavefields, they are zero everywhere, or the floor is not positive.

    Notes
    -----
    One march a shot, with the wavefield of each shot that runs at the time in memory.

    References
    ----------
    R. G. Pratt, C. Shin, G. J. Hicks, 1998, Gauss-Newton and full Newton methods in frequency-space seismic waveform
    inversion, Geophys. J. Int. 133; R.-E. Plessix, W. A. Mulder, 2004, Frequency-domain finite-difference
    amplitude-preserving migration, Geophys. J. Int. 157.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> A, Ps = so.Modeling(model, src), so.Projection(model, src)
    >>> M = so.preconditioners.illumination(A @ Ps.H, so.ricker(src, f0=0.02))
    >>> M.dims == model.shape
    True
    """
    op = compose(op)
    model = getattr(op, "model", None)
    if model is None or not op.separable or op.dimsd[-model.ndim :] != model.padded_shape:
        raise ValueError(f"Illumination is of wavefields, such as those of A @ Ps.H; {describe(op)} gives none.")
    if not floor > 0:
        raise ValueError(f"The floor of the illumination must be positive, got {floor}.")
    x = real(op._as_input(x), "What makes wavefields", None)
    check_finite(op, x)

    energies = map_shots(_Energy(op, x), op.nsrc, int(np.prod(model.padded_shape)))
    total = sum(np.asarray(e, np.float64) for e in energies)
    if not np.any(total):
        raise ValueError(f"The wavefields of {op} are zero everywhere: they illuminate nothing.")
    return _weights(model, (total / total.mean() + floor) ** -power, "Illumination")


@dataclass(frozen=True)
class _Energy:
    """The sum over time of the squared wavefield of a shot."""

    op: SeismicOperator
    x: NDArray

    def __call__(self, i: int) -> NDArray:
        one = self.only(i)
        u = apply(one.op, one.x).reshape(-1, *self.op.model.padded_shape)
        return self.op.model.crop(np.einsum("t...,t...->...", u, u))

    def only(self, i: int) -> _Energy:
        return _Energy(self.op[[i]], self.op.shots_in(self.x, [i])) if self.op.nsrc > 1 else self


def _positions(model: Model) -> list[NDArray]:
    """Positions along every axis (m), each shaped to broadcast over the model."""
    axes = [o + h * np.arange(n) for o, h, n in zip(model.origin, model.spacing, model.shape, strict=True)]
    return np.meshgrid(*axes, indexing="ij", sparse=True)


def _weights(model: Model, weights: NDArray, name: str) -> Weights:
    return Weights(np.array(np.broadcast_to(weights, model.shape), model.dtype), name)
