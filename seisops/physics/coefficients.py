r"""Coefficients of a scheme as formulas of parameters, on the nodes or between them, with derivatives of every order.

A coefficient between nodes is a formula of a mean over the nodes around it, so that it is a function of the parameters
at all of these: in SymPy's words of ``rho__00`` and ``rho__10``, here and half a cell on. Jets of these give its
derivatives, those of a harmonic mean in a fluid too, where the rigidity and with it the mean are zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import numpy as np
import sympy
from numpy.typing import NDArray

from seisops.physics.jets import HERE, Jet, evaluated

# Cells by which a node lies beyond that of an index, along every axis.
Node = tuple[int, ...]


@dataclass(frozen=True)
class Mean:
    """A coefficient between nodes: `formula` of x, the mean of `of` over the nodes around it.

    Parameters
    ----------
    formula : str
        Of x, of the time step h, and of quantities at its node.
    of : str
        A formula of parameters at a node.
    along : tuple of int
        The axes along which it lies half a cell on.
    harmonic : bool
        Take the harmonic mean, which is zero where one of its nodes is; the arithmetic mean without.
    """

    formula: str
    of: str
    along: tuple[int, ...]
    harmonic: bool = False


Coefficient = str | Mean

_STEP = sympy.Symbol("h")


def parsed(formula: str, names: Collection[str]) -> sympy.Expr:
    """A formula as SymPy has it."""
    # By name, or SymPy takes Q, S and others for its own.
    return sympy.sympify(formula, locals={name: sympy.Symbol(name) for name in (*names, "h", "x")})


@dataclass(frozen=True)
class Function:
    """A function of some quantities at some nodes, and of the time step h."""

    expression: sympy.Expr
    variables: tuple[tuple[str, Node], ...]

    @cached_property
    def _symbols(self) -> list[sympy.Symbol]:
        return [_symbol(*variable) for variable in self.variables]

    def at(
        self,
        h: float,
        values: Sequence[NDArray],
        directions: Sequence[Mapping[int, NDArray]] = (),
        wrt: Collection[int] | None = None,
    ) -> dict[int | None, NDArray]:
        """The derivative along all directions, and in each of some variables where any are asked for; no zeros.

        Parameters
        ----------
        h : float
            Time step, ms.
        values : sequence of ndarray
            Of all variables.
        directions : sequence of mappings
            What variables change by, by their numbers.
        wrt : collection of int, optional
            Numbers of the variables in which it is differentiated once more.

        Returns
        -------
        dict
            By the numbers of `wrt`; without it one derivative, of None. What vanishes is not there.
        """
        if self.variables and self.expression.is_Symbol and not directions and wrt is None:
            # A parameter itself: trainable models bring a new one with every call.
            return {None: np.asarray(values[0], np.float64)}
        jets = {_STEP: Jet({HERE: h})}
        for i, (symbol, x) in enumerate(zip(self._symbols, values, strict=True)):
            changes = {(1 << j, None): dx[i] for j, dx in enumerate(directions) if i in dx}
            jets[symbol] = Jet({HERE: x} | changes | ({(0, i): 1.0} if i in (wrt or ()) else {}))
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = evaluated(self.expression, jets).parts
        every = (1 << len(directions)) - 1
        found = {i: parts.get((every, i)) for i in ((None,) if wrt is None else wrt)}
        return {i: _closed(np.asarray(x, np.float64)) for i, x in found.items() if x is not None}


def _closed(x: NDArray) -> NDArray:
    """Zero where a mean of zeros leaves it open."""
    return np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf) if np.isnan(x).any() else x


@cache
def function(
    coefficient: Coefficient, words: tuple[tuple[str, str], ...], names: tuple[str, ...], ndim: int
) -> Function:
    """A coefficient as a function.

    Parameters
    ----------
    coefficient : str or Mean
    words : pairs of str
        Every parameter with the formula of the quantities it is made of.
    names : tuple of str
        All names of parameters and quantities.
    ndim : int
    """
    meaning = {sympy.Symbol(name): parsed(text, names) for name, text in words}

    def read(formula: str, node: Node) -> sympy.Expr:
        result = parsed(formula, names).subs(meaning, simultaneous=True)
        others = {s: _symbol(str(s), node) for s in result.free_symbols if str(s) not in ("h", "x")}
        return result.subs(others, simultaneous=True)

    if isinstance(coefficient, str):
        expression = read(coefficient, (0,) * ndim)
    else:
        steps = ((0, 1) if axis in coefficient.along else (0,) for axis in range(ndim))
        around = [read(coefficient.of, node) for node in product(*steps)]
        mean = _mean(len(around), coefficient.harmonic).subs(
            {sympy.Symbol(f"at{i}"): x for i, x in enumerate(around)}, simultaneous=True
        )
        expression = read(coefficient.formula, (0,) * ndim).subs(sympy.Symbol("x"), mean)
    found = sorted(str(s) for s in expression.free_symbols if str(s) != "h")
    variables = tuple((name.split("__")[0], tuple(map(int, name.split("__")[1]))) for name in found)
    return Function(expression, variables)


@cache
def _mean(n: int, harmonic: bool) -> sympy.Expr:
    """The mean of n values; a harmonic one without quotients of values that may be zero."""
    values = [sympy.Symbol(f"at{i}") for i in range(n)]
    return sympy.together(n / sum(1 / x for x in values)) if harmonic else sum(values) / n


def _symbol(name: str, node: Node) -> sympy.Symbol:
    return sympy.Symbol(f"{name}__{''.join(map(str, node))}")


def moved(x: NDArray, node: Node) -> NDArray:
    """The values at nodes further on; beyond the last node there is the last one again."""
    for axis, step in enumerate(node):
        if step:
            x = np.take(x, np.minimum(np.arange(x.shape[axis]) + 1, x.shape[axis] - 1), axis)
    return x


def moved_back(y: NDArray, node: Node) -> NDArray:
    """The transpose of :func:`moved`."""
    for axis, step in enumerate(node):
        if step:
            y = np.moveaxis(y, axis, 0)
            x = np.zeros_like(y)
            x[1:] = y[:-1]
            x[-1] += y[-1]
            y = np.moveaxis(x, 0, axis)
    return y
