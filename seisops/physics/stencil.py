"""Weights of the differences that schemes are made of."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sympy import Rational, finite_diff_weights

from seisops.physics.scheme import Difference


@cache
def weights(difference: Difference, order: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Nodes beside that of the result and what they weigh on a unit grid, accurate to `order` (Fornberg, 1988).

    The result of a shift by +1 lies half a cell after the node of its index, of one by -1 half a cell before the half
    cell of its index.
    """
    p = order // 2
    shift = difference.shift
    nodes = range(-p, p + 1) if not shift else range(1 - p, p + 1) if shift > 0 else range(-p, p)
    at = Rational(shift, 2) if shift else 0
    # A half cell of index i lies at i + 1/2: seen from node i, index k is at k + 1/2.
    points = [Rational(k) + (Rational(1, 2) if shift < 0 else 0) for k in nodes]
    found = finite_diff_weights(difference.degree, points, at if shift > 0 else 0)[difference.degree][-1]
    used = [(k, float(w)) for k, w in zip(nodes, found, strict=True) if w]
    return tuple(k for k, _ in used), tuple(w for _, w in used)


def second_derivative_weights(order: int) -> NDArray:
    """Weights of the compact second derivative on a unit grid, from the first node to the last."""
    return np.array(weights(Difference(0, 2), order)[1])
