"""What a wave equation says of itself, for everything else to work with it unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt
from types import MappingProxyType

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from seisops.arrays import real
from seisops.physics.scheme import Difference, Scheme
from seisops.physics.stencil import weights

Parameters = Mapping[str, NDArray]


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
    """

    title: str
    unit: str
    positive: bool = True


@dataclass(frozen=True)
class Spelling:
    """Another quantity that users give or ask for in the place of a parameter, and the way there and back."""

    of: str
    title: str
    unit: str
    to_parameter: str
    from_parameter: str


class Medium(ABC):
    """A wave equation: its parameters, its scheme, and the coefficients that the scheme has of the parameters.

    A subclass is frozen and hashable, as kernels are found again by what it says. Formulas are in SymPy's syntax.

    Attributes
    ----------
    parameters : dict of str to Parameter
    spellings : dict of str to Spelling
        Other names that a parameter goes by.
    coefficients : dict of str to str
        Every coefficient of the scheme as a formula of the parameters.
    speed : str
        The formula of the fastest speed, km/s.
    """

    parameters: Mapping[str, Parameter]
    spellings: Mapping[str, Spelling] = MappingProxyType({})
    coefficients: Mapping[str, str]
    speed: str

    @abstractmethod
    def scheme(self, ndim: int) -> Scheme:
        """The time step in so many dimensions, without an absorbing layer."""

    @abstractmethod
    def stable_step(self, spacing: tuple[float, ...], order: int) -> float:
        """The largest time step (ms) at a speed of 1 km/s."""

    def canonical(self, given: Mapping[str, ArrayLike]) -> dict[str, NDArray]:
        """The parameters that are meant by `given`, which may be spelled otherwise, checked, in double precision.

        Raises
        ------
        TypeError
            For a name this medium does not have, a parameter given twice, or complex values.
        ValueError
            For values that are not finite, or not positive where they must be.
        """
        result: dict[str, NDArray] = {}
        for name, values in given.items():
            spelling = self.spellings.get(name)
            meant = spelling or self.parameters.get(name)
            target = spelling.of if spelling else name
            if meant is None:
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}; it has {self.words}.")
            if target in result:
                raise TypeError(f"{name} says once more what was given: give one of {self.words}.")
            values = _checked(meant.title, values, self.parameters[target].positive)
            result[target] = self.evaluate(spelling.to_parameter, {name: values}) if spelling else values
        return result

    @property
    def words(self) -> str:
        """Its parameters and their spellings, for messages."""
        named = self.parameters | self.spellings
        return ", ".join(f"{name} ({p.title}, {p.unit})" for name, p in named.items())

    def evaluate(self, formula: str, parameters: Parameters) -> NDArray:
        """A formula at every node."""
        names = tuple(parameters)
        return np.asarray(_function(formula, names)(*parameters.values())) + np.zeros(np.shape(parameters[names[0]]))

    def partial(self, coefficient: str, wrt: tuple[str, ...], parameters: Parameters) -> NDArray | None:
        """The derivative of a coefficient in the parameters `wrt`, one after the other; None where it vanishes."""
        formula = _derivative(self.coefficients[coefficient], tuple(parameters), wrt)
        return None if formula == "0" else self.evaluate(formula, parameters)


def _checked(title: str, values: ArrayLike, positive: bool) -> NDArray:
    values = real(values, f"The {title}")
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
    return values


def leapfrog_step(spacing: tuple[float, ...], order: int) -> float:
    """The limit of a leapfrog with the compact Laplacian: h² v² times the largest eigenvalue of -L is 4."""
    largest = sum(abs(w) for w in weights(Difference(0, 2), order)[1])
    return 2.0 / sqrt(sum(largest / d**2 for d in spacing))


def _parsed(formula: str, names: tuple[str, ...]) -> sympy.Expr:
    # By name, or SymPy takes Q, S and others for its own.
    return sympy.sympify(formula, locals={name: sympy.Symbol(name) for name in names})


@cache
def _function(formula: str, names: tuple[str, ...]) -> Callable[..., NDArray]:
    return sympy.lambdify([sympy.Symbol(n) for n in names], _parsed(formula, names), "numpy")


@cache
def _derivative(formula: str, names: tuple[str, ...], wrt: tuple[str, ...]) -> str:
    return str(sympy.diff(_parsed(formula, names), *(sympy.Symbol(n) for n in wrt)))
