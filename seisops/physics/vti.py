"""P waves in a transversely isotropic earth with a vertical axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seisops.physics.flow import BUOYANCIES, flow
from seisops.physics.medium import Medium, Parameter, Spelling, staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Expression, Field, Times


@dataclass(frozen=True)
class VTI(Medium):
    r"""P waves along and across a vertical axis, with Thomsen's parameters ε and δ; shear along the axis is left out.

    .. math:: \begin{pmatrix}\ddot\sigma_H\\ \ddot\sigma_V\end{pmatrix} = \frac{\rho}{m}
              \begin{pmatrix}1 + 2\epsilon & \sqrt{1 + 2\delta}\\ \sqrt{1 + 2\delta} & 1\end{pmatrix}
              \begin{pmatrix}\nabla_H\cdot\rho^{-1}\nabla_H\,\sigma_H + s_H\\
              \partial_z\,\rho^{-1}\partial_z\,\sigma_V + s_V\end{pmatrix}

    The velocity v = 1/√m is the vertical one. A volume source s is shared by the axes alike, and the pressure is the
    mean over them. The density is 1 where it is not given.

    References
    ----------
    L. Thomsen, 1986, Weak elastic anisotropy, Geophysics 51. E. Duveneck and P. Bakker, 2011, Stable P-wave modeling
    for reverse-time migration in tilted TI media, Geophysics 76. K. Bube et al., 2012, First-order systems for elastic
    and acoustic variable-tilt TI media, Geophysics 77.
    """

    title: ClassVar = "VTI"
    parameters: ClassVar = {
        "m": Parameter("squared slowness along the axis", "s²/km²"),
        "epsilon": Parameter("Thomsen's epsilon", "1", positive=False, least=-0.45),
        "delta": Parameter("Thomsen's delta", "1", positive=False, least=-0.45),
        "rho": Parameter("density", "g/cm³", default=1.0),
    }
    spellings: ClassVar = {"v": Spelling("m", "velocity along the axis", "km/s", "1/v**2", "1/sqrt(m)", known=True)}
    coefficients: ClassVar = {
        "cHH": "h**2*rho/m*(1 + 2*epsilon)",
        "cHV": "h**2*rho/m*sqrt(1 + 2*delta)",
        "cVV": "h**2*rho/m",
    } | BUOYANCIES
    speed: ClassVar = "sqrt((1 + 2*Max(epsilon, 0))/m)"
    between: ClassVar = "rho"
    filters: ClassVar = {axis: ((), ("integral", "half")) for axis in "xyz"}

    def scheme(self, ndim):
        here = (0,) * ndim
        sH, sV = (Field(name, here, second=True, parity=-1) for name in ("sH", "sV"))
        # The transpose takes differences in depth of eV.
        eH, eV = Field("eH", here), Field("eV", here, parity=-1)
        volume, pressure = Field("volume", here), Field("pressure", here)
        fields, stages, ports, gathered = flow([sH] * (ndim - 1) + [sV])
        stages = [
            assigned(volume, Expression(())),
            *stages,
            assigned(eH, sum(gathered[:-1]) + (ndim - 1) / ndim * volume.value),
            assigned(eV, gathered[-1] + 1 / ndim * volume.value),
            added(sH, Times("cHH")(eH.value) + Times("cHV")(eV.value)),
            added(sV, Times("cHV")(eH.value) + Times("cVV")(eV.value)),
            assigned(pressure, (ndim - 1) / ndim * sH.value + 1 / ndim * sV.value),
        ]
        ends = [Source("p", "volume"), *ports, Receiver("p", "pressure")]
        return ported([sH, sV, *fields, eH, eV, volume, pressure], stages, ends, closed=("volume", "pressure"))

    def check(self, parameters):
        excess = parameters["delta"].astype(np.float64) - parameters["epsilon"]
        # What float32 makes of two numbers that are meant to be equal.
        if excess.max() > 1e-6:
            where = tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
            raise ValueError(
                f"delta must not be above epsilon, or the waves grow without limit where shear is left out; at {where} "
                f"delta is {parameters['delta'][where]:.4g} and epsilon {parameters['epsilon'][where]:.4g}. Lower "
                "delta there, or use an elastic medium."
            )

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)
