"""Operators on the wavefields of a survey: what all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod

from numpy.typing import NDArray

from seisops.algebra import SeismicOperator, ShotIndex
from seisops.algebra.operator import Footprint
from seisops.execution.shots import map_shots
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.propagators import domain
from seisops.propagators.footprint import state_bytes
from seisops.storage import Wave
from seisops.time_operator import computational_steps


class SurveyOperator(SeismicOperator):
    """An operator on the wavefields of a survey: of some shots, steps and a padded grid."""

    separable = True

    def __init__(self, model: Model, geometry: Geometry, dims: tuple, dimsd: tuple) -> None:
        self.geometry, self.nsrc = geometry, geometry.nsrc
        self.nt = computational_steps(model, geometry)
        super().__init__(dims, dimsd, model.dtype, model)

    def shots_in(self, x: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` takes of an input `x` of all shots."""
        return x[list(index) if isinstance(index, tuple) else index]

    def shots_out(self, y: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` gives of an output `y` of all shots."""
        return y[list(index) if isinstance(index, tuple) else index]

    def alone(self, i: int) -> SurveyOperator:
        """Shot `i` for another process: ``op[[i]]`` in this model."""
        return self[[i]]

    def _shotwise(self, x: NDArray) -> NDArray:
        """`x` with its shot axis, also for the one shot of ``op[i]``."""
        return x[None] if self.geometry.single else x

    def wave(self, adjoint: bool = False, make=None) -> Wave:
        """What a history of one shot's wavefield, or of its part here, is of, and how it is marched."""
        state = partial(state_bytes, self.model)
        return Wave(self.nt, domain.shape(self.model), self.dtype, self.model.dt, adjoint, make, state)

    def footprint(self, nsrc):
        return Footprint(wave=self.wave())

    def _each(self, task) -> Iterator:
        return map_shots(task, self.nsrc, prod(self.model.padded_shape))


def check_arguments(name: str, model: Model, geometry: Geometry) -> None:
    """Refuse what is no model and geometry, with what was given instead."""
    if isinstance(model, Geometry) and isinstance(geometry, Model):
        raise TypeError(f"{name} takes (model, geometry); these are in the other order.")
    for what, kind, given in (("first", Model, model), ("second", Geometry, geometry)):
        if not isinstance(given, kind):
            raise TypeError(
                f"{name} takes (model, geometry): the {what} is a {kind.__name__}, got {type(given).__name__}."
            )


class Collected:
    """Results of all shots, side by side."""

    def __init__(self, join: Callable[[list[NDArray]], NDArray]) -> None:
        self.join, self.parts = join, []

    def add(self, part: NDArray) -> None:
        """Take the result of the next shot."""
        self.parts.append(part)

    def total(self) -> NDArray:
        """The results of all shots."""
        return self.join(self.parts)


class Summed:
    """The sum of the results of all shots, of which no more than one is held."""

    def __init__(self) -> None:
        self.sum = None

    def add(self, part: NDArray) -> None:
        """Take the result of the next shot."""
        self.sum = part if self.sum is None else self.sum + part

    def total(self) -> NDArray:
        """The sum."""
        return self.sum


def wavefield_shape(model: Model, geometry: Geometry) -> tuple[int, ...]:
    """Shape of a wavefield, (nsrc, computational steps, *model.padded_shape), or of several."""
    n = len(model.channels)
    return (*geometry.lead, computational_steps(model, geometry), *([n] if n > 1 else []), *model.padded_shape)


def channel(model: Model, name: str) -> int | None:
    """The place of a component among the wavefields of a medium; None where there is but one.

    Raises
    ------
    ValueError
        For one that the medium does not have.
    """
    names = model.channels
    if name not in names:
        known = ", ".join(model.medium.components(model.ndim))
        raise ValueError(f"{type(model.medium).__name__} has no component {name!r}; it has {known}.")
    return names.index(name) if len(names) > 1 else None


# At which end of A an operator stands, whichever way it is marched: where waves set out, or where they are observed.
SOURCE, RECEIVER = "source", "receiver"


def filters(model: Model, port: str, end: str) -> tuple[str, ...]:
    """What brings a port of the medium onto the time axis of the steps."""
    return model.medium.filters.get(port, ((), ()))[end == RECEIVER]
