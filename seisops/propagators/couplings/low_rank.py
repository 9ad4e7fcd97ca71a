"""Wavefields under one wavelet."""

from __future__ import annotations

from dataclasses import dataclass

from devito import Grid, Inc

from seisops.propagators.couplings.base import Coupling, Equations, Port, nodal, series


@dataclass(frozen=True)
class LowRank(Coupling):
    """One weight for every node, one wavelet for all."""

    payload = "weights"
    additive = True

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"weights": nodal(f"{tag}_w", grid), "wavelet": series(f"{tag}_q", grid, nt)}

    def source(self, f: dict, port: Port) -> Equations:
        u = port(self.port)
        return {self.port: [Inc(u.ahead, u.scale * f["weights"] * f["wavelet"])]}

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {self.port: [Inc(f["weights"], f["wavelet"] * port(self.port).read)]}
