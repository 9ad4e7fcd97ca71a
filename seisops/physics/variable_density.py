"""Sound in an earth whose density varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seisops.physics.flow import BUOYANCIES, flow
from seisops.physics.medium import Medium, Parameter, Spelling, staggered_step
from seisops.physics.ports import added, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Field


@dataclass(frozen=True)
class VariableDensity(Medium):
    r"""Sound in an earth of squared slowness m = 1/v² and density ρ.

    .. math:: \frac{m}{\rho}\,\ddot u - \nabla\cdot\frac{1}{\rho}\nabla u = s

    Leapfrog in time; the acceleration :math:`\dot v = (f - \nabla u) / \rho` lies between the nodes, where the density
    is the mean of both sides. Pressure and explosions are the component "p", particle velocities and forces "x", "y"
    and "z".
    """

    title: ClassVar = "sound with density"
    parameters: ClassVar = {
        "m": Parameter("squared slowness", "s²/km²"),
        "rho": Parameter("density", "g/cm³"),
    }
    spellings: ClassVar = {"v": Spelling("m", "velocity", "km/s", "1/v**2", "1/sqrt(m)", known=True)}
    coefficients: ClassVar = {"inertia": "m/rho"} | BUOYANCIES
    speed: ClassVar = "1/sqrt(m)"
    between: ClassVar = "rho"

    def scheme(self, ndim):
        u = Field("u", (0,) * ndim, inertia="inertia", parity=-1)
        fields, stages, ports, gathered = flow([u] * ndim)
        ends = [Source("p", "u"), Receiver("p", "u")]
        return ported([u, *fields], [*stages, added(u, sum(gathered))], [*ends, *ports], closed=("u",))

    filters: ClassVar = {axis: ((), ("integral", "half")) for axis in "xyz"}

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)
