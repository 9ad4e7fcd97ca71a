"""Waves of pressure and shear in an isotropic solid, with fluids in it or on top of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seisops.physics.medium import Parameter, Spelling
from seisops.physics.solid import Solid


def isotropic(modulus: str, rigidity: str) -> str:
    """The energy of an isotropic solid of these moduli of P and S waves."""
    shears = f"({rigidity})/2*(exy**2 + exz**2 + eyz**2 - 4*(exx*eyy + exx*ezz + eyy*ezz))"
    return f"({modulus})/2*(exx + eyy + ezz)**2 + {shears}"


@dataclass(frozen=True)
class Elastic(Solid):
    r"""An isotropic solid of velocities vp, vs and density ρ; vs = 0 is a fluid.

    .. math:: \rho\,\dot v_i = \partial_j \sigma_{ij} + f_i, \qquad
              \dot\sigma_{ij} = \lambda\,\delta_{ij}\,\nabla\cdot v + \mu\,(\partial_i v_j + \partial_j v_i)
                                - \dot M_{ij}

    See :class:`seisops.physics.solid.Solid` for the grid and the components.
    """

    title: ClassVar = "elastic"
    parameters: ClassVar = {
        "vp": Parameter("velocity of P waves", "km/s"),
        "vs": Parameter("velocity of S waves", "km/s", positive=False, least=0.0),
        "rho": Parameter("density", "g/cm³"),
    }
    spellings: ClassVar = {
        "lam": Spelling("vp", "first Lamé parameter", "GPa", "sqrt((lam + 2*mu)/rho)", "rho*(vp**2 - 2*vs**2)"),
        "mu": Spelling("vs", "rigidity", "GPa", "sqrt(mu/rho)", "rho*vs**2"),
    }
    energy: ClassVar = isotropic("rho*vp**2", "rho*vs**2")
    speed: ClassVar = "vp"
    slow: ClassVar = "Piecewise((vs, vs > 0), (vp, True))"

    def check(self, parameters):
        ratio = parameters["vs"] / parameters["vp"]
        # Where the bulk modulus is not positive, no energy holds the medium together.
        if ratio.max() >= np.sqrt(0.75):
            where = tuple(int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
            raise ValueError(
                f"vs must be below 0.866 vp, where the bulk modulus vanishes; at {where} vp is "
                f"{parameters['vp'][where]:.4g} and vs {parameters['vs'][where]:.4g} km/s."
            )
