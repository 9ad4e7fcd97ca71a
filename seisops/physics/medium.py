"""What a wave equation says of itself, for everything else to work with it unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt
from types import MappingProxyType

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from seisops.arrays import real
from seisops.physics.coefficients import Coefficient, parsed
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import weights
from seisops.physics.steps import Source
from seisops.physics.terms import Difference

Parameters = Mapping[str, NDArray]
# The names of the axes, by how many there are.
AXES = {2: "xz", 3: "xyz"}


@dataclass(frozen=True)
class Parameter:
    """What a medium is described by, at every node of the grid.

    Parameters
    ----------
    title : str
        The field's word for it.
    unit : str
    positive : bool
        Whether only values above zero have a meaning.
    default : float, optional
        What it is everywhere where it is not given.
    least : float, optional
        The smallest value that has a meaning, where that is not above zero.
    """

    title: str
    unit: str
    positive: bool = True
    default: float | None = None
    least: float | None = None


@dataclass(frozen=True)
class Spelling:
    """Another quantity that users give or ask for in the place of a parameter, and the way there and back.

    The formulas may need other parameters, and on the way there other quantities that are given with it. The quantity
    that most users know, `known`, is what models show.
    """

    of: str
    title: str
    unit: str
    to_parameter: str
    from_parameter: str
    known: bool = False


class Medium(ABC):
    """A wave equation: its parameters, its scheme, and the coefficients that the scheme has of the parameters.

    A subclass is frozen and hashable, as kernels are found again by what it says. Formulas are in SymPy's syntax.

    Attributes
    ----------
    parameters : dict of str to Parameter
    spellings : dict of str to Spelling
        Other names that a parameter goes by.
    coefficients : dict of str to str or Mean
        Every coefficient of the scheme as a formula of the parameters and the time step h.
    speed, slow : str
        The formulas of the fastest and the slowest speed, km/s; the same where `slow` is not given.
    between : str
        The parameter of which the scheme has the inverse of a mean between nodes, if any: the density.
    layer_shift : pair of float
        Of the frequencies below which the absorbing layer turns to evanescent waves, at its inner and its outer edge,
        in proportion to that of acoustic media. Larger ones absorb less, and stay stable in stronger contrasts.
    margin : int
        Cells between the model and its absorbing layer. Formulas of coefficients may have an ``inside``, which is one
        in the model and goes to zero across them.
    band : float
        The part of the shortest waves of a grid that points send and record. Central differences let waves of nearly
        two cells travel like long ones, so that they must not be sent.
    title : str
        What it is called, for messages.
    free_surface : bool
        Whether it can have a free surface: fields are mirrored there by their parity, or end there by differences that
        say so.
    options : tuple of str
        Keywords of Model that say more of the medium; its own fields.
    filters : dict of str to pair of tuples of str
        For ports that are not on the time axis of the data: what is done to a source, and to what is recorded, one
        after the other, see :mod:`seisops.time_operator`.
    """

    parameters: Mapping[str, Parameter]
    spellings: Mapping[str, Spelling] = MappingProxyType({})
    coefficients: Mapping[str, Coefficient]
    speed: str
    slow: str = ""
    between: str = ""
    layer_shift: tuple[float, float] = (1.0, 0.0)
    margin: int = 0
    band: float = 1.0
    title: str = ""
    options: tuple[str, ...] = ()
    free_surface: bool = True
    filters: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType({})

    @abstractmethod
    def scheme(self, ndim: int) -> Scheme:
        """The time step in so many dimensions, without an absorbing layer."""

    @abstractmethod
    def stable_step(self, spacing: tuple[float, ...], order: int) -> float:
        """The largest time step (ms) at a speed of 1 km/s."""

    def check(self, parameters: Parameters) -> None:  # noqa: B027, most have nothing to refuse
        """Refuse parameters that make no sense together, in words."""

    def fastest(self, parameters: Parameters) -> float:
        """The fastest speed of the rocks, km/s."""
        return float(self.evaluate(self.speed, parameters).max())

    def slowest(self, parameters: Parameters) -> float:
        """The slowest speed of the rocks, km/s."""
        return float(self.evaluate(self.slow or self.speed, parameters).min())

    def grid_speed(self, parameters: Parameters) -> float:
        """The fastest speed on the grid, km/s: a node beside lighter ones is faster than its rock.

        The inertia between two nodes is that of their mean density, the stiffness a node's own.
        """
        speed = self.evaluate(self.speed, parameters)
        if not self.between:
            return float(speed.max())
        x, gain = parameters[self.between].astype(np.float64), 1.0
        for axis in range(x.ndim):
            for step in (-1, 1):
                beside = np.take(x, (np.arange(x.shape[axis]) + step).clip(0, x.shape[axis] - 1), axis)
                gain = np.maximum(gain, self.gain(x, beside))
        return float((speed * np.sqrt(gain)).max())

    def gain(self, here: NDArray, beside: NDArray) -> NDArray:
        """How much faster, squared, a node is on the grid than its rock, by the density here and beside it."""
        return 2 * here / (here + beside)

    @property
    def wrt(self) -> tuple[str, ...]:
        """What derivatives are with respect to where nobody says: m, or all parameters of a medium without one."""
        return ("m",) if "m" in self.parameters else tuple(self.parameters)

    def channels(self, ndim: int) -> tuple[str, ...]:
        """The wavefields of its modelling operator."""
        return tuple(s.name for s in self.scheme(ndim).steps if isinstance(s, Source))

    def components(self, ndim: int) -> tuple[str, ...]:
        """Those of its wavefields that have a meaning to users: ports, not named after a field of the scheme."""
        scheme = self.scheme(ndim)
        fields = {f.name for f in scheme.fields}
        return tuple(s.name for s in scheme.steps if isinstance(s, Source) and s.name not in fields)

    def canonical(self, given: Mapping[str, ArrayLike], known: Parameters | None = None) -> dict[str, NDArray]:
        """The parameters that are meant by `given`, which may be spelled otherwise, checked, in double precision.

        Parameters
        ----------
        given : dict of str to array
        known : dict of str to array, optional
            The parameters that stay where they are not given.

        Raises
        ------
        TypeError
            For a name this medium does not have, a parameter given twice, or complex values.
        ValueError
            For values that are not finite, or not positive where they must be.
        """
        result: dict[str, NDArray] = {}
        spelled: dict[str, NDArray] = {}
        for name, values in given.items():
            spelling = self.spellings.get(name)
            meant = spelling or self.parameters.get(name)
            target = spelling.of if spelling else name
            if meant is None:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}; it has {self.words}.")
            if target in result or target in (self.spellings[s].of for s in spelled):
                raise TypeError(f"{name} says once more what was given: give one of {self.words}.")
            values = _checked(meant.title, values, self.parameters[target])
            (spelled if spelling else result)[name] = values
        known = {name: np.asarray(x, np.float64) for name, x in (known or {}).items()}
        for name in spelled:
            formula = self.spellings[name].to_parameter
            there = known | result | spelled
            # What it needs and nobody gave, of what is known.
            missing = [n for n in self.names_in(formula) if n not in there and n in self.spellings and known]
            there |= {n: self.evaluate(self.spellings[n].from_parameter, known) for n in missing}
            lacking = set(self.names_in(formula)) - there.keys()
            if lacking:
                raise ValueError(
                    f"{name} says something of a medium together with {', '.join(sorted(lacking))}: give it too."
                )
            target = self.spellings[name].of
            result[target] = _checked(
                self.parameters[target].title, self.evaluate(formula, there), self.parameters[target]
            )
        return result

    def names_in(self, formula: str) -> tuple[str, ...]:
        """What a formula is of, in order."""
        return tuple(sorted(str(s) for s in parsed(formula, self.names).free_symbols if str(s) != "h"))

    def meanings(self, wrt: Collection[str]) -> tuple[tuple[str, str], ...]:
        """Every parameter as a formula of quantities: of those of `wrt` that it is spelled by, else itself.

        Raises
        ------
        ValueError
            For a name this medium does not have, or a parameter that is named twice.
        """
        found = {name: name for name in self.parameters}
        for name in wrt:
            if name not in self.parameters and name not in self.spellings:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}: derivatives are with respect to {self.words}."
                )
        targets = [self.spellings[n].of if n in self.spellings else n for n in wrt]
        if len(set(targets)) < len(targets) or not targets:
            raise ValueError(
                f"Derivatives are with respect to one or several of {self.words}, each once; got {tuple(wrt)}."
            )
        for name in wrt:
            if name in self.spellings:
                found[self.spellings[name].of] = self.spellings[name].to_parameter
        return tuple(found.items())

    @property
    def names(self) -> tuple[str, ...]:
        """All names of its parameters and of what they are also spelled by."""
        return (*self.parameters, *self.spellings)

    @property
    def words(self) -> str:
        """Its parameters and their spellings, for messages."""
        named = self.parameters | self.spellings
        return ", ".join(f"{name} ({p.title}, {p.unit})" for name, p in named.items())

    def evaluate(self, formula: str, parameters: Parameters) -> NDArray:
        """A formula at every node."""
        names = tuple(parameters)
        return np.asarray(_function(formula, names)(*parameters.values())) + np.zeros(np.shape(parameters[names[0]]))


def _checked(title: str, values: ArrayLike, parameter: Parameter) -> NDArray:
    values, positive = real(values, f"The {title}"), parameter.positive
    if values.ndim not in (2, 3):
        raise ValueError(f"The {title} must have axes (x, z) or (x, y, z), got shape {values.shape}.")
    if min(values.shape) < 2:
        raise ValueError(f"The {title} needs at least two grid points along every axis, got {values.shape}.")
    bad = ~np.isfinite(values) | (values <= 0 if positive else False)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"The {title} must be {'positive and ' if positive else ''}finite; {int(bad.sum())} of {values.size} "
            f"values are not, the first at {where}: {values[where]}."
        )
    if parameter.least is not None and values.min() < parameter.least:
        where = tuple(int(i) for i in np.argwhere(values < parameter.least)[0])
        raise ValueError(f"The {title} must be {parameter.least:g} at least; at {where} it is {values[where]:g}.")
    return values


def staggered_step(spacing: tuple[float, ...], order: int) -> float:
    """The limit of a leapfrog whose differences lie half a cell off: h v times the largest eigenvalue of one is 2."""
    largest = sum(abs(w) for w in weights(Difference(0, shift=1), order)[1])
    return 2.0 / sqrt(sum((largest / d) ** 2 for d in spacing))


def leapfrog_step(spacing: tuple[float, ...], order: int) -> float:
    """The limit of a leapfrog with the compact Laplacian: h² v² times the largest eigenvalue of -L is 4."""
    largest = sum(abs(w) for w in weights(Difference(0, 2), order)[1])
    return 2.0 / sqrt(sum(largest / d**2 for d in spacing))


@cache
def _function(formula: str, names: tuple[str, ...]) -> Callable[..., NDArray]:
    return sympy.lambdify([sympy.Symbol(n) for n in names], parsed(formula, names), "numpy")
