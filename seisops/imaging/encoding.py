r"""Simultaneous sources: many shots in one march."""

from __future__ import annotations

import numpy as np
import pylops
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.algebra import Adjoint, Chain, Constant, SeismicOperator, Sum, compose, describe, product
from seisops.arrays import real
from seisops.geometry import Geometry
from seisops.operators.modeling import Modeling
from seisops.operators.projection import Projection


class Encoding:
    r"""Weighted sums of shots that fire together, and the records of all of them.

    .. math:: (W F)\,(W q) = W\,(F q)

    Parameters
    ----------
    weights : array (encoded shot, shot)
        How much of every shot is in every encoded shot.

    Raises
    ------
    ValueError
        If the weights are not such an array, or not finite.

    Notes
    -----
    ``W @ F`` runs one march for an encoded shot, ``W.sources(F) @ q`` is its source, and ``W.records(F) @ d`` are the
    data it should give. Where the shots do not share their receivers the equation does not hold and ``W @ F`` refuses.

    References
    ----------
    J. Krebs et al., 2009, Fast full-wavefield seismic inversion using encoded sources, Geophysics 74.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[100, 20]], [[400, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[200, 20], [300, 20]]] * 2, dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> W = so.Encoding([[1, -1]])
    >>> W @ F
    Pr @ A @ Ps.H: (1, 2, 101) -> (1, 2, 101)
    >>> d = F @ so.ricker(src, f0=0.02)
    >>> (W.records(F) @ d).shape, (W.sources(F) @ so.ricker(src, f0=0.02)).shape
    ((1, 2, 101), (1, 2, 101))
    """

    def __init__(self, weights: ArrayLike) -> None:
        self.weights = np.array(real(weights, "Weights"))
        if self.weights.ndim != 2 or not self.weights.size or not np.isfinite(self.weights).all():
            raise ValueError(f"Weights are finite numbers with axes (encoded shot, shot), got {self.weights.shape}.")

    @staticmethod
    def random(encoded: int, nsrc: int, rng: np.random.Generator) -> Encoding:
        """Random signs, so that the cross-talk of `nsrc` shots in `encoded` ones is zero on average."""
        return Encoding(rng.choice([-1.0, 1.0], (encoded, nsrc)) / np.sqrt(encoded))

    def __matmul__(self, F: SeismicOperator) -> SeismicOperator:
        """The operator of the encoded shots."""
        F = compose(F)
        if isinstance(F, Sum):
            return Sum([self @ term for term in F.terms])
        left, right = self._samplers(F)
        n = len(self.weights)
        rec, src = left.geometry, right.geometry
        first = _shared_receivers(rec)
        together = np.concatenate(src.positions)
        receivers = Geometry([first] * n, dt=rec.dt, t=rec.t, t0=rec.t0)
        sources = Geometry([together] * n, dt=src.dt, t=src.t, t0=src.t0)
        return product(
            Projection(F.model, receivers, interpolation=left.interpolation, component=left.component),
            Modeling(F.model, receivers),
            Projection(F.model, sources, interpolation=right.interpolation, component=right.component).H,
            scale=F.scale,
        )

    def records(self, F: SeismicOperator) -> LinearOperator:
        """The operator that encodes data, from ``F.dimsd`` to those of ``W @ F``."""
        _shared_receivers(self._samplers(F)[0].geometry)
        return pylops.MatrixMult(self.weights.astype(F.dtype), otherdims=F.dimsd[1:], dtype=F.dtype)

    def sources(self, F: SeismicOperator) -> LinearOperator:
        """The operator that encodes sources, from ``F.dims`` to those of ``W @ F``."""
        return _Sources(self.weights, self._samplers(F)[1], F.dtype)

    def _samplers(self, F: SeismicOperator) -> tuple[Projection, Projection]:
        match F:
            case Chain(factors=(Projection() as left, Modeling(), Adjoint(op=Projection() as right))):
                if self.weights.shape[1] != F.nsrc:
                    raise ValueError(f"The weights are for {self.weights.shape[1]} shots, {F} has {F.nsrc}.")
                if left.geometry.single:
                    raise ValueError(f"{F} is of one shot without a shot axis: select it as op[[i]], not op[i].")
                return left, right
        raise ValueError(f"Shots of Pr @ A @ Ps.H are encoded, not of {describe(F)}.")


def _shared_receivers(rec: Geometry) -> NDArray:
    """The receivers of all shots."""
    first = rec.positions[0]
    for i, p in enumerate(rec.positions):
        if p.shape != first.shape or not np.array_equal(p, first):
            raise ValueError(
                f"Shots 0 and {i} have different receivers, so their records cannot be added: encode shots that "
                "share them, or give the receivers of all shots to every one."
            )
    return first


class _Sources(Constant):
    """The points of all shots in every encoded shot, weighted."""

    def __init__(self, weights: NDArray, Ps: Projection, dtype: np.dtype) -> None:
        geometry = Ps.geometry
        # Several components stand before the points.
        components = Ps.dimsd[1:-2] if len(Ps.dimsd) > len(geometry.shape) else ()
        super().__init__(Ps.dimsd, (len(weights), *components, sum(geometry.counts), geometry.nt), dtype)
        self.geometry, self.components, self.name = geometry, components, "W"
        # A weight for every point of every encoded shot.
        points = np.repeat(weights, geometry.counts, axis=1).astype(dtype)
        self.weights = points.reshape(len(weights), *(1 for _ in components), -1, 1)

    def _forward(self, q):
        shots = q if self.components else self.geometry.split(q)
        return self.weights * np.concatenate(list(shots), axis=-2)

    def _transposed(self, q):
        points = (self.weights * q).sum(axis=0)
        shots = np.split(points, np.cumsum(self.geometry.counts)[:-1], axis=-2)
        return np.stack(shots) if self.components else self.geometry.join(shots)


def reciprocal(src: Geometry, rec: Geometry) -> tuple[Geometry, Geometry]:
    r"""The survey with sources and receivers exchanged, for more sources than receivers.

    .. math:: d'_{rs}(t) = d_{sr}(t)

    Parameters
    ----------
    src : Geometry
        One point a shot.
    rec : Geometry
        The same receivers for every shot.

    Returns
    -------
    src, rec : Geometry
        A shot at every receiver, recorded at every source. Their data are ``d.transpose(1, 0, 2)``, for a wavelet that
        all shots share.

    Raises
    ------
    ValueError
        If a shot has several points, or receivers of its own.

    Examples
    --------
    >>> import seisops as so
    >>> src = so.Geometry([[[100, 20]], [[400, 20]], [[700, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[200, 300]]] * 3, dt=2, t=200)
    >>> so.reciprocal(src, rec)
    (Geometry(1 shot x 1 point, 101 samples of 2 ms), Geometry(1 shot x 3 points, 101 samples of 2 ms))
    """
    if set(src.counts) != {1}:
        raise ValueError(f"Reciprocity exchanges single points; the shots have {sorted(set(src.counts))} points.")
    first = rec.positions[0]
    if any(p.shape != first.shape or not np.array_equal(p, first) for p in rec.positions):
        raise ValueError("Reciprocity needs the same receivers for every shot.")
    sources = np.concatenate(src.positions)
    return (
        Geometry(first[:, None], dt=src.dt, t=src.t, t0=src.t0),
        Geometry([sources] * len(first), dt=rec.dt, t=rec.t, t0=rec.t0),
    )
