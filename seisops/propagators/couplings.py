r"""How a wavefield meets the outside: each coupling is a source term and, transposed, a measurement.

==================== =============================== ======================================
coupling             source term s_n                  measurement
==================== =============================== ======================================
Points               R^T f_n                          f_n = R u_n
LowRank              w(x) q_n                         w = sum_n q_n u_n
Wavefield            f_n                              f_n = u_n
Scattering           sum_c f dc(x) g_n                dc = sum_n f g_n u_n
Offsets              -sum_k dm_k(x) g_n(x - 2k)       dm_k = -sum_n g_n(x - 2k) u_n
Background           (measures only)                  g_n = u_n, or (u_{n+1} - 2 u_n + u_{n-1}) / h^2
==================== =============================== ======================================

A coupling is only structure: what a kernel is compiled from. Its ``fields`` are the Devito functions
it needs, named after `tag`; `payload` names the one that carries the values in or out. Of several wavefields each has a
place of its own in a payload, next to the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np
from devito import DefaultDimension, Dimension, Eq, Function, Grid, Inc, TimeFunction
from numpy.typing import NDArray

from seisops.propagators.equations import Levels
from seisops.propagators.points import PointWeights

# What a name of a port stands for in a kernel, and the equations that stand at every port.
Port = Callable[[str], Levels]
Equations = dict[str, list[Eq]]


def _series(name: str, grid: Grid, nt: int) -> TimeFunction:
    """A value for every time step."""
    time = grid.time_dim
    return TimeFunction(name=name, grid=grid, dimensions=(time,), shape=(nt,), save=nt, time_order=0)


def _history(name: str, grid: Grid, nt: int, count: int = 1) -> TimeFunction:
    """A grid for every time step; of several wavefields one for each."""
    if count == 1:
        return TimeFunction(name=name, grid=grid, save=nt, time_order=0, space_order=0)
    which = DefaultDimension(name=f"{name}_c", default_value=count)
    return TimeFunction(
        name=name, grid=grid, dimensions=(grid.time_dim, which, *grid.dimensions), shape=(nt, count, *grid.shape),
        save=nt, time_order=0, space_order=0,
    )  # fmt: skip


def _map(name: str, grid: Grid, count: int = 1) -> Function:
    """A value for every node; of several quantities one for each."""
    if count == 1:
        return Function(name=name, grid=grid, space_order=0)
    which = DefaultDimension(name=f"{name}_c", default_value=count)
    return Function(
        name=name, grid=grid, dimensions=(which, *grid.dimensions), shape=(count, *grid.shape), space_order=0
    )


def _part(f: Function, i: int, first: int = 0):
    """The `i`th of the quantities in a function, whose axis comes `first`; the function itself of one."""
    d = f.dimensions[first]
    return f._subs(d, i) if isinstance(d, DefaultDimension) else f


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

    @property
    def ports(self) -> tuple[str, ...]:
        """All ports that it stands at."""
        return (self.port,)

    @abstractmethod
    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        """The Devito functions it needs, named after `tag`, for so many time steps."""

    def source(self, f: dict, port: Port) -> Equations:
        """The equations at every port that add its values to the step ahead."""
        raise TypeError(f"{type(self).__name__} measures, it is no source.")

    @abstractmethod
    def measure(self, f: dict, port: Port, h) -> Equations:
        """The equations at every port that take its values of a step of length `h`."""


@dataclass(frozen=True)
class Points(Coupling):
    """Points with precomputed weights; how many, and of how many nodes each, the arrays say that a kernel is given.

    Devito's own sparse functions ask of every node whether it is in the grid, which takes five times as long as adding
    it up; here all nodes are in the grid.

    Parameters
    ----------
    components : tuple of str
        Of several ports, the port of every group of points, whose rows in the series are an array of their own.
    """

    components: tuple[str, ...] = ()
    payload = "series"

    @property
    def ports(self):
        return self.components or (self.port,)

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        time, point = grid.time_dim, Dimension(name=f"{tag}_p")
        series = TimeFunction(
            name=f"{tag}_series", grid=grid, dimensions=(time, point), shape=(nt, 1), save=nt, time_order=0
        )
        found = {"series": series}
        for i in range(len(self.ports)):
            mine = Dimension(name=f"{tag}_p{i}") if self.components else point
            found |= self._nodes(tag, str(i) if self.components else "", grid, mine)
        return found

    def _nodes(self, tag: str, group: str, grid: Grid, point: Dimension) -> dict:
        found = {}
        if self.components:
            found[f"row{group}"] = Function(
                name=f"{tag}_row{group}", dimensions=(point,), shape=(1,), dtype=np.int32, space_order=0
            )
        for axis in range(grid.dim):
            along = DefaultDimension(name=f"{tag}_k{group}{axis}", default_value=1)
            found[f"node{group}{axis}"] = Function(
                name=f"{tag}_node{group}{axis}", dimensions=(point,), shape=(1,), dtype=np.int32, space_order=0
            )
            found[f"weight{group}{axis}"] = Function(
                name=f"{tag}_weight{group}{axis}", dimensions=(point, along), shape=(1, 1), dtype=grid.dtype,
                space_order=0,
            )  # fmt: skip
        return found

    def given(self, groups: tuple[PointWeights, ...]) -> dict[str, NDArray]:
        """What a kernel takes of points besides their series."""
        found = {}
        for i, points in enumerate(groups):
            group = str(i) if self.components else ""
            found |= {f"row{group}": points.rows} if self.components else {}
            for axis, weights in enumerate(points.weights):
                found |= {f"node{group}{axis}": points.nodes[:, axis], f"weight{group}{axis}": weights}
        return found

    def source(self, f: dict, port: Port) -> Equations:
        found: Equations = {}
        for name, at, weight, series in self._groups(f):
            u = port(name)
            scale = at(u.scale) if hasattr(u.scale, "grid") else u.scale
            found.setdefault(name, []).append(Inc(at(u.ahead), scale * weight * series))
        return found

    def measure(self, f: dict, port: Port, h) -> Equations:
        found: Equations = {}
        for name, at, weight, series in self._groups(f):
            found.setdefault(name, []).append(Inc(series, weight * at(port(name).now)))
        if not self.components:
            return {self.port: [Eq(f["series"], 0), *found[self.port]]}
        return found

    def _groups(self, f: dict) -> list[tuple]:
        """For every port its name, a function at the nodes around its points, their weights and their series."""
        result = []
        for i, name in enumerate(self.ports):
            group = str(i) if self.components else ""
            nodes = [f[f"node{group}{axis}"] for axis in range(sum(k.startswith(f"node{group}") for k in f))]
            weights = [f[f"weight{group}{axis}"] for axis in range(len(nodes))]

            def at(g, nodes=nodes, weights=weights):
                for d, node, weight in zip(g.grid.dimensions, nodes, weights, strict=True):
                    g = g._subs(d, node + weight.dimensions[1])
                return g

            series = f["series"]
            if self.components:
                series = series._subs(series.dimensions[1], f[f"row{group}"])
            result.append((name, at, prod(weights), series))
        return result


@dataclass(frozen=True)
class LowRank(Coupling):
    """One weight for every node, one wavelet for all."""

    payload = "weights"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"weights": _map(f"{tag}_w", grid), "wavelet": _series(f"{tag}_q", grid, nt)}

    def source(self, f: dict, port: Port) -> Equations:
        u = port(self.port)
        return {self.port: [Inc(u.ahead, u.scale * f["weights"] * f["wavelet"])]}

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {self.port: [Inc(f["weights"], f["wavelet"] * port(self.port).now)]}


@dataclass(frozen=True)
class Wavefield(Coupling):
    """Every node at every step, of one wavefield or of several `channels`."""

    channels: tuple[str, ...] = ()
    payload = "history"

    @property
    def ports(self):
        return self.channels or (self.port,)

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"history": _history(f"{tag}_u", grid, nt, len(self.ports))}

    def source(self, f: dict, port: Port) -> Equations:
        parts = [(name, port(name), _part(f["history"], i, 1)) for i, name in enumerate(self.ports)]
        return {name: [Inc(u.ahead, u.scale * s)] for name, u, s in parts}

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {name: [Eq(_part(f["history"], i, 1), port(name).now)] for i, name in enumerate(self.ports)}


@dataclass(frozen=True)
class Scattering(Coupling):
    """Perturbations of coefficients, each where it meets what is kept of a background.

    Parameters
    ----------
    scatterers : tuple of (int, str, int, float)
        Which perturbation acts at which port, on which of the kept wavefields, and a factor.
    """

    scatterers: tuple[tuple[int, str, int, float], ...] = ((0, "p", 0, -1.0),)
    payload = "perturbation"
    additive = True

    @property
    def ports(self):
        return tuple(dict.fromkeys(target for _, target, _, _ in self.scatterers))

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        perturbations, kept = (1 + max(s[i] for s in self.scatterers) for i in (0, 2))
        return {
            "perturbation": _map(f"{tag}_dm", grid, perturbations),
            "background": _history(f"{tag}_g", grid, nt, kept),
        }

    def source(self, f: dict, port: Port) -> Equations:
        found = {}
        for name in self.ports:
            u = port(name)
            found[name] = [Inc(u.ahead, u.scale * sum(dm * g for dm, g in self._pairs(f, name)))]
        return found

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {name: [Inc(dm, g * port(name).now) for dm, g in self._pairs(f, name)] for name in self.ports}

    def _pairs(self, f: dict, name: str) -> list[tuple]:
        """The perturbations that act at a port, and the factor times what they act on."""
        return [
            (_part(f["perturbation"], i), factor * _part(f["background"], k, 1))
            for i, target, k, factor in self.scatterers
            if target == name
        ]


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

    def source(self, f: dict, port: Port) -> Equations:
        u, scattered = port(self.port), sum(dm * g for dm, g in self._pairs(f))
        return {self.port: [self._here(f), Inc(u.ahead, -u.scale * scattered)]}

    def measure(self, f: dict, port: Port, h) -> Equations:
        images = [Inc(dm, -g * port(self.port).now) for dm, g in self._pairs(f)]
        return {self.port: [self._here(f), *images]}

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
class Background(Coupling):
    """What is kept of a wavefield: itself, or its second time difference, at every port.

    Parameters
    ----------
    kept : tuple of (str, bool)
        The port, and whether it is the second difference.
    """

    kept: tuple[tuple[str, bool], ...] = (("p", True),)
    payload = "background"

    @property
    def ports(self):
        return tuple(name for name, _ in self.kept)

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"background": _history(f"{tag}_g", grid, nt, len(self.kept))}

    def measure(self, f: dict, port: Port, h) -> Equations:
        found: Equations = {}
        for i, (name, second) in enumerate(self.kept):
            u, g = port(name), _part(f["background"], i, 1)
            found.setdefault(name, []).append(Eq(g, (u.ahead - 2 * u.now + u.behind) / h**2 if second else u.now))
        return found

    def at_the_end(self, seen: NDArray, levels: Callable, h: float) -> None:
        """Mend what was measured in the last step, as wavefields are zero beyond it."""
        for i, (name, second) in enumerate(self.kept):
            if second:
                u, behind = levels(name)
                (seen if len(self.kept) == 1 else seen[i])[...] = (behind - 2 * u) / h**2
