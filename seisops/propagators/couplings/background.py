"""What is kept of a wavefield."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from devito import Eq, Grid
from numpy.typing import NDArray

from seisops.propagators.couplings.base import Coupling, Equations, Port, history, part


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
    def behind(self):
        return any(second for _, second in self.kept)

    @property
    def ports(self):
        return tuple(name for name, _ in self.kept)

    def fields(self, tag: str, grid: Grid, nt: int) -> dict:
        return {"background": history(f"{tag}_g", grid, nt, len(self.kept))}

    def measure(self, f: dict, port: Port, h) -> Equations:
        found: Equations = {}
        for i, (name, second) in enumerate(self.kept):
            u, g = port(name), part(f["background"], i, 1)
            found.setdefault(name, []).append(Eq(g, (u.ahead - 2 * u.now + u.behind) / h**2 if second else u.read))
        return found

    def at_the_end(self, seen: NDArray, levels: Callable, h: float) -> None:
        """Mend what was measured in the last step, as wavefields are zero beyond it."""
        for i, (name, second) in enumerate(self.kept):
            if second:
                u, behind = levels(name)
                (seen if len(self.kept) == 1 else seen[i])[...] = (behind - 2 * u) / h**2
