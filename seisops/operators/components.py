"""What a sampler records and injects: parts of a medium's wavefields at points, or beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.model import Model
from seisops.operators.survey_operator import channel
from seisops.physics.medium import AXES


@dataclass(frozen=True)
class Part:
    """A weight of every point at a port, of the wavefield `shift` (m) beside it."""

    port: str
    weight: float | NDArray
    shift: NDArray | None = None


class Strain:
    r"""The rate of strain along a fibre, averaged over its gauge: what distributed acoustic sensing (DAS) records.

    .. math:: \dot e = \frac1L \int_{-L/2}^{L/2} n \cdot \nabla v(x + s n) \cdot n \, ds
              = \frac{n \cdot (v(x + \tfrac L2 n) - v(x - \tfrac L2 n))}{L}

    with the particle velocity v. As a component of a :class:`Projection` it is recorded like any other; the adjoint
    injects the couple of forces that is its transpose.

    Parameters
    ----------
    direction : array, axes (axis,) or (point, axis)
        Along the fibre, of any length; of every point, where it bends.
    gauge : float, m
        The gauge length L.

    Raises
    ------
    ValueError
        For a direction of no length or a gauge that is not positive.

    References
    ----------
    A. Hartog, 2017, An Introduction to Distributed Optical Fibre Sensors, CRC Press.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), rho=np.ones((51, 41)), spacing=10)
    >>> so.Projection(model, so.Geometry([[[100, 205.5]]], dt=2, t=200), component=so.Strain((1, 0), gauge=20))
    Pr: (1, 98, 7, 71, 61) -> (1, 1, 101)
    """

    def __init__(self, direction: ArrayLike, *, gauge: float) -> None:
        n = np.array(direction, float)
        length = np.linalg.norm(n, axis=-1, keepdims=True)
        if n.ndim not in (1, 2) or not (np.isfinite(n).all() and length.all()):
            raise ValueError(f"The direction of a fibre is a vector, or one for every point; got {direction}.")
        if not (np.isfinite(gauge) and gauge > 0):
            raise ValueError(f"A gauge length is positive, got {gauge} m.")
        # What has unit length stays to the last bit: a copy is the same fibre.
        unit = np.abs(length - 1) <= 4 * np.finfo(float).eps
        self.direction, self.gauge = np.where(unit, n, n / length), float(gauge)

    def __repr__(self) -> str:
        along = self.direction.tolist() if self.direction.ndim == 1 else f"{len(self.direction)} directions"
        return f"Strain({along}, gauge={self.gauge:g})"

    def check_points(self, positions: Sequence[NDArray]) -> None:
        """Refuse directions of other points."""
        for shot in positions:
            if self.direction.ndim == 2 and len(self.direction) != len(shot):
                raise ValueError(f"{self} is for {len(self.direction)} points, a shot has {len(shot)}.")

    def parts(self, model: Model) -> list[Part]:
        """The particle velocities at both ends of the gauge."""
        if self.direction.shape[-1] != model.ndim:
            raise ValueError(f"{self} has {self.direction.shape[-1]} axes, the model has {model.ndim}.")
        return [
            Part(axis, sign * self.direction[..., a] / self.gauge, sign / 2 * self.gauge * self.direction)
            for a, axis in enumerate(AXES[model.ndim])
            if np.any(self.direction[..., a])
            for sign in (1.0, -1.0)
        ]


Component = str | Mapping[str, float] | Strain


def parts_of(model: Model, component: Component) -> list[Part]:
    """The parts of a component.

    Raises
    ------
    ValueError
        For one that the medium does not have, or a sum of some that are recorded in different ways.
    """
    if isinstance(component, Strain):
        parts = component.parts(model)
    else:
        weights = component if isinstance(component, Mapping) else {component: 1.0}
        if not weights or not all(np.isfinite(w) for w in weights.values()):
            raise ValueError(f"A component is a sum of at least one wavefield with finite weights, got {component}.")
        parts = [Part(port, float(weight)) for port, weight in weights.items()]
    for part in parts:
        channel(model, part.port)
    if len({model.medium.filters.get(part.port) for part in parts}) != 1:
        raise ValueError(f"{component} adds up components of different kinds: record them one beside the other.")
    return parts
