r"""Formulas on arrays, with exact derivatives by arithmetic alone.

A jet is a value with small changes: of directions :math:`\varepsilon_j`, each of which is taken once at most
(:math:`\varepsilon_j^2 = 0`), and of variables :math:`g_i` of which one is open at a time (:math:`g_i g_j = 0`). A
function of jets is its Taylor series, which ends; what stands at
:math:`\varepsilon_1 \cdots \varepsilon_k\, g_i` is the derivative along all directions and in variable i (Griewank and
Walther, 2008, Evaluating Derivatives, chapter 13).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from math import factorial, prod

import sympy
from numpy.typing import NDArray

# Directions, as bits, and the variable that is open.
Change = tuple[int, int | None]
HERE: Change = (0, None)
Value = NDArray | float


class Jet:
    """A value and what its changes of every kind come with; what is not there is zero."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[Change, Value]) -> None:
        self.parts = parts

    def __add__(self, other: Jet) -> Jet:
        parts = dict(self.parts)
        for change, x in other.parts.items():
            parts[change] = parts[change] + x if change in parts else x
        return Jet(parts)

    def __mul__(self, other: Jet) -> Jet:
        parts: dict[Change, Value] = {}
        for (mine, i), x in self.parts.items():
            for (its, j), y in other.parts.items():
                if mine & its or (i is not None and j is not None):
                    continue
                change = (mine | its, j if i is None else i)
                parts[change] = parts[change] + x * y if change in parts else x * y
        return Jet(parts)

    def changes(self) -> Jet:
        """All but the value."""
        return Jet({change: x for change, x in self.parts.items() if change != HERE})


def evaluated(expression: sympy.Expr, values: Mapping[sympy.Symbol, Jet]) -> Jet:
    """An expression, of jets for its symbols.

    Raises
    ------
    ValueError
        If it has cases.
    """
    known = dict(values)

    def jet(e: sympy.Expr) -> Jet:
        if e not in known:
            known[e] = made(e)
        return known[e]

    def made(e: sympy.Expr) -> Jet:
        if e.is_number:
            return Jet({HERE: int(e) if e.is_Integer else float(e)})
        if e.is_Piecewise:
            raise ValueError(
                f"A formula of a medium has no cases: write {e} with sums, products, powers and functions."
            )
        args = [jet(a) for a in e.args]
        if e.is_Add or e.is_Mul:
            first, *others = args
            for a in others:
                first = first + a if e.is_Add else first * a
            return first
        return _composed(e, args)

    return jet(expression)


def _composed(e: sympy.Expr, args: list[Jet]) -> Jet:
    """A function of jets by its Taylor series about their values."""
    # What does not change, the number in a power above all, is one of the function's own.
    moving = [i for i, a in enumerate(e.args) if not a.is_number]
    fixed = tuple(None if i in moving else a for i, a in enumerate(e.args))
    at = [args[i].parts[HERE] for i in moving]
    # The powers of the changes, as far as they are not zero.
    powers: list[list[Jet]] = []
    for i in moving:
        mine, step = [Jet({HERE: 1.0})], args[i].changes()
        while (after := mine[-1] * step).parts:
            mine.append(after)
        powers.append(mine)
    total = Jet({})
    for orders in product(*(range(len(mine)) for mine in powers)):
        step = Jet({HERE: 1.0})
        for mine, n in zip(powers, orders, strict=True):
            step = step * mine[n] if n else step
        if step.parts and (function := _derivative(e.func, fixed, orders)):
            total = total + step * Jet({HERE: function(*at) / prod(map(factorial, orders))})
    return total


@cache
def _derivative(func: type, fixed: tuple, orders: tuple[int, ...]) -> Callable | None:
    """A derivative of a function in those arguments that are not fixed; None where it vanishes."""
    symbols = sympy.symbols(f"x:{len(orders)}", real=True)
    own = iter(symbols)
    result = func(*(next(own) if a is None else a for a in fixed))
    for symbol, n in zip(symbols, orders, strict=True):
        result = sympy.diff(result, symbol, n)
    return None if result == 0 else sympy.lambdify(symbols, result, "numpy")
