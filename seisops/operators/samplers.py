r"""The samplers Pr, Ps and Pw: where wavefields meet data and weights.

`R` interpolates in space (:mod:`seisops.propagators.points`), `W` is the time operator
(:mod:`seisops.time_operator`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import ShotIndex
from seisops.arrays import real
from seisops.geometry import Geometry, shot_indices
from seisops.model import Model
from seisops.operators.survey_operator import Collected, SurveyOperator, wavefield_shape
from seisops.propagators.couplings import LowRank, Points
from seisops.propagators.marching import Term
from seisops.propagators.points import HALF_WIDTH, PointWeights, point_weights
from seisops.time_operator import time_operator
from seisops.wavelets import warn_if_undersampled


class Projection(SurveyOperator):
    r"""Records wavefields at points; the adjoint injects at points.

    .. math:: d = W^T R\, u

    with the interpolation `R` (Kaiser-windowed sinc or linear) and the time operator `W`.

    Parameters
    ----------
    model : Model
    geometry : Geometry
        Points of every shot, anywhere in the model, and the time axis of the data.
    interpolation : {"sinc", "linear"}
        Weights of a point off the grid.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to data (nsrc, npoint, nt), dimensionless.

    Raises
    ------
    ValueError
        For points outside the model, or on its free surface.

    References
    ----------
    G. Hicks, 2002, Arbitrary source and receiver positioning in finite-difference schemes using
    Kaiser windowed sinc functions, Geophysics 67.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> so.Projection(model, so.Geometry([[[100, 55.5]]], dt=2, t=200))
    Pr: (1, 97, 71, 61) -> (1, 1, 101)
    """

    samples = True
    takes, gives = "wavefields", "data"
    source_name = "Ps"

    def __init__(self, model: Model, geometry: Geometry, *, interpolation: str = "sinc") -> None:
        if interpolation not in HALF_WIDTH:
            raise ValueError(f"interpolation is one of {sorted(HALF_WIDTH)}, got {interpolation!r}.")
        self.interpolation = interpolation
        weights = [point_weights(model, p, interpolation) for p in geometry.positions]
        self._build(model, geometry, weights)

    def _build(self, model: Model, geometry: Geometry, weights: list[PointWeights]) -> None:
        super().__init__(model, geometry, wavefield_shape(model, geometry), geometry.shape)
        self.name, self.sampled = "Pr", (None, geometry.dt)
        self._weights = weights

    def _copy(self, model: Model, geometry: Geometry, weights: list[PointWeights]) -> Projection:
        other = object.__new__(Projection)
        other.interpolation = self.interpolation
        other._build(model, geometry, weights)
        return other

    def _at(self, model):
        return self._copy(model, self.geometry, self._weights)

    def within(self, window):
        return Projection(window.model, self.geometry, interpolation=self.interpolation)

    def __getitem__(self, index: ShotIndex) -> Projection:
        chosen = shot_indices(index, self.nsrc)
        return self._copy(self.model, self.geometry[index], [self._weights[i] for i in chosen])

    def shots_out(self, d, index):
        shots = self.geometry.split(d)
        return self.geometry[index].join([shots[i] for i in shot_indices(index, self.nsrc)])

    def _forward(self, u):
        W, u = time_operator(self.model, self.geometry), self._shotwise(u)
        matrices = [w.matrix(self.model.padded_shape) for w in self._weights]
        return self.geometry.join([(R @ ui.reshape(self.nt, -1).T) @ W for R, ui in zip(matrices, u, strict=True)])

    def _transposed(self, d):
        W = time_operator(self.model, self.geometry)
        matrices = [w.matrix(self.model.padded_shape) for w in self._weights]
        shots = self.geometry.split(d)
        return np.stack([(R.T @ (s @ W.T)).T for R, s in zip(matrices, shots, strict=True)]).reshape(self.dims)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None) -> Term:
        """The coupling of shot `i`, with the series to inject."""
        series = {} if values is None else {"series": time_operator(self.model, self.geometry) @ values.T}
        return Term(Points(), series, self._weights[i])

    def shots(self, x: NDArray) -> list[NDArray]:
        """What every shot injects."""
        return self.geometry.split(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        """The data of shot `i` from what its march measured."""
        return payload.T @ time_operator(self.model, self.geometry)

    def collector(self) -> Collected:
        """Takes the data of one shot after the other."""
        return Collected(self.geometry.join)


class LRWF(SurveyOperator):
    r"""Low-rank wavefield: correlates wavefields with one wavelet; the adjoint is an extended source.

    .. math:: w(x) = \sum_n (W q)_n\, u_n(x), \qquad P_w^T w = w(x)\, q(t)

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and the time axis; its positions are not used.
    wavelet : array (nt,) or (nsrc, nt) or (nsrc, 1, nt)
        The wavelet q on the time axis of `geometry`.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to weights (nsrc, \*model.shape), dimensionless.

    Raises
    ------
    ValueError
        If the wavelet does not fit the time axis or is not finite.

    References
    ----------
    P. Witte et al., 2019, A large-scale framework for symbolic implementations of seismic inversion
    algorithms in Julia, Geophysics 84.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> so.LRWF(model, rec, np.ones(101))
    Pw: (1, 97, 71, 61) -> (1, 51, 41)
    """

    samples = True
    takes, gives = "wavefields", "grid"

    def __init__(self, model: Model, geometry: Geometry, wavelet: ArrayLike) -> None:
        q = np.array(real(wavelet, "The wavelet"))
        n, nt = geometry.nsrc, geometry.nt
        if q.shape not in ((nt,), (n, nt), (n, 1, nt), (1, nt)):
            raise ValueError(f"The wavelet has shape ({nt},) or ({n}, {nt}) on {geometry}, got {q.shape}.")
        if not np.all(np.isfinite(q)):
            raise ValueError("The wavelet has values that are not finite.")
        self.wavelet = np.broadcast_to(q.reshape(-1, nt), (n, nt))
        warn_if_undersampled(model, geometry, self.wavelet)
        super().__init__(model, geometry, wavefield_shape(model, geometry), (*geometry.lead, *model.shape))
        self.name, self.sampled = "Pw", (None, geometry.dt)
        W = time_operator(model, geometry).astype(np.float64)
        # Row by row: a shot's own product is the same to the last bit among whichever others it stands.
        self._series = np.stack([W @ row for row in self.wavelet]).astype(model.dtype)

    def _at(self, model):
        return LRWF(model, self.geometry, self.wavelet)

    def within(self, window):
        return self._at(window.model)

    def __getitem__(self, index: ShotIndex) -> LRWF:
        return LRWF(self.model, self.geometry[index], self.wavelet[shot_indices(index, self.nsrc)])

    def _forward(self, u):
        w = np.einsum("st,st...->s...", self._series, self._shotwise(u), optimize=True)
        return self.model.crop(w).reshape(self.dimsd)

    def _transposed(self, w):
        w = self.model.embed(self._shotwise(w).astype(self.dtype))
        q = self._series.reshape(*self._series.shape, *(1,) * self.model.ndim)
        return (q * w[:, None]).reshape(self.dims)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None) -> Term:
        """The coupling of shot `i`, with the weights to inject."""
        weights = {} if values is None else {"weights": self.model.embed(values.astype(self.dtype))}
        return Term(LowRank(), {"wavelet": self._series[i], **weights})

    def shots(self, x: NDArray) -> NDArray:
        """What every shot injects."""
        return self._shotwise(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        """The weights of shot `i` from what its march measured."""
        return self.model.crop(payload)

    def collector(self) -> Collected:
        """Takes the weights of one shot after the other."""
        return Collected(lambda parts: np.stack(parts).reshape(self.dimsd))
