"""Weights of the differences that schemes are made of."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sympy import Rational, finite_diff_weights

from seisops.physics.terms import Difference


@cache
def weights(difference: Difference, order: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Nodes beside that of the result and what they weigh on a unit grid.

    Accurate to `order`, or to its own (Fornberg, 1988, Mathematics of Computation 51).

    The result of a shift by +1 lies half a cell after the node of its index, of one by -1 half a cell before the half
    cell of its index.
    """
    first, last = span(difference, order)
    # Seen from node i, the half cell of index k is at k + 1/2.
    points = [Rational(k) + (Rational(1, 2) if difference.shift < 0 else 0) for k in range(first, last + 1)]
    at = Rational(1, 2) if difference.shift > 0 else 0
    found = finite_diff_weights(difference.degree, points, at)[difference.degree][-1]
    used = [(k, float(w)) for k, w in zip(range(first, last + 1), found, strict=True) if w]
    return tuple(k for k, _ in used), tuple(w for _, w in used)


def of_order(difference: Difference, order: int) -> int:
    """The order of a difference in a model of an `order`."""
    return order if difference.order is None else min(difference.order, order)


def span(difference: Difference, order: int) -> tuple[int, int]:
    """The first and the last node of a difference, beside that of its result, in a model of an `order`."""
    p = of_order(difference, order) // 2
    return (1 if difference.shift > 0 else 0) - p, (-1 if difference.shift < 0 else 0) + p


def second_derivative_weights(order: int) -> NDArray:
    """Weights of the compact second derivative on a unit grid, from the first node to the last."""
    return np.array(weights(Difference(0, 2), order)[1])
