"""Perturbations that scatter the background of other nodes."""

from __future__ import annotations

from dataclasses import dataclass

from devito import Dimension, Eq, Function, Grid, Inc

from seisops.propagators.couplings.base import Coupling, Equations, Port, history


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
            "background": history(f"{tag}_g", grid, nt),
            # A history has no halo, and beyond the grid there is no background.
            "around": Function(name=f"{tag}_around", grid=grid, space_order=2 * self.cells),
        }  # fmt: skip

    def source(self, f: dict, port: Port) -> Equations:
        u, scattered = port(self.port), sum(dm * g for dm, g in self._pairs(f))
        return {self.port: [self._here(f), Inc(u.ahead, -u.scale * scattered)]}

    def measure(self, f: dict, port: Port, h) -> Equations:
        images = [Inc(dm, -g * port(self.port).read) for dm, g in self._pairs(f)]
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
