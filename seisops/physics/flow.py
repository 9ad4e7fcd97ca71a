"""What drives sound in an earth whose density varies: accelerations between the nodes, and what they bring together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seisops.physics.coefficients import Mean
from seisops.physics.medium import AXES
from seisops.physics.ports import assigned
from seisops.physics.steps import Port, Receiver, Source, Stage
from seisops.physics.terms import Difference, Expression, Field, Times

# The inverse density between nodes along every axis.
BUOYANCIES = {f"b{a}": Mean("1/x", "rho", (a,)) for a in range(3)}


class Flow(NamedTuple):
    """Fields, stages and ports of accelerations, and by axis what they bring together."""

    fields: list[Field]
    stages: list[Stage]
    ports: list[Port]
    gathered: list[Expression]


def flow(pressures: Sequence[Field]) -> Flow:
    r"""Accelerations of pressures, one for every axis: forces come in and particle velocities go out there.

    .. math:: f_i = -\partial_i u, \qquad w_i = f_i / \rho, \qquad -\partial_i w_i
    """
    ndim, found = len(pressures), Flow([], [], [], [])
    for a, (axis, u) in enumerate(zip(AXES[ndim], pressures, strict=True)):
        place = tuple(int(a == k) for k in range(ndim))
        # What is differenced in depth is mirrored at a free surface: w here, and in the transpose the push.
        push, w = (Field(f"{letter}{axis}", place, parity=int(a == ndim - 1)) for letter in "fw")
        found.fields.extend([push, w])
        found.stages.append(assigned(push, -Difference(a, shift=1)(u.value)))
        found.stages.append(assigned(w, Times(f"b{a}")(push.value)))
        found.ports.extend([Source(axis, push.name), Receiver(axis, w.name)])
        found.gathered.append(-Difference(a, shift=-1)(w.value))
    return found
