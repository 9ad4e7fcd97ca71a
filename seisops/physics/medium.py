"""What a wave equation says of itself, for everything else to work with it unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from math import sqrt

import numpy as np
import sympy
from numpy.typing import NDArray

from seisops.physics.scheme import Difference, Scheme
from seisops.physics.stencil import weights

Parameters = Mapping[str, NDArray]


class Medium(ABC):
    """A wave equation: its parameters, its scheme, and the coefficients that the scheme has of the parameters.

    A subclass is frozen and hashable, as kernels are found again by it.

    Attributes
    ----------
    parameters : dict of str to str
        The names of the parameters, with their units.
    coefficients : dict of str to str
        Every coefficient of the scheme as a formula of the parameters, in SymPy's syntax.
    speed : str
        The formula of the fastest speed, km/s.
    """

    parameters: Mapping[str, str]
    coefficients: Mapping[str, str]
    speed: str

    @abstractmethod
    def scheme(self, ndim: int) -> Scheme:
        """The time step in so many dimensions, without an absorbing layer."""

    @abstractmethod
    def stable_step(self, spacing: tuple[float, ...], order: int) -> float:
        """The largest time step (ms) at a speed of 1 km/s."""

    def evaluate(self, formula: str, parameters: Parameters) -> NDArray:
        """A formula at every node."""
        names = tuple(parameters)
        return np.asarray(_function(formula, names)(*parameters.values())) + np.zeros(np.shape(parameters[names[0]]))

    def partial(self, coefficient: str, wrt: tuple[str, ...], parameters: Parameters) -> NDArray | None:
        """The derivative of a coefficient in the parameters `wrt`, one after the other; None where it vanishes."""
        formula = _derivative(self.coefficients[coefficient], tuple(parameters), wrt)
        return None if formula == "0" else self.evaluate(formula, parameters)


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
