r"""A free surface where fields end: velocities are free there, and no stress acts across it.

Near it differences of velocities take one side, and those of stresses are their negative transposes under the weights
of a quadrature, h of the nodes and w of the half cells below them. They sum by parts,

.. math:: D_\sigma = -h^{-1} D_v^T w, \qquad h\,D_v' + D_v^T w = -e_0\,d_0^T

with the node on the surface :math:`e_0` and what extrapolates to it :math:`d_0`, so that energy is kept and nothing is
set above the surface. All else is in the coefficients. Stiffnesses are multiplied by the weights and buoyancies
divided, so that stresses carry their weight and what acts on velocities is :math:`-D_v^T` of them. On the surface
normal stress is nowhere read, and others have the stiffness of a body that gives way across it,
:math:`C_{kj} - C_{kz} C_{zj} / C_{zz}`. Schemes have such differences as ``ending``; without a surface they are like
all others.

References
----------
O. O'Reilly, T. Lundquist, E. Dunham and J. Nordström, 2017, Energy stable and high-order-accurate finite difference
methods on staggered grids, Journal of Computational Physics 346.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from seisops.physics.layer import profile
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import weights
from seisops.physics.steps import Stage
from seisops.physics.terms import Difference, Operation, Times

# What multiplies stresses to take their weight off, along the last axis; the other, those that vanish on the surface.
UNWEIGHTED, VANISHING = "r", "s"
# What names of coefficients begin with that a surface alone has.
GIVING = "giving"
# What coefficients know of a surface: the weight of a node and of a half cell below it, and which nodes lie on it.
WEIGHT, WEIGHT_BETWEEN, ON = "surface_weight", "surface_weight_between", "on_surface"
KNOWN = (WEIGHT, WEIGHT_BETWEEN, ON)
# What these are where there is none.
NONE = ((WEIGHT, "1"), (WEIGHT_BETWEEN, "1"), (ON, "0"))


def ends(scheme: Scheme) -> bool:
    """Whether its fields end at a free surface; those of others are mirrored."""
    operations = (o for stage in scheme.stages for t in stage.terms for o in t.operations)
    return any(isinstance(o, Difference) and o.ending for o in operations)


def applied(scheme: Scheme, ends: bool) -> Scheme:
    """`scheme` where its fields end at a surface; where they do not, with ordinary differences and no weights."""
    if ends:
        return scheme

    def plain(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        kept = (o for o in operations if not (isinstance(o, Times) and _takes_weight_off(o.coefficient)))
        return tuple(replace(o, ending=0) if isinstance(o, Difference) else o for o in kept)

    def step(s):
        if not isinstance(s, Stage):
            return replace(s, operations=plain(s.operations))
        kept = (t for t in s.terms if not any(c.startswith(GIVING) for c in t.coefficients))
        return replace(s, terms=tuple(replace(t, operations=plain(t.operations)) for t in kept))

    return replace(scheme, steps=tuple(map(step, scheme.steps)))


def _takes_weight_off(coefficient: str) -> bool:
    return (profile(coefficient) or ("",))[0] in (UNWEIGHTED, VANISHING)


def unweighted(letter: str, n: int, order: int, half: int) -> NDArray:
    """What takes weights off, at `n` nodes or half cells from the surface down."""
    result = 1 / known(WEIGHT_BETWEEN if half else WEIGHT, n, order)
    if letter == VANISHING:
        result[0] = 0
    return result


def quadrature(order: int, half: int) -> NDArray:
    """The first weights of nodes, or of half cells; all others are 1."""
    return _closure(order).weights[half]


def known(name: str, n: int, order: int) -> NDArray:
    """What coefficients know of a surface, at `n` nodes from it down, which are those of the last axis."""
    result, first = np.zeros(n), [1.0]
    if name != ON:
        result, first = np.ones(n), quadrature(order, int(name == WEIGHT_BETWEEN))
    result[: len(first)] = first
    return result


def edge(difference: Difference, order: int) -> NDArray:
    """What an ending difference is more than a central one on a unit grid: some rows and columns from the surface."""
    if difference.ending < 0:
        return -edge(replace(difference, ending=1, shift=-difference.shift), order).T
    return _closure(order).edges[difference.shift]


def depth(order: int) -> int:
    """Nodes that differ from others under a surface."""
    return max(max(block.shape) for block in _closure(order).edges.values())


@dataclass(frozen=True)
class _Closure:
    weights: tuple[NDArray, NDArray]
    edges: dict[int, NDArray]


@cache
def _closure(order: int) -> _Closure:
    r"""Differences and weights of a surface, as near to central differences and ones as the rules let them be.

    Unknown are the first rows of :math:`P = w D_v`, the weights and :math:`d_0`; the rules are linear in them. That
    polynomials z^j up to the degree are differentiated exactly, on half cells by :math:`P` and on nodes by
    :math:`-h^{-1}(P^T + e_0 d_0^T)`, and that :math:`d_0` extrapolates them.
    """
    half = order // 2
    degree, r, s = (1, 1, 1) if half == 1 else (2, max(half, 4), max(half, 4) + 1)
    z, zh, beyond = np.arange(r + s + 2.0 * half), np.arange(r + s + 2.0 * half) + 0.5, s + half
    central = _central(order, len(zh), len(z))
    unknown = {"P": (r, s), "w": (r,), "h": (s,), "d": (degree + 1,)}
    sizes = [int(np.prod(shape)) for shape in unknown.values()]
    at = dict(zip(unknown, np.cumsum([0, *sizes]), strict=False))
    rules, sides = [], []

    def rule(side: float, **parts: tuple) -> None:
        row = np.zeros(sum(sizes))
        for name, (index, values) in parts.items():
            row[at[name] + np.asarray(index)] = values
        rules.append(row)
        sides.append(side)

    for j in range(degree + 1):
        slope, slope_half = (j * x ** max(j - 1, 0) for x in (z, zh))
        for k in range(r):
            rule(-central[k, s:] @ z[s:] ** j, P=(k * s + np.arange(s), z[:s] ** j), w=(k, -slope_half[k]))
        for c in range(s):
            ends = {"d": (np.arange(degree + 1), -(zh[: degree + 1] ** j))} if c == 0 else {}
            rule(
                central[r:beyond, c] @ zh[r:beyond] ** j,
                P=(np.arange(r) * s + c, -(zh[:r] ** j)),
                h=(c, -slope[c]),
                **ends,
            )
        rule(float(j == 0), d=(np.arange(degree + 1), zh[: degree + 1] ** j))
    near = np.concatenate([central[:r, :s].ravel(), np.ones(r), [0.5], np.ones(s - 1), np.zeros(degree + 1)])
    # What is extrapolated is free to be what it must.
    free = np.where(np.arange(len(near)) < at["d"], 1.0, 10.0)
    change = np.linalg.lstsq(np.array(rules) * free, np.array(sides) - np.array(rules) @ near, rcond=1e-12)[0]
    found = near + free * change
    P, w, h, _ = (
        found[i : i + n].reshape(shape) for i, n, shape in zip(at.values(), sizes, unknown.values(), strict=True)
    )
    first = central[:r].copy()
    first[:, :s] = P
    # The transpose of all rows, those beyond the first being central.
    after = np.vstack([first, central[r:]])
    before = -after.T[:s] / h[:, None]
    # On the surface there is no stress to be changed.
    before[0] = 0
    edges = {1: first / w[:, None] - central[:r], -1: before + central.T[:s]}
    return _Closure((h, w), {shift: block[:, : s + half] for shift, block in edges.items()})


def _central(order: int, halves: int, nodes: int) -> NDArray:
    """The central difference from nodes to half cells, of what is zero above the first."""
    result = np.zeros((halves, nodes))
    for k, weight in zip(*weights(Difference(0, shift=1), order), strict=True):
        i = np.arange(max(-k, 0), min(halves, nodes - k))
        result[i, i + k] = weight
    return result
