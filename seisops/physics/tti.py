"""P waves in a transversely isotropic earth with a tilted axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from seisops.physics.medium import AXES, Medium, Parameter
from seisops.physics.ports import added, assigned, ported
from seisops.physics.stencil import weights
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Difference, Expression, Field, Times
from seisops.physics.vti import VTI

THETA, PHI = "theta*pi/180", "phi*pi/180"
# Of every number of axes the directions along and across the axis of symmetry.
DIRECTIONS = {
    2: {"V": (f"sin({THETA})", f"cos({THETA})"), "H": (f"cos({THETA})", f"-sin({THETA})")},
    3: {
        "V": (f"sin({THETA})*cos({PHI})", f"sin({THETA})*sin({PHI})", f"cos({THETA})"),
        "H": (f"cos({THETA})*cos({PHI})", f"cos({THETA})*sin({PHI})", f"-sin({THETA})"),
        "L": (f"-sin({PHI})", f"cos({PHI})", "0"),
    },
}
# Beyond the model, where ε goes to δ on the way to the layer, in which waves about a tilted axis would grow.
SPREAD = "(delta + inside*(epsilon - delta))"


@dataclass(frozen=True)
class TTI(Medium):
    r"""P waves along and across an axis that is tilted by θ, with Thomsen's parameters; shear along it is left out.

    .. math:: \begin{pmatrix}\ddot\sigma_H\\ \ddot\sigma_V\end{pmatrix} = -\frac{\rho}{m}
              \begin{pmatrix}1 + 2\epsilon & \sqrt{1 + 2\delta}\\ \sqrt{1 + 2\delta} & 1\end{pmatrix}
              \begin{pmatrix}\sum_t D_t^T \rho^{-1} D_t\,\sigma_H\\ D_n^T\rho^{-1} D_n\,\sigma_V\end{pmatrix},
              \qquad D_n = n\cdot\nabla,\ D_t = t\cdot\nabla

    where n is the axis, n = (sin θ cos φ, sin θ sin φ, cos θ), and t are the directions across it. Differences are
    central, so that the operators are squares and no tilt makes waves grow. They see a wave of two cells as none: give
    waves some more points than in other media, or ``space_order=12``. Beyond the model ε goes to δ within 20 cells,
    which then meet the absorbing layer. The density is 1 where it is not given.

    References
    ----------
    Y. Zhang, H. Zhang and G. Zhang, 2011, A stable TTI reverse time migration and its implementation, Geophysics 76.
    K. Bube et al., 2012, First-order systems for elastic and acoustic variable-tilt TI media, Geophysics 77.
    """

    title: ClassVar = "TTI"
    parameters: ClassVar = VTI.parameters | {
        "theta": Parameter("tilt of the axis from the vertical", "degrees", positive=False),
        "phi": Parameter("azimuth of the axis", "degrees", positive=False, default=0.0),
    }
    spellings: ClassVar = VTI.spellings
    coefficients: ClassVar = {
        "cHH": f"h**2*rho/m*(1 + 2*{SPREAD})",
        "cHV": "h**2*rho/m*sqrt(1 + 2*delta)",
        "cVV": "h**2*rho/m",
        "b": "1/rho",
    } | {
        f"{along}{AXES[ndim][a]}{ndim}": part
        for ndim, directions in DIRECTIONS.items()
        for along, parts in directions.items()
        for a, part in enumerate(parts)
    }
    speed: ClassVar = VTI.speed
    slow: ClassVar = "sqrt((1 + 2*Min(delta, 0))/m)"
    between: ClassVar = "rho"
    margin: ClassVar = 20
    band: ClassVar = 0.68
    free_surface: ClassVar = False

    def scheme(self, ndim):
        here, axes = (0,) * ndim, AXES[ndim]
        sH, sV = Field("sH", here, second=True), Field("sV", here, second=True)
        eH, eV, volume, pressure = (Field(name, here) for name in ("eH", "eV", "volume", "pressure"))
        fields, stages, flow = [sH, sV], [assigned(volume, Expression(()))], {"V": [], "H": []}
        gradients = {}
        for kind, stress in (("H", sH), ("V", sV)):
            gradients[kind] = [Field(f"g{kind}{axis}", here) for axis in axes]
            stages += [assigned(g, Difference(a)(stress.value)) for a, g in enumerate(gradients[kind])]
        for along, parts in DIRECTIONS[ndim].items():
            kind = "V" if along == "V" else "H"
            used = [a for a, part in enumerate(parts) if part != "0"]
            names = {a: f"{along}{axes[a]}{ndim}" for a in used}
            slope, push = Field(f"slope{along}", here), Field(f"push{along}", here, stored=True)
            flows = {a: Field(f"flow{along}{axes[a]}", here) for a in used}
            stages.append(assigned(slope, sum(Times(names[a])(gradients[kind][a].value) for a in used)))
            stages.append(assigned(push, Times("b")(slope.value)))
            stages += [assigned(flows[a], Times(names[a])(push.value)) for a in used]
            flow[kind] += [Difference(a)(flows[a].value) for a in used]
            fields += [slope, push, *flows.values()]
        stages += [
            assigned(eH, sum(flow["H"]) + (ndim - 1) / ndim * volume.value),
            assigned(eV, sum(flow["V"]) + 1 / ndim * volume.value),
            added(sH, Times("cHH")(eH.value) + Times("cHV")(eV.value)),
            added(sV, Times("cHV")(eH.value) + Times("cVV")(eV.value)),
            assigned(pressure, (ndim - 1) / ndim * sH.value + 1 / ndim * sV.value),
        ]
        fields += [*gradients["H"], *gradients["V"], eH, eV, volume, pressure]
        ports = [Source("p", "volume"), Receiver("p", "pressure")]
        return ported(fields, stages, ports, closed=("volume", "pressure"))

    def check(self, parameters):
        VTI().check(parameters)
        if parameters["phi"].ndim == 2 and np.any(parameters["phi"]):
            raise ValueError("phi turns the axis out of a model of two axes: leave it out, theta may be negative.")

    def gain(self, here, beside):
        # The inverse density is one at nodes, and a central difference has none at its own.
        return here / beside

    def stable_step(self, spacing, order):
        nodes, values = weights(Difference(0), order)
        k = np.linspace(0, np.pi, 1001)
        largest = np.abs(sum(w * np.sin(n * k) for n, w in zip(nodes, values, strict=True))).max()
        return 2.0 / sqrt(sum((largest / d) ** 2 for d in spacing))
