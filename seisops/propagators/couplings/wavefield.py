"""Wavefields as they are."""

from __future__ import annotations

from dataclasses import dataclass

from devito import Eq, Grid, Inc

from seisops.propagators.couplings.base import Coupling, Equations, Port, history, part


@dataclass(frozen=True)
class Wavefield(Coupling):
    """Every node at every step, of one wavefield or of several `channels`."""

    channels: tuple[str, ...] = ()
    payload = "history"

    @property
    def ports(self):
        return self.channels or (self.port,)

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"history": history(f"{tag}_u", grid, nt, len(self.ports))}

    def source(self, f: dict, port: Port) -> Equations:
        parts = [(name, port(name), part(f["history"], i, 1)) for i, name in enumerate(self.ports)]
        return {name: [Inc(u.ahead, u.scale * s)] for name, u, s in parts}

    def measure(self, f: dict, port: Port, h) -> Equations:
        return {name: [Eq(part(f["history"], i, 1), port(name).read)] for i, name in enumerate(self.ports)}
