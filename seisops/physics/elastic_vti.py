"""Waves of pressure and shear in a transversely isotropic solid with a vertical axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seisops.physics.medium import Parameter
from seisops.physics.solid import Solid

# Over the density: c11, c13 and c66; c33 is vp², c44 is vs².
C11 = "vp**2*(1 + 2*epsilon)"
C13 = "(sqrt((vp**2 - vs**2)*(vp**2*(1 + 2*delta) - vs**2)) - vs**2)"
C66 = "vs**2*(1 + 2*gamma)"


@dataclass(frozen=True)
class ElasticVTI(Solid):
    r"""A solid with Thomsen's parameters ε, δ and γ about a vertical axis, along which its velocities are vp and vs.

    .. math:: W = \tfrac12 c_{11} (e_{xx} + e_{yy})^2 + \tfrac12 c_{33} e_{zz}^2 + c_{13} (e_{xx} + e_{yy}) e_{zz}
                  + \tfrac12 c_{44} (e_{xz}^2 + e_{yz}^2) + \tfrac12 c_{66} (e_{xy}^2 - 4 e_{xx} e_{yy})

    .. math:: c_{33} = \rho v_p^2,\quad c_{44} = \rho v_s^2,\quad c_{11} = (1 + 2\epsilon) c_{33},\quad
              c_{66} = (1 + 2\gamma) c_{44},

    .. math:: (c_{13} + c_{44})^2 = (c_{33} - c_{44}) ((1 + 2\delta) c_{33} - c_{44})

    γ is zero where it is not given. See :class:`seisops.physics.solid.Solid` for the grid and the components.

    References
    ----------
    L. Thomsen, 1986, Weak elastic anisotropy, Geophysics 51.
    """

    title: ClassVar = "elastic VTI"
    parameters: ClassVar = {
        "vp": Parameter("velocity of P waves along the axis", "km/s"),
        "vs": Parameter("velocity of S waves along the axis", "km/s", positive=False, least=0.0),
        "rho": Parameter("density", "g/cm³"),
        "epsilon": Parameter("Thomsen's epsilon", "1", positive=False, least=-0.45),
        "delta": Parameter("Thomsen's delta", "1", positive=False, least=-0.45),
        "gamma": Parameter("Thomsen's gamma", "1", positive=False, default=0.0, least=-0.45),
    }
    energy: ClassVar = (
        f"rho/2*({C11}*(exx + eyy)**2 + vp**2*ezz**2 + 2*{C13}*(exx + eyy)*ezz + vs**2*(exz**2 + eyz**2) "
        f"+ {C66}*(exy**2 - 4*exx*eyy))"
    )
    speed: ClassVar = "vp*sqrt(1 + 2*Max(epsilon, 0))"
    slow: ClassVar = "Piecewise((vs*sqrt(1 + 2*Min(gamma, 0)), vs > 0), (vp*sqrt(1 + 2*Min(epsilon, 0)), True))"

    def check(self, parameters):
        vp, vs, delta = (parameters[name].astype(np.float64) for name in ("vp", "vs", "delta"))
        room = np.minimum(vp, vp * np.sqrt(1 + 2 * delta)) - vs
        if room.min() <= 0:
            where = tuple(int(i) for i in np.unravel_index(np.argmin(room), room.shape))
            raise ValueError(
                f"vs must be below vp and vp √(1 + 2δ), or there is no such stiffness; at {where} vp is "
                f"{vp[where]:.4g}, vs {vs[where]:.4g} km/s and delta {delta[where]:.4g}."
            )
        super().check(parameters)
