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

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np
from devito import DefaultDimension, Dimension, Eq, Function, Grid, Inc, TimeFunction
from numpy.typing import NDArray

from seisops.propagators.equations import Levels
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
class Coupling(ABC):
    """What every coupling says of itself.

    Attributes
    ----------
    port : str
        The source or receiver of the scheme that it stands at.
    payload : str
        Which of its fields carries the values in or out.
    additive : bool
        Whether steps add to the payload.
    """

    port: str = field(default="p", kw_only=True)
    payload: ClassVar[str]
    additive: ClassVar[bool] = False

    @abstractmethod
    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        """The Devito functions it needs, named after `tag`, for so many time steps."""

    def source(self, f: dict, u: Levels) -> list:
        """The equations that add its values to the step ahead."""
        raise TypeError(f"{type(self).__name__} measures, it is no source.")

    @abstractmethod
    def measure(self, f: dict, u: Levels, h) -> list:
        """The equations that take its values of a step of length `h`."""


@dataclass(frozen=True)
class Points(Coupling):
    """Points with precomputed weights; how many, and of how many nodes each, the arrays say that a kernel is given.

    Devito's own sparse functions ask of every node whether it is in the grid, which takes five times as long as adding
    it up; here all nodes are in the grid.
    """

    payload = "series"

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

    def source(self, f: dict, u: Levels) -> list:
        return [Inc(self._at(f, u.ahead), self._at(f, u.scale) * self._weight(f) * f["series"])]

    def measure(self, f: dict, u: Levels, h) -> list:
        return [Eq(f["series"], 0), Inc(f["series"], self._weight(f) * self._at(f, u.now))]

    def _at(self, f: dict, g):
        """`g` at the nodes around every point."""
        for axis, d in enumerate(g.grid.dimensions):
            g = g._subs(d, f[f"node{axis}"] + f[f"weight{axis}"].dimensions[1])
        return g

    def _weight(self, f: dict):
        return prod(f[name] for name in f if name.startswith("weight"))


@dataclass(frozen=True)
class LowRank(Coupling):
    """One weight for every node, one wavelet for all."""

    payload = "weights"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"weights": _map(f"{tag}_w", grid), "wavelet": _series(f"{tag}_q", grid, nt)}

    def source(self, f: dict, u: Levels) -> list:
        return [Inc(u.ahead, u.scale * f["weights"] * f["wavelet"])]

    def measure(self, f: dict, u: Levels, h) -> list:
        return [Inc(f["weights"], f["wavelet"] * u.now)]


@dataclass(frozen=True)
class Wavefield(Coupling):
    """Every node at every step."""

    payload = "history"

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"history": _history(f"{tag}_u", grid, nt)}

    def source(self, f: dict, u: Levels) -> list:
        return [Inc(u.ahead, u.scale * f["history"])]

    def measure(self, f: dict, u: Levels, h) -> list:
        return [Eq(f["history"], u.now)]


@dataclass(frozen=True)
class Scattering(Coupling):
    """A perturbation of the model, in the second time difference g of a background wavefield."""

    payload = "perturbation"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"perturbation": _map(f"{tag}_dm", grid), "background": _history(f"{tag}_g", grid, nt)}

    def source(self, f: dict, u: Levels) -> list:
        return [Inc(u.ahead, -u.scale * f["perturbation"] * f["background"])]

    def measure(self, f: dict, u: Levels, h) -> list:
        return [Inc(f["perturbation"], -f["background"] * u.now)]


@dataclass(frozen=True)
class Offsets(Coupling):
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

    def source(self, f: dict, u: Levels) -> list:
        scattered = sum(dm * g for dm, g in self._pairs(f))
        return [self._here(f), Inc(u.ahead, -u.scale * scattered)]

    def measure(self, f: dict, u: Levels, h) -> list:
        return [self._here(f), *(Inc(dm, -g * u.now) for dm, g in self._pairs(f))]

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
class SecondDifference(Coupling):
    """The second time difference of the wavefield, which scatters off a perturbation."""

    payload = "background"

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"background": _history(f"{tag}_g", grid, nt)}

    def measure(self, f: dict, u: Levels, h) -> list:
        return [Eq(f["background"], (u.ahead - 2 * u.now + u.behind) / h**2)]

    @staticmethod
    def at_the_end(u, behind, h: float):
        """What is measured in the last step, as wavefields are zero beyond it."""
        return (behind - 2 * u) / h**2
