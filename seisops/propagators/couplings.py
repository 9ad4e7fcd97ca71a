r"""How a wavefield meets the outside: each coupling is a source term and, transposed, a measurement.

==================== =============================== ======================================
coupling             source term s_n                  measurement
==================== =============================== ======================================
Points               R^T f_n                          f_n = R u_n
LowRank              w(x) q_n                         w = sum_n q_n u_n
Wavefield            f_n                              f_n = u_n
Scattering           -dm(x) g_n                       dm = -sum_n g_n u_n
Offsets              -sum_k dm_k(x) g_n(x - 2k)       dm_k = -sum_n g_n(x - 2k) u_n
SecondDifference     (measures only)                  g_n = (u_{n+1} - 2 u_n + u_{n-1}) / h^2
==================== =============================== ======================================

A coupling is only structure: what a kernel is compiled from. Its ``fields`` are the Devito functions
it needs, named after `tag`; `payload` names the one that carries the values in or out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from devito import DefaultDimension, Dimension, Eq, Function, Grid, Inc, TimeFunction
from numpy.typing import NDArray

from seisops.propagators.equations import March
from seisops.propagators.points import PointWeights


def _series(name: str, grid: Grid, nt: int) -> TimeFunction:
    """A value for every time step."""
    time = grid.time_dim
    return TimeFunction(name=name, grid=grid, dimensions=(time,), shape=(nt,), save=nt, time_order=0)


def _history(name: str, grid: Grid, nt: int) -> TimeFunction:
    """A grid for every time step."""
    return TimeFunction(name=name, grid=grid, save=nt, time_order=0, space_order=0)


def _map(name: str, grid: Grid) -> Function:
    """A value for every node."""
    return Function(name=name, grid=grid, space_order=0)


@dataclass(frozen=True)
class Points:
    """Points with precomputed weights; how many, and of how many nodes each, the arrays say that a kernel is given.

    Devito's own sparse functions ask of every node whether it is in the grid, which takes five times as long as adding
    it up; here all nodes are in the grid.
    """

    payload = "series"
    additive = False

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        time, point = grid.time_dim, Dimension(name=f"{tag}_p")
        found = {
            "series": TimeFunction(
                name=f"{tag}_series", grid=grid, dimensions=(time, point), shape=(nt, 1), save=nt, time_order=0
            )
        }
        for axis in range(grid.dim):
            along = DefaultDimension(name=f"{tag}_k{axis}", default_value=1)
            found[f"node{axis}"] = Function(
                name=f"{tag}_node{axis}", dimensions=(point,), shape=(1,), dtype=np.int32, space_order=0
            )
            found[f"weight{axis}"] = Function(
                name=f"{tag}_weight{axis}", dimensions=(point, along), shape=(1, 1), dtype=grid.dtype, space_order=0
            )
        return found

    @staticmethod
    def given(points: PointWeights) -> dict[str, NDArray]:
        """What a kernel takes of points besides their series."""
        found = {}
        for axis, weights in enumerate(points.weights):
            found |= {f"node{axis}": points.nodes[:, axis], f"weight{axis}": weights}
        return found

    def source(self, f: dict, march: March, u, dinv) -> list:
        return [Inc(self._at(f, march.ahead(u)), self._at(f, dinv) * self._weight(f) * f["series"])]

    def measure(self, f: dict, march: March, u, h) -> list:
        return [Eq(f["series"], 0), Inc(f["series"], self._weight(f) * self._at(f, u))]

    def _at(self, f: dict, g):
        """`g` at the nodes around every point."""
        for axis, d in enumerate(g.grid.dimensions):
            g = g._subs(d, f[f"node{axis}"] + f[f"weight{axis}"].dimensions[1])
        return g

    def _weight(self, f: dict):
        return prod(f[name] for name in f if name.startswith("weight"))


@dataclass(frozen=True)
class LowRank:
    """One weight for every node, one wavelet for all."""

    payload = "weights"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"weights": _map(f"{tag}_w", grid), "wavelet": _series(f"{tag}_q", grid, nt)}

    def source(self, f: dict, march: March, u, dinv) -> list:
        return [Inc(march.ahead(u), dinv * f["weights"] * f["wavelet"])]

    def measure(self, f: dict, march: March, u, h) -> list:
        return [Inc(f["weights"], f["wavelet"] * u)]


@dataclass(frozen=True)
class Wavefield:
    """Every node at every step."""

    payload = "history"
    additive = False

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"history": _history(f"{tag}_u", grid, nt)}

    def source(self, f: dict, march: March, u, dinv) -> list:
        return [Inc(march.ahead(u), dinv * f["history"])]

    def measure(self, f: dict, march: March, u, h) -> list:
        return [Eq(f["history"], u)]


@dataclass(frozen=True)
class Scattering:
    """A perturbation of the model, in the second time difference g of a background wavefield."""

    payload = "perturbation"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"perturbation": _map(f"{tag}_dm", grid), "background": _history(f"{tag}_g", grid, nt)}

    def source(self, f: dict, march: March, u, dinv) -> list:
        return [Inc(march.ahead(u), -dinv * f["perturbation"] * f["background"])]

    def measure(self, f: dict, march: March, u, h) -> list:
        return [Inc(f["perturbation"], -f["background"] * u)]


@dataclass(frozen=True)
class Offsets:
    """Perturbations that scatter what the background is at 2k nodes before, k = -cells ... cells, along one axis."""

    cells: int
    axis: int
    payload = "perturbation"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        count = 2 * self.cells + 1
        offset = Dimension(name=f"{tag}_k")
        return {
            "perturbation": Function(
                name=f"{tag}_dm", grid=grid, dimensions=(offset, *grid.dimensions), shape=(count, *grid.shape),
                space_order=0,
            ),
            "background": _history(f"{tag}_g", grid, nt),
            # A history has no halo, and beyond the grid there is no background.
            "around": Function(name=f"{tag}_around", grid=grid, space_order=2 * self.cells),
        }  # fmt: skip

    def source(self, f: dict, march: March, u, dinv) -> list:
        scattered = sum(dm * g for dm, g in self._pairs(f))
        return [self._here(f), Inc(march.ahead(u), -dinv * scattered)]

    def measure(self, f: dict, march: March, u, h) -> list:
        return [self._here(f), *(Inc(dm, -g * u) for dm, g in self._pairs(f))]

    def _here(self, f: dict) -> Eq:
        return Eq(f["around"], f["background"])

    def _pairs(self, f: dict) -> list[tuple]:
        """The perturbation of every offset, and the background that it scatters."""
        dm, g = f["perturbation"], f["around"]
        offset, d = dm.dimensions[0], g.dimensions[self.axis]
        return [
            (dm._subs(offset, self.cells + k), g.shift(d, -2 * k * d.spacing))
            for k in range(-self.cells, self.cells + 1)
        ]


@dataclass(frozen=True)
class SecondDifference:
    """The second time difference of the wavefield, which scatters off a perturbation."""

    payload = "background"
    additive = False

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"background": _history(f"{tag}_g", grid, nt)}

    def measure(self, f: dict, march: March, u, h) -> list:
        return [Eq(f["background"], (march.ahead(u) - 2 * u + march.behind(u)) / h**2)]

    @staticmethod
    def at_the_end(u, behind, h: float):
        """What is measured in the last step, as wavefields are zero beyond it."""
        return (behind - 2 * u) / h**2
