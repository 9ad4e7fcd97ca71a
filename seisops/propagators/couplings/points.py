"""Wavefields at points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from devito import CustomDimension, DefaultDimension, Dimension, Eq, Function, Grid, Inc, TimeFunction
from numpy.typing import NDArray

from seisops.propagators.couplings.base import Coupling, Equations, Port
from seisops.propagators.points import PointWeights


@dataclass(frozen=True)
class Points(Coupling):
    """Points with precomputed weights; how many there are, the arrays say that a kernel is given.

    Devito's own sparse functions ask of every node whether it is in the grid, which takes five times as long as adding
    it up; here all nodes are in the grid.

    Parameters
    ----------
    components : tuple of str
        Of several ports, the port of every group of points, whose rows in the series are an array of their own.
    length : int
        Nodes along every axis, so that a compiler knows how often the loops over them run; 0 where the arrays say.
    """

    components: tuple[str, ...] = ()
    length: int = 0
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
            along = self._along(f"{tag}_k{group}{axis}")
            found[f"node{group}{axis}"] = Function(
                name=f"{tag}_node{group}{axis}", dimensions=(point,), shape=(1,), dtype=np.int32, space_order=0
            )
            found[f"weight{group}{axis}"] = Function(
                name=f"{tag}_weight{group}{axis}", dimensions=(point, along), shape=(1, self.length or 1),
                dtype=grid.dtype, space_order=0,
            )  # fmt: skip
        return found

    def _along(self, name: str) -> Dimension:
        if not self.length:
            return DefaultDimension(name=name, default_value=1)
        return CustomDimension(name, symbolic_min=0, symbolic_max=self.length - 1, symbolic_size=self.length)

    def given(self, groups: tuple[PointWeights, ...]) -> dict[str, NDArray]:
        """What a kernel takes of points besides their series."""
        found = {}
        for i, points in enumerate(groups):
            group = str(i) if self.components else ""
            found |= {f"row{group}": points.rows} if self.components else {}
            for axis, (nodes, weights) in enumerate(points.along_axes):
                found[f"node{group}{axis}"], found[f"weight{group}{axis}"] = nodes, weights
        return found

    def source(self, f: dict, port: Port) -> Equations:
        found: Equations = {}
        for name, at, weight, series in self._groups(f):
            u = port(name)
            found.setdefault(name, []).append(Inc(at(u.ahead), _at(at, u.scale) * weight * series))
        return found

    def measure(self, f: dict, port: Port, h) -> Equations:
        found: Equations = {}
        for name, at, weight, series in self._groups(f):
            u = port(name)
            found.setdefault(name, []).append(Inc(series, weight * _at(at, u.scale) * at(u.now)))
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


def _at(at: Callable, scale):
    """A scale at the nodes around points, where it is one of nodes."""
    return at(scale) if hasattr(scale, "grid") else scale
