"""Perturbations where they meet a background."""

from __future__ import annotations

from dataclasses import dataclass

from devito import Grid, Inc

from seisops.propagators.couplings.base import Coupling, Equations, Port, history, nodal, part


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
            "perturbation": nodal(f"{tag}_dm", grid, perturbations),
            "background": history(f"{tag}_g", grid, nt, kept),
        }

    def source(self, f: dict, port: Port) -> Equations:
        found = {}
        for name in self.ports:
            u = port(name)
            found[name] = [Inc(u.ahead, u.scale * sum(dm * g for dm, g in self._pairs(f, name)))]
        return found

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {name: [Inc(dm, g * port(name).read) for dm, g in self._pairs(f, name)] for name in self.ports}

    def _pairs(self, f: dict, name: str) -> list[tuple]:
        """The perturbations that act at a port, and the factor times what they act on."""
        return [
            (part(f["perturbation"], i), factor * part(f["background"], k, 1))
            for i, target, k, factor in self.scatterers
            if target == name
        ]
