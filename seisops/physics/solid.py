"""Solids of which the elastic energy is written down: their stages, stresses being its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import chain, combinations
from typing import ClassVar, NamedTuple

import numpy as np
import sympy
from numpy.typing import NDArray

from seisops.physics.coefficients import Coefficient, Mean, parsed
from seisops.physics.medium import AXES, Medium, Parameters, staggered_step
from seisops.physics.ports import added, assigned, ported
from seisops.physics.steps import Receiver, Source
from seisops.physics.surface import GIVING, ON, UNWEIGHTED, VANISHING, WEIGHT, WEIGHT_BETWEEN
from seisops.physics.terms import Difference, Expression, Field, Times

# Of which minors of a stiffness may fall below zero, in parts of its diagonal: what single precision makes of zero.
SLACK = 1e-5


class Stiffness(NamedTuple):
    """What a strain adds to a stress: the name of a coefficient, and its formula."""

    stress: str
    strain: str
    name: str
    coefficient: Coefficient


class Solid(Medium):
    r"""A medium of particle velocities and stresses with an elastic energy.

    .. math:: \rho\,\dot v_i = \partial_j \sigma_{ij} + f_i, \qquad
              \dot\sigma_k = \frac{\partial W(\dot e)}{\partial \dot e_k} - \dot M_k

    Velocities and stresses lie on the staggered grid of Virieux (1986) and Levander (1988), in turn half a step apart.
    A subclass names its parameters, with a density ``rho`` among them, its fastest speed and its energy. Components:
    "p", pressure and the volume source of acoustic media; "x", "y", "z", particle velocities and forces; "xx" ... "xz",
    stresses and moments. At a free surface fields end, see :mod:`seisops.physics.surface`.

    Attributes
    ----------
    energy : str
        A quadratic form of the strains exx, eyy, ezz and the shears eyz = ∂y uz + ∂z uy, exz, exy, with formulas of
        parameters. Between nodes a stiffness is a harmonic mean, of which one fluid node is enough for none. Energies
        that are not positive somewhere are refused with the numbers.
    relaxing : sequence of (str, str, str)
        Of every standard linear solid the energy of what relaxes, and as formulas of the time step h what a strain
        gives to its memory and what the memory loses in a step, over h and in all.

    References
    ----------
    J. Virieux, 1986, P-SV wave propagation in heterogeneous media: velocity-stress finite-difference method,
    Geophysics 51. A. Levander, 1988, Fourth-order finite-difference P-SV seismograms, Geophysics 53.
    """

    energy: str
    relaxing: Sequence[tuple[str, str, str]] = ()
    between: ClassVar = "rho"
    # The one of acoustic media lets strong contrasts of shear grow in the layer.
    layer_shift: ClassVar = (10.0, 2.0)
    filters: ClassVar = (
        {"p": (("integral",), ("previous",))}
        | {axis: ((), ("half",)) for axis in "xyz"}
        | {a + b: (("change",), ("previous",)) for a, b in ("xx", "yy", "zz", "xy", "xz", "yz")}
    )

    @property
    def positive(self) -> tuple[str, ...]:
        """The energies that no strain may make negative."""
        return (self.energy,)

    @cached_property
    def coefficients(self) -> dict[str, Coefficient]:
        """Of both numbers of axes."""
        found: dict[str, Coefficient] = {}
        for ndim in (2, 3):
            found |= {self._buoyancy(a, ndim): Mean(f"h/x/{_weight(ndim, a)}", "rho", (a,)) for a in range(ndim)}
            for stiffness in self._stiffnesses(ndim):
                found |= {s.name: s.coefficient for s in stiffness if s.name not in found}
        return found | {f"fade{i}": fade for i, (_, _, fade) in enumerate(self.relaxing)}

    @staticmethod
    def _buoyancy(axis: int, ndim: int) -> str:
        return f"b{axis}z" if axis == ndim - 1 else f"b{axis}"

    def _stiffnesses(self, ndim: int) -> list[list[Stiffness]]:
        """The stiffness of every energy."""
        energies = [("", self.energy, "1")] + [(f"{i}", e, gain) for i, (e, gain, _) in enumerate(self.relaxing)]
        return [self._stiffness(tag, energy, factor, ndim) for tag, energy, factor in energies]

    def _stiffness(self, tag: str, energy: str, factor: str, ndim: int) -> list[Stiffness]:
        found, named, formulas = [], {}, second_derivatives(energy, self.names, ndim)
        for (k, j), formula in formulas.items():
            between = tuple(AXES[ndim].index(axis) for axis in k) if k[0] != k[1] else ()
            scale = f"h*{_weight(ndim, *between)}" if factor == "1" else f"h*{factor}*{_weight(ndim, *between)}"
            same = named.setdefault((formula, between), f"C{tag}{k}{''.join(map(str, between)) or j}")
            mean = Mean(f"{scale}*x", formula, between, harmonic=True)
            found.append(Stiffness(k, j, same, mean if between else f"{scale}*({formula})"))
            if between or "zz" in (k, j) or (k, "zz") not in formulas:
                continue
            # On a free surface the body gives way across it, so that there is no stress.
            less = f"({formulas[k, 'zz']})*({formulas['zz', j]})/({formulas['zz', 'zz']})"
            same = named.setdefault((less, ()), f"{GIVING}{tag}{k}{j}")
            found.append(Stiffness(k, j, same, f"-{scale}*{ON}*{less}"))
        return found

    def scheme(self, ndim):
        axes = AXES[ndim]

        def at(*half: int) -> tuple[int, ...]:
            return tuple(int(k in half) for k in range(ndim))

        def along(axis: int, shift: int, ending: int = 1) -> Difference:
            return Difference(axis, shift=shift, ending=ending if axis == ndim - 1 else 0)

        def unweighted(name: str) -> Times:
            return Times(f"{UNWEIGHTED if name != 'zz' else VANISHING}{ndim - 1}_{places[name][-1]}")

        pairs = [(a, a) for a in range(ndim)] + list(combinations(range(ndim), 2))
        names = {(a, b): axes[a] + axes[b] for a, b in pairs}
        push = [Field(f"f{axis}", at(a)) for a, axis in enumerate(axes)]
        v = [Field(f"v{axis}", at(a)) for a, axis in enumerate(axes)]
        volume, pressure = Field("volume", at()), Field("pressure", at())
        places = {name: at() if a == b else at(a, b) for (a, b), name in names.items()}
        strain, stress = ({name: Field(letter + name, at) for name, at in places.items()} for letter in "es")
        stages = []
        for a in range(ndim):
            pulls = [
                along(b, 1 if a == b else -1, ending=-1)(stress[names[min(a, b), max(a, b)]].value) for b in range(ndim)
            ]
            stages.append(assigned(push[a], sum(pulls)))
        stages += [added(v[a], Times(self._buoyancy(a, ndim))(push[a].value)) for a in range(ndim)]
        stages.append(assigned(volume, Expression(())))
        for a, b in pairs:
            if a == b:
                change = along(a, -1)(v[a].value) - 1 / ndim * unweighted(2 * axes[a])(volume.value)
            else:
                change = along(b, 1)(v[a].value) + along(a, 1)(v[b].value)
            stages.append(assigned(strain[names[a, b]], change))
        stiffness, *relaxing = self._stiffnesses(ndim)
        lags = [{n: (Field(f"old{i}{n}", at), Field(f"lag{i}{n}", at)) for n, at in places.items()}
                for i in range(len(relaxing))]  # fmt: skip
        stages += [assigned(old, lag.value) for memories in lags for old, lag in memories.values()]
        for k in places:
            stages.append(added(stress[k], sum((m[k][0].value for m in lags), _of(stiffness, k, strain))))
        for i, (part, memories) in enumerate(zip(relaxing, lags, strict=True)):
            stages += [
                added(lag, _of(part, k, strain) + Times(f"fade{i}")(old.value)) for k, (old, lag) in memories.items()
            ]
        normal = [-1 / ndim * unweighted(2 * axis)(stress[2 * axis].value) for axis in axes]
        stages.append(assigned(pressure, sum(normal)))
        ports = [Source("p", "volume"), Receiver("p", "pressure")]
        for a, axis in enumerate(axes):
            ports += [Source(axis, push[a].name), Receiver(axis, v[a].name)]
        for name, s in stress.items():
            ports += [Source(name, s.name), Receiver(name, s.name, (unweighted(name),))]
        memories = [f for m in lags for f in chain(*m.values())]
        fields = [*push, *v, volume, *strain.values(), *memories, *stress.values(), pressure]
        closed = ["volume", "pressure", *(old.name for m in lags for old, _ in m.values())]
        return ported(fields, stages, ports, closed=closed)

    def check(self, parameters):
        ndim = next(iter(parameters.values())).ndim
        for energy in self.positive:
            self._refuse_what_is_not_positive(energy, parameters, ndim)

    def _refuse_what_is_not_positive(self, energy: str, parameters: Parameters, ndim: int) -> None:
        """By the principal minors of the stiffness."""
        formulas = second_derivatives(energy, self.names, ndim)
        known = {name: x.astype(np.float64) for name, x in parameters.items()}
        values = {pair: self.evaluate(formula, known) for pair, formula in formulas.items()}
        strains = [k for k, j in formulas if k == j]
        scale = {k: np.abs(values[k, k]).max() or 1.0 for k in strains}
        for size in range(1, ndim + 1):
            for some in combinations(strains, size):
                if size > 1 and not all((k, j) in values for k, j in combinations(some, 2)):
                    continue
                minor = _determinant([[values.get((k, j), 0.0) / np.sqrt(scale[k] * scale[j]) for j in some]
                                      for k in some])  # fmt: skip
                if minor.min() < -SLACK:
                    where = tuple(int(i) for i in np.unravel_index(np.argmin(minor), minor.shape))
                    there = ", ".join(f"{name} = {x[where]:.4g}" for name, x in parameters.items())
                    raise ValueError(
                        f"No energy holds this medium together: at {where}, where {there}, strains {', '.join(some)} "
                        "would set energy free and waves grow without limit."
                    )

    def stable_step(self, spacing, order):
        return staggered_step(spacing, order)


@cache
def second_derivatives(energy: str, names: tuple[str, ...], ndim: int) -> dict[tuple[str, str], str]:
    """The formulas of the stiffness by pairs of strains that a quadratic energy couples, in so many dimensions.

    Raises
    ------
    ValueError
        For an energy that is not quadratic in strains, or couples those at different nodes.
    """
    axes = AXES[ndim]
    strains = [a + a for a in axes] + [a + b for a, b in combinations(axes, 2)]
    symbols = {k: sympy.Symbol("e" + k) for k in strains}
    form = parsed(energy, (*names, *("e" + a + b for a in "xyz" for b in "xyz")))
    form = form.subs({s: 0 for s in form.free_symbols if str(s) in _ALL_STRAINS and str(s)[1:] not in strains})
    found = {}
    for k in strains:
        for j in strains:
            stiffness = sympy.diff(form, symbols[k], symbols[j])
            if stiffness == 0:
                continue
            if stiffness.free_symbols & set(symbols.values()):
                raise ValueError(f"An elastic energy is quadratic in the strains; {energy} is not.")
            if k != j and (k[0] != k[1] or j[0] != j[1]):
                raise ValueError(f"The energy {energy} couples e{k} and e{j}, which lie at different nodes.")
            found[k, j] = str(stiffness)
    return found


def _weight(ndim: int, *between: int) -> str:
    """What a free surface weighs a coefficient by that lies between nodes along some axes."""
    return WEIGHT_BETWEEN if ndim - 1 in between else WEIGHT


_ALL_STRAINS = {"e" + a + b for a in "xyz" for b in "xyz"}


def _of(stiffness: list[Stiffness], k: str, strain: dict[str, Field]) -> Expression:
    """The stress `k` of strains."""
    return sum(Times(s.name)(strain[s.strain].value) for s in stiffness if s.stress == k)


def _determinant(rows: list[list[NDArray]]) -> NDArray:
    if len(rows) == 1:
        return rows[0][0]
    minors = ([row[:i] + row[i + 1 :] for row in rows[1:]] for i in range(len(rows)))
    return sum((-1) ** i * rows[0][i] * _determinant(minor) for i, minor in enumerate(minors))
