r"""The samplers Pr and Ps: wavefields at points.

`R` interpolates in space (:mod:`seisops.propagators.points`), `W` is the time operator
(:mod:`seisops.time_operator`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import ShotIndex
from seisops.arrays import shot_indices
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.components import Component, Strain, parts_of
from seisops.operators.survey_operator import (
    RECEIVER,
    SOURCE,
    Collected,
    SurveyOperator,
    channel,
    check_arguments,
    filters,
    wavefield_shape,
)
from seisops.physics.steps import Receiver
from seisops.propagators import domain
from seisops.propagators.couplings import Points
from seisops.propagators.marching import Term
from seisops.propagators.points import HALF_WIDTH, PointWeights, point_weights
from seisops.propagators.surroundings import flushing
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
    component : str, dict of str to float, Strain, or a sequence of these
        What is recorded, and injected by the adjoint: "p" the pressure and volume sources; "x", "y", "z" the particle
        velocity and forces; "xx" ... stresses and moments; a dict adds several up with weights, such as the moment
        tensor ``{"xx": 1, "zz": -1}``; a :class:`Strain` is what a fibre records; a sequence records several at once.
        Which there are, the medium says.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to data (nsrc, npoint, nt), dimensionless; of a sequence of
    components to data (nsrc, ncomponent, npoint, nt).

    Raises
    ------
    ValueError
        For points outside the model, or on its free surface, or a component that the medium does not have.

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

    samples, varies = True, False
    takes, gives = "wavefields", "data"
    source_name = "Ps"

    def __init__(
        self, model: Model, geometry: Geometry, *, interpolation: str = "sinc",
        component: Component | Sequence[Component] = "p",
    ) -> None:  # fmt: skip
        check_arguments("Projection", model, geometry)
        if interpolation not in HALF_WIDTH:
            raise ValueError(f"interpolation is one of {sorted(HALF_WIDTH)}, got {interpolation!r}.")
        self.interpolation = interpolation
        self.component = dict(component) if isinstance(component, Mapping) else component
        self._parts = [parts_of(model, c) for c in self._components]
        for c in self._components:
            if isinstance(c, Strain):
                c.check_points(geometry.positions)
        weights = [self._weighted(model, p) for p in geometry.positions]
        check_positions(np.concatenate(geometry.positions), model)
        self._build(model, geometry, weights)

    @cached_property
    def _several(self) -> bool:
        return not isinstance(self.component, (str, Mapping, Strain))

    @property
    def _components(self) -> tuple[Component, ...]:
        return tuple(self.component) if self._several else (self.component,)

    def _weighted(self, model: Model, positions: NDArray) -> list[tuple[str, PointWeights]]:
        """The points of a shot at every port that a component has a part of, with the rows of their series."""
        scheme, found = model.scheme, []
        for c, part in ((c, part) for c, parts in enumerate(self._parts) for part in parts):
            name = next(s.field for s in scheme.steps if isinstance(s, Receiver) and s.name == part.port)
            field = scheme.field(name)
            there = positions if part.shift is None else positions + part.shift
            parity = 0 if model.ends else field.parity or -1
            points = point_weights(model, there, self.interpolation, field.stagger, parity)
            first, *others = points.weights
            rows = (c * len(points) + np.arange(len(points))).astype(np.int32)
            weighted = first * np.broadcast_to(part.weight, len(points)).astype(first.dtype)[:, None]
            found.append((part.port, replace(points, weights=(weighted, *others), rows=rows)))
        return found

    def _build(self, model: Model, geometry: Geometry, weights: list) -> None:
        dimsd = geometry.shape
        if self._several:
            if len(dimsd) - len(geometry.lead) != 2:
                raise ValueError("Several components are recorded at once where all shots have as many points.")
            dimsd = (*geometry.lead, len(self._components), *dimsd[len(geometry.lead) :])
        super().__init__(model, geometry, wavefield_shape(model, geometry), dimsd)
        self.name, self.sampled = "Pr", (None, (geometry.dt, geometry.onset))
        self._weights = weights

    def _copy(self, model: Model, geometry: Geometry, weights: list) -> Projection:
        other = object.__new__(Projection)
        other.interpolation, other.component, other._parts = self.interpolation, self.component, self._parts
        other._build(model, geometry, weights)
        return other

    def derivative(self, this, tail, x, wrt):
        return None

    def _at(self, model):
        return self._copied(model=model)

    def within(self, window):
        model = window.of(self.model)
        return self._copy(model, self.geometry, [self._weighted(model, p) for p in self.geometry.positions])

    def __getitem__(self, index: ShotIndex) -> Projection:
        chosen = shot_indices(index, self.nsrc)
        return self._copy(self.model, self.geometry[index], [self._weights[i] for i in chosen])

    def shots_out(self, d, index):
        chosen = shot_indices(index, self.nsrc)
        shots = self._split(d)
        return self[index]._join([shots[i] for i in chosen])

    def _split(self, d: NDArray) -> list[NDArray]:
        """The series of every shot, (npoint, nt), those of several components one after the other."""
        if not self._several:
            return self.geometry.split(d)
        return list(d.reshape(self.nsrc, -1, self.geometry.nt))

    def _join(self, shots: list[NDArray]) -> NDArray:
        return np.stack(shots).reshape(self.dimsd) if self._several else self.geometry.join(shots)

    # --- by itself

    def _forward(self, u):
        W, u = time_operator(self.model, self.geometry), self._shotwise(u)
        with flushing():
            return self._join([self._read(groups, ui) @ W for groups, ui in zip(self._weights, u, strict=True)])

    def _read(self, groups: list[tuple[str, PointWeights]], u: NDArray) -> NDArray:
        """The series of all points of a shot, in steps."""
        rows = 1 + max(int(p.rows.max()) for _, p in groups)
        found = np.zeros((rows, self.nt), self.dtype)
        for port, points in groups:
            k = channel(self.model, port)
            field = (u if k is None else u[:, k]).reshape(self.nt, -1)
            found[points.rows] += points.matrix(self.model.padded_shape) @ field.T
        return found

    def _transposed(self, d):
        W = time_operator(self.model, self.geometry)
        u = np.zeros(self.dims, self.dtype)
        with flushing():
            for groups, s, shot in zip(self._weights, self._split(d), self._shotwise(u), strict=True):
                self._write(groups, s @ W.T, shot)
        return u

    def _write(self, groups: list[tuple[str, PointWeights]], s: NDArray, u: NDArray) -> None:
        """Add the wavefields that all points of a shot inject."""
        for port, points in groups:
            k = channel(self.model, port)
            field = u if k is None else u[:, k]
            field += (points.matrix(self.model.padded_shape).T @ s[points.rows]).T.reshape(field.shape)

    # --- as one end of a propagation

    @cached_property
    def _couplings(self) -> list[Points]:
        """Those of all shots."""
        # Ranks have parts of rows.
        alone = domain.ranks() == 1
        return [_coupling(groups, alone) for groups in self._weights]

    @cached_property
    def _filters(self) -> dict[str, list]:
        """What is done to the series of every component at both ends of A, besides W."""
        return {end: [filters(self.model, p[0].port, end) for p in self._parts] for end in (SOURCE, RECEIVER)}

    def term(self, i: int, values: NDArray | None = None, end: str = RECEIVER) -> Term:
        """The coupling of shot `i` at one end of A, with the series to inject."""
        given, (_, points) = {}, zip(*self._weights[i], strict=True)
        if values is not None:
            parts = np.split(values, len(self._parts)) if self._several else [values]
            with flushing():
                series = [
                    time_operator(self.model, self.geometry, f, end == RECEIVER) @ x.T
                    for f, x in zip(self._filters[end], parts, strict=True)
                ]
            given["series"] = np.hstack(series) if self._several else series[0]
        return Term(self._couplings[i], given, points)

    def shots(self, x: NDArray) -> list[NDArray]:
        """What every shot injects."""
        return self._split(x)

    def recorded(self, i: int, payload: NDArray, end: str = RECEIVER) -> NDArray:
        """The data of shot `i` from what its march measured."""
        parts = np.split(payload, len(self._parts), axis=1) if self._several else [payload]
        with flushing():
            records = [
                x.T @ time_operator(self.model, self.geometry, f, end == RECEIVER)
                for x, f in zip(parts, self._filters[end], strict=True)
            ]
        return np.vstack(records) if self._several else records[0]

    def collector(self) -> Collected:
        """Takes the data of one shot after the other."""
        return Collected(self._join)


def _coupling(groups: list[tuple[str, PointWeights]], alone: bool) -> Points:
    ports, points = zip(*groups, strict=True)
    length = min(p.whole for p in points) if alone else 0
    return Points(port=ports[0], length=length) if len(ports) == 1 else Points(components=ports, length=length)
