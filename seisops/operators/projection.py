r"""The samplers Pr and Ps: wavefields at points.

`R` interpolates in space (:mod:`seisops.propagators.points`), `W` is the time operator
(:mod:`seisops.time_operator`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import ShotIndex
from seisops.geometry import Geometry, shot_indices
from seisops.model import Model
from seisops.operators.survey_operator import Collected, SurveyOperator, check_arguments, wavefield_shape
from seisops.propagators.couplings import Points
from seisops.propagators.marching import Term
from seisops.propagators.points import HALF_WIDTH, PointWeights, point_weights
from seisops.time_operator import time_operator
from seisops.units import check_positions


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
        check_arguments("Projection", model, geometry)
        if interpolation not in HALF_WIDTH:
            raise ValueError(f"interpolation is one of {sorted(HALF_WIDTH)}, got {interpolation!r}.")
        self.interpolation = interpolation
        weights = [point_weights(model, p, interpolation) for p in geometry.positions]
        check_positions(np.concatenate(geometry.positions), model)
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

    def derivative(self, this, tail, x):
        return None

    def _at(self, model):
        return self._copy(model, self.geometry, self._weights)

    def within(self, window):
        weights = [point_weights(window.model, p, self.interpolation) for p in self.geometry.positions]
        return self._copy(window.model, self.geometry, weights)

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
