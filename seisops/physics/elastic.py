"""Waves of pressure and shear in an isotropic solid, with fluids in it or on top of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from seisops.physics.coefficients import Mean
from seisops.physics.medium import Medium, Parameter, Spelling, staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.terms import Difference, Expression, Field, Times
from seisops.physics.variable_density import AXES


@dataclass(frozen=True)
class Elastic(Medium):
    r"""An isotropic solid of velocities vp, vs and density ρ; vs = 0 is a fluid.

    .. math:: \rho\,\dot v_i = \partial_j \sigma_{ij} + f_i, \qquad
              \dot\sigma_{ij} = \lambda\,\delta_{ij}\,\nabla\cdot v + \mu\,(\partial_i v_j + \partial_j v_i)
                                - \dot M_{ij}

    Velocities and stresses on the staggered grid of Virieux (1986) and Levander (1988), in turn half a step apart.
    The density between nodes is the arithmetic, the rigidity the harmonic mean of the nodes around. Components: "p",
    pressure and the volume source of acoustic media; "x", "y", "z", particle velocities and forces; "xx" ... "xz",
    stresses and moments.

    References
    ----------
    J. Virieux, 1986, P-SV wave propagation in heterogeneous media: velocity-stress finite-difference method,
    Geophysics 51. A. Levander, 1988, Fourth-order finite-difference P-SV seismograms, Geophysics 53.
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
    coefficients: ClassVar = (
        {"c": "h*rho*vp**2", "lam": "h*rho*(vp**2 - 2*vs**2)"}
        | {f"b{a}": Mean("h/x", "rho", (a,)) for a in range(3)}
        | {f"mu{a}{b}": Mean("h*x", "rho*vs**2", (a, b), harmonic=True) for a, b in combinations(range(3), 2)}
    )
    speed: ClassVar = "vp"
    free_surface: ClassVar = False
    filters: ClassVar = (
        {"p": (("integral",), ("previous",))}
        | {axis: ((), ("half",)) for axis in "xyz"}
        | {a + b: (("change",), ("previous",)) for a, b in ("xx", "yy", "zz", "xy", "xz", "yz")}
    )

    def scheme(self, ndim):
        axes = AXES[ndim]
        here = (0,) * ndim

        def at(*half: int) -> tuple[int, ...]:
            return tuple(int(k in half) for k in range(ndim))

        pairs = list(combinations(range(ndim), 2))
        push = [Field(f"f{axis}", at(a)) for a, axis in enumerate(axes)]
        v = [Field(f"v{axis}", at(a)) for a, axis in enumerate(axes)]
        volume, pressure = Field("volume", here), Field("pressure", here)
        strain = {(a, a): Field(f"e{axes[a]}{axes[a]}", here) for a in range(ndim)}
        stress = {(a, a): Field(f"s{axes[a]}{axes[a]}", here) for a in range(ndim)}
        strain |= {(a, b): Field(f"e{axes[a]}{axes[b]}", at(a, b)) for a, b in pairs}
        stress |= {(a, b): Field(f"s{axes[a]}{axes[b]}", at(a, b)) for a, b in pairs}
        stages = []
        for a in range(ndim):
            pulls = [Difference(b, shift=1 if a == b else -1)(stress[min(a, b), max(a, b)].value) for b in range(ndim)]
            stages.append(assigned(push[a], sum(pulls)))
        stages += [added(v[a], Times(f"b{a}")(push[a].value)) for a in range(ndim)]
        stages.append(assigned(volume, Expression(())))
        for a in range(ndim):
            stretch = Difference(a, shift=-1)(v[a].value) - 1 / ndim * volume.value
            stages.append(assigned(strain[a, a], stretch))
        for a, b in pairs:
            shear = Difference(b, shift=1)(v[a].value) + Difference(a, shift=1)(v[b].value)
            stages.append(assigned(strain[a, b], shear))
        for a in range(ndim):
            terms = [Times("c" if a == b else "lam")(strain[b, b].value) for b in range(ndim)]
            stages.append(added(stress[a, a], sum(terms)))
        stages += [added(stress[a, b], Times(f"mu{a}{b}")(strain[a, b].value)) for a, b in pairs]
        stages.append(assigned(pressure, sum(-1 / ndim * stress[a, a].value for a in range(ndim))))
        ports = [Source("p", "volume"), Receiver("p", "pressure")]
        for a, axis in enumerate(axes):
            ports += [Source(axis, push[a].name), Receiver(axis, v[a].name)]
        for (a, b), s in stress.items():
            ports += [Source(axes[a] + axes[b], s.name), Receiver(axes[a] + axes[b], s.name)]
        fields = [*push, *v, volume, *strain.values(), *stress.values(), pressure]
        return ported(fields, stages, ports, closed=("volume", "pressure"))

    def check(self, parameters):
        ratio = parameters["vs"] / parameters["vp"]
        # Where the bulk modulus is not positive, no energy holds the medium together.
        if ratio.max() >= np.sqrt(0.75):
            where = tuple(int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
            raise ValueError(
                f"vs must be below 0.866 vp, where the bulk modulus vanishes; at {where} vp is "
                f"{parameters['vp'][where]:.4g} and vs {parameters['vs'][where]:.4g} km/s."
            )

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)
