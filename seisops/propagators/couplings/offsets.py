"""Perturbations that scatter the background of other nodes."""

from __future__ import annotations

from dataclasses import dataclass

from devito import DefaultDimension, Dimension, Eq, Function, Grid, Inc

from seisops.propagators.couplings.base import Coupling, Equations, Port, history, part


@dataclass(frozen=True)
class Offsets(Coupling):
    """Perturbations that scatter what the background is at 2k nodes before, k = -cells ... cells, along one axis.

    Parameters
    ----------
    scatterers : tuple of (int, str, int, float)
        Of every offset as those of :class:`Scattering`.
    cells, axis : int
    """

    scatterers: tuple[tuple[int, str, int, float], ...]
    cells: int
    axis: int
    payload = "perturbation"
    additive = True

    @property
    def reach(self):
        return 2 * self.cells

    @property
    def ports(self):
        return tuple(dict.fromkeys(target for _, target, _, _ in self.scatterers))

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        perturbations, kept = (1 + max(s[i] for s in self.scatterers) for i in (0, 2))
        offset, which = Dimension(name=f"{tag}_k"), DefaultDimension(name=f"{tag}_c", default_value=perturbations)
        leading = {offset: 2 * self.cells + 1} | ({which: perturbations} if perturbations > 1 else {})
        # A history has no halo, and beyond the grid there is no background.
        around = (Function(name=f"{tag}_around{k}", grid=grid, space_order=2 * self.cells) for k in range(kept))
        return {
            "perturbation": Function(
                name=f"{tag}_dm", grid=grid, dimensions=(*leading, *grid.dimensions),
                shape=(*leading.values(), *grid.shape), space_order=0,
            ),
            "background": history(f"{tag}_g", grid, nt, kept),
        } | {f"around{k}": f for k, f in enumerate(around)}  # fmt: skip

    def source(self, f: dict, port: Port) -> Equations:
        found = {}
        for name in self.ports:
            u = port(name)
            scattered = sum(dm * g for dm, g in self._pairs(f, name))
            found[name] = [*self._here(f, name), Inc(u.ahead, u.scale * scattered, **_every_step(f))]
        return found

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {
            name: [
                *self._here(f, name),
                *(Inc(dm, g * port(name).read, **_every_step(f)) for dm, g in self._pairs(f, name)),
            ]
            for name in self.ports
        }

    def _at(self, name: str) -> list[tuple[int, int, float]]:
        """What acts at a port: which perturbation, on which of the kept wavefields, and a factor."""
        return [(i, k, factor) for i, target, k, factor in self.scatterers if target == name]

    def _here(self, f: dict, name: str) -> list[Eq]:
        kept = dict.fromkeys(k for _, k, _ in self._at(name))
        return [Eq(f[f"around{k}"], part(f["background"], k, 1)) for k in kept]

    def _pairs(self, f: dict, name: str) -> list[tuple]:
        """The perturbations of every offset, and the factor times the background that they scatter."""
        found = []
        for half in range(-self.cells, self.cells + 1):
            dm = f["perturbation"]
            dm = dm._subs(dm.dimensions[0], self.cells + half)
            for i, k, factor in self._at(name):
                g = f[f"around{k}"]
                d = g.dimensions[self.axis]
                found.append((part(dm, i, 1), factor * g.shift(d, -2 * half * d.spacing)))
        return found


def _every_step(f: dict) -> dict:
    """Of equations of fields without levels in time, which Devito would take out of the loop of steps."""
    return {"implicit_dims": f["background"].dimensions[:1]}
